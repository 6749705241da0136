package regf

import "math/bits"

// editor is the state of a hive that is being edited: the starts of cells, the free cells,
// and the users of each descriptor. A bin is read when one of its cells is freed or when
// space is allocated, from the first bin on, so that a small edit of a large hive reads
// little of it.
type editor struct {
	starts []uint64 // one bit per 8 bytes of bins that were read: a cell starts here
	known  []uint64 // one bit per page that is the start of a bin that was read
	next   uint32   // the next bin to read in the search for space

	// free holds candidates by size: list i < linearLists has cells of 8*i bytes, the other
	// lists cells by powers of two. An entry is a hint: it counts only if a free cell of
	// that list still starts there, so that merging need not search lists.
	free   [linearLists + 24][]uint32
	filled [(linearLists + 24 + 63) / 64]uint64 // one bit per list that has entries

	// emptied holds the cells that belong to values without data and to no other owner.
	// Freeing a cell that has another owner would destroy that, and not freeing one of
	// these would leak it.
	emptied map[uint32]struct{}

	secs    map[string]uint32 // descriptor to cell, nil until needed
	heir    []byte            // inherited descriptor for children of heirOf, if not nil
	heirOf  uint32
	depths  [2]keyDepth // of the last new key and its parent, see depthOf
	counted bool        // reference counts were verified
	changed bool
}

const linearLists = 129 // sizes up to 1,024 bytes have lists of their own

func freeList(size uint32) int {
	if size/8 < linearLists {
		return int(size / 8)
	}
	return linearLists + bits.Len32(size) - 11 // 1,032 and more
}

// begin prepares for an edit.
func (h *Hive) begin() error {
	switch {
	case h.edit != nil:
		h.edit.changed = true
		return nil
	case h.bins == nil:
		return ErrClosed
	case h.minor < 3:
		return ErrUnsupported
	case h.dirty && !h.editDirty:
		return ErrDirty
	}
	if err := h.loadAll(); err != nil {
		return err
	}
	if h.lazy != nil && h.unmap != nil {
		// All of the hive is in memory. An open file could not be replaced by the edited
		// hive on the systems without a mapping here.
		release := h.unmap
		h.unmap = nil
		if err := release(); err != nil {
			return err
		}
	}
	h.lazy = nil
	pages := len(h.bins) / pageSize
	e := &editor{starts: make([]uint64, (len(h.bins)/8+63)/64), known: make([]uint64, (pages+63)/64), changed: true}
	if err := h.prove(e); err != nil {
		return needsRepair(err)
	}
	h.resident = nil // edited pages exist in memory alone
	if !h.owned {
		h.adopt(append([]byte(nil), h.data[:baseSize+len(h.bins)]...), len(h.bins))
		h.owned = true
	}
	h.edit = e
	clear(h.seen) // cells must satisfy more rules from now on, see proper
	return nil
}

// proper verifies that a cell in use is one of the cells into which its bin is cut. In a
// hive that is being edited no other cell is read, in any mode: writing to a cell inside
// another would change the size of a third.
func (e *editor) proper(h *Hive, off uint32) error {
	bin, _, ok := h.bin(off / pageSize)
	if !ok {
		return faultf(ruleBinHeader, off&^(pageSize-1), "no bin header covers this page")
	}
	if _, _, err := e.read(h, bin); err != nil {
		return err
	}
	if !e.begins(off) {
		return faultf(ruleCellOverlap, off, "cell begins inside another cell")
	}
	return nil
}

// adopt replaces the memory of the hive.
func (h *Hive) adopt(data []byte, bins int) {
	h.data = data
	h.bins = data[baseSize : baseSize+bins : baseSize+bins]
}

func (e *editor) mark(off uint32)           { e.starts[off>>9] |= 1 << (off >> 3 & 63) }
func (e *editor) unmark(off uint32)         { e.starts[off>>9] &^= 1 << (off >> 3 & 63) }
func (e *editor) begins(off uint32) bool    { return e.starts[off>>9]>>(off>>3&63)&1 != 0 }
func (h *Hive) rawSize(off uint32) int32    { return int32(u32(h.bins[off:])) }
func (h *Hive) setSize(off uint32, n int32) { put32(h.bins[off:], uint32(n)) }

// offer puts a free cell on its list.
func (e *editor) offer(off, size uint32) {
	l := freeList(size)
	e.free[l] = append(e.free[l], off)
	e.filled[l/64] |= 1 << (l % 64)
}

// nextFilled returns the first list from l on that has entries, or -1.
func (e *editor) nextFilled(l int) int {
	for i := l / 64; i < len(e.filled); i++ {
		w := e.filled[i]
		if i == l/64 {
			w &= ^uint64(0) << (l % 64)
		}
		if w != 0 {
			return 64*i + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// read records the cells of a bin, merges free neighbours and refuses a bin that is not
// properly cut into cells. It returns the end of the bin and the largest free cell.
func (e *editor) read(h *Hive, bin uint32) (binEnd, largest uint32, err error) {
	b := h.bins
	if binEnd, err = h.binEnd(bin); err != nil {
		return 0, 0, err
	}
	page := bin / pageSize
	if e.known[page/64]>>(page%64)&1 != 0 {
		return binEnd, 0, nil
	}
	// Verify first: a bin that is refused is not changed.
	for off := bin + binHeader; off < binEnd; {
		n := h.rawSize(off)
		if n < 0 {
			n = -n
		}
		if n < 8 || n%8 != 0 || uint64(off)+uint64(n) > uint64(binEnd) {
			return 0, 0, faultf(ruleCellSize, off, "size %d does not fit in its bin", h.rawSize(off))
		}
		off += uint32(n)
	}
	e.known[page/64] |= 1 << (page % 64)
	h.fillBin(bin, binEnd/pageSize-1)
	var offers [64]span
	spans, merged := offers[:0], false
	for off := bin + binHeader; off < binEnd; {
		n := h.rawSize(off)
		switch {
		case n < 0:
			e.mark(off)
			merged = false
			off += uint32(-n)
		case merged:
			clear(b[off : off+4])
			last := &spans[len(spans)-1]
			last.size += uint32(n)
			h.setSize(last.off, int32(last.size))
			off += uint32(n)
		default:
			e.mark(off)
			spans = append(spans, span{off, uint32(n)})
			merged = true
			off += uint32(n)
		}
	}
	for i := len(spans) - 1; i >= 0; i-- { // so that low addresses are taken first
		e.offer(spans[i].off, spans[i].size)
		largest = max(largest, spans[i].size)
	}
	return binEnd, largest, nil
}

// space removes a free cell of size bytes or more from its list and returns it, reading
// bins until one has such a cell.
func (e *editor) space(h *Hive, size uint32) (uint32, bool, error) {
	for {
		if off, ok := e.takeFree(h, size); ok {
			return off, true, nil
		}
		var largest uint32
		for largest < size {
			if uint64(e.next) >= uint64(len(h.bins)) {
				return 0, false, nil
			}
			var err error
			if e.next, largest, err = e.read(h, e.next); err != nil {
				return 0, false, err
			}
		}
	}
}

// takeFree removes a free cell of size bytes or more from its list and returns it.
func (e *editor) takeFree(h *Hive, size uint32) (uint32, bool) {
	valid := func(off uint32, list int) bool {
		if uint64(off)+8 > uint64(len(h.bins)) || !e.begins(off) {
			return false
		}
		n := h.rawSize(off)
		return n > 0 && freeList(uint32(n)) == list
	}
	for l := e.nextFilled(freeList(size)); l >= 0; l = e.nextFilled(l + 1) {
		stack := e.free[l]
		for len(stack) > 0 && !valid(stack[len(stack)-1], l) {
			stack = stack[:len(stack)-1]
		}
		e.free[l] = stack
		if len(stack) == 0 {
			e.filled[l/64] &^= 1 << (l % 64)
			continue
		}
		// In a list of mixed sizes, the first large enough cell among the newest.
		for i := len(stack) - 1; i >= 0 && i >= len(stack)-64; i-- {
			off := stack[i]
			if valid(off, l) && uint32(h.rawSize(off)) >= size {
				e.free[l] = append(stack[:i], stack[i+1:]...)
				return off, true
			}
		}
	}
	return 0, false
}

// alloc returns a new cell with room for n bytes, all zero.
func (h *Hive) alloc(n int) (uint32, error) {
	if uint64(n) > maxBins-pageSize {
		return 0, errCellLimit
	}
	size := round8(uint32(n) + 4)
	off, ok, err := h.edit.space(h, size)
	if err != nil {
		return 0, err
	}
	if !ok {
		if off, err = h.addBin(size); err != nil {
			return 0, err
		}
	}
	have := uint32(h.rawSize(off))
	h.setSize(off, -int32(size))
	clear(h.bins[off+4 : off+size])
	h.setSeen(off)
	if rest := have - size; rest != 0 {
		h.setSize(off+size, int32(rest))
		h.edit.mark(off + size)
		h.edit.offer(off+size, rest)
	}
	return off, nil
}

// maxRoom bounds the room of Grow, which takes address space.
const maxRoom = 1 << 26 << (4 * (^uint(0) >> 63)) // 1 GiB, or 64 MiB where int has 32 bits

// Grow tells the hive that edits will add about n bytes to it. It is then not copied each
// time it has become larger. Room that is not used takes address space alone. More may be
// added; n is only a hint, and a negative one is 0.
func (h *Hive) Grow(n int64) { h.room = int(max(0, min(n, maxRoom))) }

// addBin appends a bin that is one free cell of at least size bytes.
func (h *Hive) addBin(size uint32) (uint32, error) {
	old := uint32(len(h.bins))
	add := roundPage(size + binHeader)
	if uint64(old)+uint64(add) > maxBins {
		return 0, errBinsLimit
	}
	total := int(old + add)
	data := h.data[:baseSize+int(old)] // bytes after the bins are dropped
	if cap(data) < baseSize+total || h.unmap != nil && !h.grown {
		room := total / 8
		if h.grown { // it is being filled; memory that is not used stays with the system
			room = min(total, maxRoom)
		}
		room = max(room, h.room-int(add))
		bigger := make([]byte, baseSize+total, baseSize+total+room+1<<16)
		copy(bigger, data)
		data = bigger
		h.grown = true // the mapping is kept until Close: returned data points into it
	} else {
		data = data[:baseSize+total]
		clear(data[baseSize+int(old):])
	}
	h.adopt(data, total)
	b := h.bins[old:]
	copy(b, "hbin")
	put32(b[4:], old)
	put32(b[8:], add)
	e := h.edit
	for len(e.starts) < (total/8+63)/64 {
		e.starts = append(e.starts, 0)
	}
	for len(e.known) < (total/pageSize+63)/64 {
		e.known = append(e.known, 0)
	}
	e.known[old/pageSize/64] |= 1 << (old / pageSize % 64)
	for len(h.seen) < (total/8+31)/32 {
		h.seen = append(h.seen, 0)
	}
	for len(h.binAt) < total/pageSize {
		h.binAt = append(h.binAt, old+1)
	}
	off := old + binHeader
	h.setSize(off, int32(add-binHeader))
	e.mark(off)
	return off, nil
}

// free frees a cell, zeroed and merged with free neighbours.
func (h *Hive) free(off uint32) {
	e := h.edit
	if off < binHeader || uint64(off)+8 > uint64(len(h.bins)) {
		return
	}
	bin, binSize, ok := h.bin(off / pageSize)
	if !ok {
		return
	}
	if _, _, err := e.read(h, bin); err != nil {
		return // a damaged bin is not changed
	}
	if off&7 != 0 || uint64(off)+8 > uint64(len(h.bins)) || !e.begins(off) || h.rawSize(off) >= 0 {
		return // not a cell in use: nothing to free
	}
	size := uint32(-h.rawSize(off))
	clear(h.bins[off : off+size])
	h.clearSeen(off)
	if next := off + size; next < bin+binSize {
		if n := h.rawSize(next); n > 0 {
			e.unmark(next)
			put32(h.bins[next:], 0)
			size += uint32(n)
		}
	}
	if off > bin+binHeader {
		prev := e.before(off)
		if n := h.rawSize(prev); n > 0 {
			e.unmark(off)
			off, size = prev, size+uint32(n)
		}
	}
	h.setSize(off, int32(size))
	e.offer(off, size)
}

// before returns the start of the preceding cell of the same bin.
func (e *editor) before(off uint32) uint32 {
	i := off>>3 - 1
	for {
		w := e.starts[i>>6] & (^uint64(0) >> (63 - i&63))
		if w != 0 {
			return (i&^63 + uint32(63-bits.LeadingZeros64(w))) << 3
		}
		i = i&^63 - 1
	}
}

// resize makes room for n bytes in a cell, in place if possible, and returns its new
// offset. The bytes beyond the old size are zero.
func (h *Hive) resize(off uint32, n int) (uint32, error) {
	have := uint32(-h.rawSize(off))
	if uint64(n) > maxBins-pageSize {
		return 0, errCellLimit
	}
	size := round8(uint32(n) + 4)
	if size <= have {
		h.shrink(off, size)
		return off, nil
	}
	bin, binSize, ok := h.bin(off / pageSize)
	if ok {
		if _, _, err := h.edit.read(h, bin); err != nil {
			return 0, err
		}
	}
	if next := off + have; ok && next < bin+binSize {
		if m := h.rawSize(next); m > 0 && have+uint32(m) >= size {
			h.edit.unmark(next)
			clear(h.bins[next : off+size])
			h.setSize(off, -int32(size))
			if rest := have + uint32(m) - size; rest != 0 {
				h.setSize(off+size, int32(rest))
				h.edit.mark(off + size)
				h.edit.offer(off+size, rest)
			}
			return off, nil
		}
	}
	to, err := h.alloc(n)
	if err != nil {
		return 0, err
	}
	copy(h.bins[to+4:to+size], h.bins[off+4:off+have])
	h.free(off)
	return to, nil
}

// shrink truncates a cell to size bytes and frees the rest.
func (h *Hive) shrink(off, size uint32) {
	have := uint32(-h.rawSize(off))
	if size >= have {
		return
	}
	bin, _, ok := h.bin(off / pageSize)
	if !ok {
		return
	}
	if _, _, err := h.edit.read(h, bin); err != nil {
		return
	}
	h.setSize(off, -int32(size))
	rest := off + size
	h.setSize(rest, -int32(have-size))
	h.edit.mark(rest)
	h.free(rest)
}

func trailing(w uint64) int { return bits.TrailingZeros64(w) }
