package regf

import (
	"fmt"

	"github.com/mullion/mullion/winfs"
)

// SetValue sets a value, as ORSetValue does: it replaces a value of the same name, keeping
// its spelling, or appends a new one. "" is the default value. Any type and any data are
// allowed, and are stored unchanged; [TerminateText] adds the NUL that a text may lack. A
// tombstone of that name becomes a value, unless Options.IgnoreLayers is set. The key keeps
// its time.
//
// Errors: ErrInvalid for a name of more than MaxValueName units or data that the version of
// the hive cannot hold, ErrDeleted for a tombstone key.
func (k Key) SetValue(name string, t Type, data []byte) error {
	return k.err("set value", k.setValue(name, t, data, 0))
}

// SetValueTombstone writes a tombstone, which hides a value of the same name in the layers
// below. The hive must be layered.
func (k Key) SetValueTombstone(name string) error {
	if k.h == nil || !k.h.layered {
		return k.err("set value", ErrInvalid)
	}
	return k.err("set value", k.setValue(name, RegNone, nil, vkTombstone))
}

func (k Key) setValue(name string, t Type, data []byte, flags uint16) error {
	h := k.h
	switch n := winfs.UTF16Len(name); {
	case !winfs.ValidWTF8(name):
		return fmt.Errorf("value name is not WTF-8: %w", ErrInvalid)
	case n > MaxValueName:
		return fmt.Errorf("value name has %d UTF-16 units, %d are allowed: %w", n, MaxValueName, ErrInvalid)
	}
	b, err := k.change()
	if err != nil {
		return err
	}
	if k.Layer() == LayerTombstone && !h.ignoreLayers {
		return ErrDeleted
	}
	if flags&vkTombstone != 0 && !h.layered {
		return ErrInvalid
	}
	switch {
	case u16(b[nkFlags:])&uint16(KeyPredefined) != 0:
		return fmt.Errorf("key is a predefined handle and has no values: %w", ErrInvalid)
	case len(data) > maxBins/2 || h.minor > 3 && len(data) > MaxBigData:
		return fmt.Errorf("data of %d bytes is more than the hive can hold: %w", len(data), ErrInvalid)
	}
	_, off, err := k.findValue(name)
	if err != nil {
		return err
	}
	if off != nilCell {
		return k.replaceData(off, t, data, flags)
	}
	raw, latin := encodeName(name)
	if latin && len(raw) > 0 { // a default value has no flag, as in offreg's hives
		flags |= vkLatin
	}
	if off, err = h.newValue(raw, flags, t, data); err != nil {
		return err
	}
	if err := k.addValue(off); err != nil {
		h.freeValue(off)
		return err
	}
	if b, err = k.node(); err != nil {
		return err
	}
	raise(b[nkMaxValName:], uint32(2*unitsOf(raw, latin)))
	raise(b[nkMaxValData:], uint32(len(data)))
	return nil
}

// newValue writes a value that no list refers to yet.
func (h *Hive) newValue(raw []byte, flags uint16, t Type, data []byte) (uint32, error) {
	off, err := h.alloc(vkSize + len(raw))
	if err != nil {
		return 0, err
	}
	b := h.bins[off+4:]
	put16(b, sigVK)
	put16(b[vkNameLen:], uint16(len(raw)))
	put32(b[vkType:], uint32(t))
	put16(b[vkFlags:], flags)
	copy(b[vkNameAt:], raw)
	if err := h.putData(off, data, flags); err != nil {
		h.free(off)
		return 0, err
	}
	return off, nil
}

// putData stores data and points a value at it. Empty data is inline data of no bytes, as
// in all hives that Windows wrote: libhivex follows the pointer of any other. Only a
// tombstone has a size of 0 and no data.
func (h *Hive) putData(vk uint32, data []byte, flags uint16) error {
	size, at := uint32(len(data)), uint32(nilCell)
	switch {
	case flags&vkTombstone != 0:
		size = 0
	case size <= 4:
		var field [4]byte
		copy(field[:], data)
		size, at = size|inlineBit, u32(field[:])
	default:
		var err error
		if at, err = h.storeData(data); err != nil {
			return err
		}
	}
	b := h.bins[vk+4:]
	put32(b[vkDataSize:], size)
	put32(b[vkData:], at)
	return nil
}

// storeData writes data of more than 4 bytes to cells.
func (h *Hive) storeData(data []byte) (uint32, error) {
	if !h.bigData(uint32(len(data))) {
		off, err := h.alloc(len(data))
		if err == nil {
			copy(h.bins[off+4:], data)
		}
		return off, err
	}
	n := (len(data) + segmentSize - 1) / segmentSize
	if n > 0xFFFF {
		return 0, ErrInvalid
	}
	db, err := h.alloc(8)
	if err != nil {
		return 0, err
	}
	list, err := h.alloc(4 * n)
	if err != nil {
		h.free(db)
		return 0, err
	}
	b := h.bins[db+4:]
	put16(b, sigDB)
	put16(b[2:], uint16(n))
	put32(b[4:], list)
	for i := range n {
		part := data[i*segmentSize : min(len(data), (i+1)*segmentSize)]
		seg, err := h.alloc(segmentSize) // the last one too, see shortSegment
		if err != nil {
			for j := range i {
				h.free(u32(h.bins[list+4+uint32(4*j):]))
			}
			h.free(list)
			h.free(db)
			return 0, err
		}
		copy(h.bins[seg+4:], part)
		put32(h.bins[list+4+uint32(4*i):], seg)
	}
	return db, nil
}

// freeData frees the cells of a value's data.
func (h *Hive) freeData(size, at uint32) {
	if size == 0 {
		if _, ok := h.edit.emptied[at]; ok {
			delete(h.edit.emptied, at)
			h.free(at)
		}
		return
	}
	if size&inlineBit != 0 || at == nilCell {
		return
	}
	if h.bigData(size) && !h.isFlat(at, size) {
		if list, n, err := h.segments(at); err == nil {
			if c, err := h.cell(list); err == nil {
				for i := 0; i < n && 4*i+4 <= len(c); i++ {
					h.free(u32(c[4*i:]))
				}
			}
			h.free(list)
		}
	}
	h.free(at)
}

func (h *Hive) freeValue(off uint32) {
	b, _, err := h.vk(off)
	if err != nil {
		return
	}
	h.freeData(u32(b[vkDataSize:]), u32(b[vkData:]))
	h.free(off)
}

// replaceData replaces the type and data of an existing value.
func (k Key) replaceData(off uint32, t Type, data []byte, flags uint16) error {
	h := k.h
	b, _, err := h.vk(off)
	if err != nil {
		return err
	}
	oldSize, old := u32(b[vkDataSize:]), u32(b[vkData:])
	n := uint32(len(data))
	if flat, err := h.cell(old); err == nil && oldSize&inlineBit == 0 && oldSize > 4 && n > 4 &&
		!h.bigData(oldSize) && !h.bigData(n) && int(n) <= len(flat) {
		copy(flat, data)
		clear(flat[n:])
		h.shrink(old, round8(n+4))
		put32(b[vkDataSize:], n)
	} else {
		if err := h.putData(off, data, flags); err != nil {
			return err
		}
		h.freeData(oldSize, old)
		if b, _, err = h.vk(off); err != nil {
			return err
		}
	}
	put32(b[vkType:], uint32(t))
	if !h.ignoreLayers {
		put16(b[vkFlags:], u16(b[vkFlags:])&^vkTombstone|flags&vkTombstone)
	}
	kb, err := k.node()
	if err != nil {
		return err
	}
	raise(kb[nkMaxValData:], n)
	return nil
}

// addValue appends a value to the list of its key.
func (k Key) addValue(off uint32) error {
	h := k.h
	b, err := k.node()
	if err != nil {
		return err
	}
	n := int(u32(b[nkValues:]))
	list := u32(b[nkValueList:])
	if n == 0 || list == nilCell {
		n = 0
		if list, err = h.alloc(4); err != nil {
			return err
		}
	} else {
		c, err := h.cell(list)
		if err != nil {
			return err
		}
		if n > len(c)/4 {
			return faultf(ruleValueCount, k.off, "%d values do not fit in their list", n)
		}
		if 4*(n+1) > len(c) {
			if list, err = h.resize(list, 4*(n+1+n/4)); err != nil {
				return err
			}
		}
	}
	if b, err = k.node(); err != nil {
		return err
	}
	put32(b[nkValueList:], list)
	put32(h.bins[list+4+uint32(4*n):], off)
	put32(b[nkValues:], uint32(n+1))
	return nil
}

// DeleteValue deletes a value by its name. A missing one is ErrNotFound. As with offreg,
// the key keeps its time and its fields for the longest name and data.
func (k Key) DeleteValue(name string) error {
	if _, err := k.change(); err != nil {
		return k.err("delete value", err)
	}
	i, off, err := k.findValue(name)
	if err == nil && off == nilCell {
		err = ErrNotFound
	}
	if err == nil {
		err = k.removeValue(i)
	}
	return k.err("delete value", err)
}

// removeValue deletes the value at index i.
func (k Key) removeValue(i int) error {
	h := k.h
	b, err := k.node()
	if err != nil {
		return err
	}
	n, list := int(u32(b[nkValues:])), u32(b[nkValueList:])
	c, err := h.cell(list)
	if err != nil {
		return err
	}
	if i >= n || n > len(c)/4 {
		return faultf(ruleValueCount, k.off, "%d values do not fit in their list", n)
	}
	off := u32(c[4*i:])
	if _, _, err := h.vk(off); err != nil {
		return err
	}
	copy(c[4*i:], c[4*(i+1):4*n])
	clear(c[4*(n-1) : 4*n])
	put32(b[nkValues:], uint32(n-1))
	h.freeValue(off)
	if n == 1 {
		h.free(list)
		put32(b[nkValueList:], nilCell)
	} else if len(c) > 8*n+256 {
		h.shrink(list, round8(uint32(4*(n-1)+4)))
	}
	return nil
}
