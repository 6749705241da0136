package regf

import "sync/atomic"

const binBad = 0xFFFFFFFF

// A cell is validated on first use: it is aligned, allocated, and inside a bin with a
// proper header. The bit in h.seen then saves finding the bin again. Bits are set
// atomically, so that readers may run concurrently.

func (h *Hive) isSeen(off uint32) bool {
	return atomic.LoadUint32(&h.seen[off>>8])>>(off>>3&31)&1 != 0
}

func (h *Hive) setSeen(off uint32)   { atomic.OrUint32(&h.seen[off>>8], 1<<(off>>3&31)) }
func (h *Hive) clearSeen(off uint32) { atomic.AndUint32(&h.seen[off>>8], ^(1 << (off >> 3 & 31))) }

// cell returns the payload of an allocated cell, in place.
func (h *Hive) cell(off uint32) ([]byte, error) {
	b := h.bins
	if off&7 == 0 && uint64(off)+8 <= uint64(len(b)) && h.isSeen(off) {
		n := uint32(-int32(u32(b[off:])))
		end := uint64(off) + uint64(n)
		if n >= 8 && end <= uint64(len(b)) {
			return b[off+h.cellHdr : end : end], nil
		}
	}
	return h.touch(off)
}

// touch validates a cell.
func (h *Hive) touch(off uint32) ([]byte, error) {
	b := h.bins
	if b == nil {
		return nil, ErrClosed
	}
	switch {
	case off == nilCell:
		return nil, faultf(ruleCellNone, off, "a cell is required here")
	case off&7 != 0:
		return nil, faultf(ruleCellAlign, off, "offset is not a multiple of 8")
	case uint64(off)+8 > uint64(len(b)) || off < binHeader:
		return nil, faultf(ruleCellRange, off, "offset is outside the bins")
	}
	if err := h.load(baseSize+int(off), 8); err != nil {
		return nil, err
	}
	if h.repair != nil {
		if n, ok := h.repair.revive(off); ok {
			return b[off+h.cellHdr : off+n : off+n], nil
		}
	}
	size := int32(u32(b[off:]))
	if size >= 0 {
		if h.edit != nil { // no reachable cell was free when edits began: it was in use
			return nil, ErrDeleted
		}
		return nil, faultf(ruleCellFree, off, "cell is free but in use")
	}
	n := uint32(-size)
	if n < 8 || n&7 != 0 {
		return nil, faultf(ruleCellSize, off, "size %d is not a multiple of 8", size)
	}
	if uint64(off)+uint64(n) > uint64(len(b)) {
		return nil, faultf(ruleCellSize, off, "cell of %d bytes goes past the bins", n)
	}
	if h.edit != nil {
		if err := h.edit.proper(h, off); err != nil {
			return nil, err
		}
	} else if err := h.checkBin(off, n); err != nil {
		if err := h.tolerate(err, nil); err != nil {
			return nil, err
		}
	}
	if err := h.load(baseSize+int(off), int(n)); err != nil {
		return nil, err
	}
	h.setSeen(off)
	return b[off+h.cellHdr : off+n : off+n], nil
}

// bin returns the offset and size of the bin that holds a page, as its header declares
// them. It searches backwards from the page and caches the result.
func (h *Hive) bin(page uint32) (off, size uint32, ok bool) {
	for p := page; ; p-- {
		if at := atomic.LoadUint32(&h.binAt[p]); at != 0 {
			if at == binBad {
				return 0, 0, false
			}
			off = at - 1
			size = u32(h.bins[off+8:])
			if off+size <= page*pageSize {
				return h.badBin(page)
			}
			h.fillBin(off, page)
			return off, size, true
		}
		o := p * pageSize
		if h.lazy != nil {
			if err := h.load(baseSize+int(o), binHeader); err != nil {
				return 0, 0, false
			}
		}
		b := h.bins[o:]
		if string(b[:4]) == "hbin" && u32(b[4:]) == o {
			size = u32(b[8:])
			if size != 0 && size%pageSize == 0 && uint64(o)+uint64(size) <= uint64(len(h.bins)) && o+size > page*pageSize {
				h.fillBin(o, page)
				if h.resident != nil {
					h.resident.add(size)
				}
				return o, size, true
			}
		}
		if p == 0 || h.lazy != nil {
			return h.badBin(page)
		}
	}
}

func (h *Hive) fillBin(off, page uint32) {
	for p := off / pageSize; p <= page; p++ {
		atomic.StoreUint32(&h.binAt[p], off+1)
	}
}

func (h *Hive) badBin(page uint32) (uint32, uint32, bool) {
	if h.lazy == nil {
		atomic.StoreUint32(&h.binAt[page], binBad)
	}
	return 0, 0, false
}

// checkBin reports an error unless the cell lies within one bin.
func (h *Hive) checkBin(off, n uint32) error {
	bin, size, ok := h.bin(off / pageSize)
	if !ok {
		if h.lazy != nil {
			return nil // the header is in a page that is not loaded
		}
		return faultf(ruleBinHeader, off&^(pageSize-1), "no bin header covers this page")
	}
	if off < bin+binHeader {
		return faultf(ruleCellRange, off, "cell lies in a bin header")
	}
	if off+n > bin+size {
		return faultf(ruleCellSize, off, "cell of %d bytes crosses the end of its bin", n)
	}
	return nil
}

// nk returns the payload of a key's cell and the bytes of its name.
func (h *Hive) nk(off uint32) (b, name []byte, err error) {
	b, err = h.cell(off)
	if err != nil {
		return nil, nil, err
	}
	if len(b) < nkSize || u16(b) != sigNK {
		return nil, nil, faultf(ruleNk, off, "cell is not a key")
	}
	n := int(u16(b[nkNameLen:]))
	if n > len(b)-nkSize {
		if err := h.tolerate(faultf(ruleNkName, off, "name of %d bytes goes past the cell", n), nil); err != nil {
			return nil, nil, err
		}
		n = len(b) - nkSize
	}
	return b, b[nkNameAt : nkNameAt+n], nil
}

// vk returns the payload of a value's cell and the bytes of its name.
func (h *Hive) vk(off uint32) (b, name []byte, err error) {
	b, err = h.cell(off)
	if err != nil {
		return nil, nil, err
	}
	if len(b) < vkSize || u16(b) != sigVK {
		return nil, nil, faultf(ruleVk, off, "cell is not a value")
	}
	n := int(u16(b[vkNameLen:]))
	if n > len(b)-vkSize {
		if err := h.tolerate(faultf(ruleVkName, off, "name of %d bytes goes past the cell", n), nil); err != nil {
			return nil, nil, err
		}
		n = len(b) - vkSize
	}
	return b, b[vkNameAt : vkNameAt+n], nil
}
