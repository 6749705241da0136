package regf

import (
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// DeletedKey is a key that is no longer part of the tree: its cell is free, or in use and
// nothing points at it. Its contents were true once; its parent may have been replaced
// since.
type DeletedKey struct {
	Offset uint32 // of its former cell; beyond the bins too, where remains of older ones are
	Name   string
	// Path ends in Name. It leads through keys that are deleted too, up to the root if
	// Rooted is set, else from the highest of them that is still known.
	Path      string
	Rooted    bool
	LastWrite winfs.Filetime
	Free      bool // from free space; otherwise from a cell that is in use
	Values    []DeletedValue
}

// DeletedValue is a value that is no longer part of the tree.
type DeletedValue struct {
	Offset   uint32
	Name     string
	Type     Type
	Size     int    // as it was declared
	Data     []byte // a copy; nil where Complete is false and nothing is left
	Complete bool   // the bytes of Data have not been reused since
	Free     bool
}

// Deleted is the result of [Hive.Deleted].
type Deleted struct {
	Keys   []DeletedKey
	Values []DeletedValue // those that no recovered key lists
}

// maxDeleted bounds the result that a hostile hive can cause, in records and, times
// 4,096, in bytes of data.
const maxDeleted = 1 << 18

// Deleted searches for deleted keys and values in free cells, in cells that nothing
// points at, and after the bins. It requires Salvage mode; in other modes the result is
// empty. A record is accepted if all of its fields can be right; a record that was
// overwritten in part can still look so, and is therefore never made part of the tree.
func (h *Hive) Deleted() (*Deleted, error) {
	if h.bins == nil {
		return nil, h.opError("salvage", "", -1, ErrClosed)
	}
	if h.mode != Salvage {
		return &Deleted{}, nil
	}
	if err := h.loadAll(); err != nil {
		return nil, h.opError("salvage", "", -1, err)
	}
	c := newChecker(h)
	c.cells()
	c.tree()
	c.ring()
	s := &salvager{c: c, v: c.v, out: &Deleted{}, room: maxDeleted * 4096}
	s.b = h.data[baseSize:]
	s.b = s.b[:min(uint64(len(s.b)), 1<<32-pageSize)&^7]
	s.markFree()
	s.scan()
	s.places()
	s.attach()
	return s.out, nil
}

type salvager struct {
	c    *checker
	v    *Hive
	b    []byte   // the bins and the bytes after them
	free []uint64 // one bit per 8 bytes that are in free cells or between cells
	out  *Deleted
	room int // bytes of data that may still be copied

	values map[uint32]*DeletedValue
	order  []uint32
}

// markFree records all space that the tree does not use.
func (s *salvager) markFree() {
	n := (len(s.b)/8 + 63) / 64
	s.free = make([]uint64, n)
	for i := range s.free {
		s.free[i] = ^uint64(0)
	}
	clearRange := func(off, size uint32) {
		for ; size > 0; off, size = off+8, size-8 {
			s.free[off>>9] &^= 1 << (off >> 3 & 63)
		}
	}
	bins := uint64(len(s.v.bins))
	for off := uint32(0); uint64(off) < bins; off += 8 {
		if !hasBit(s.c.owned, off) {
			continue
		}
		n := int32(u32(s.b[off:]))
		if n >= 0 || uint64(off)+uint64(-int64(n)) > bins {
			continue
		}
		clearRange(off, uint32(-n)&^7)
	}
	for p := uint32(0); uint64(p)+binHeader <= uint64(len(s.b)); p += pageSize {
		if string(s.b[p:p+4]) == "hbin" {
			clearRange(p, binHeader)
		}
	}
}

// unused returns the number of bytes from off on that the tree does not use, up to n.
func (s *salvager) unused(off, n uint32) uint32 {
	var got uint32
	for got < n && uint64(off+got) < uint64(len(s.b)) && hasBit(s.free, (off+got)&^7) {
		got += 8 - (off+got)&7
	}
	return min(got, n)
}

// scan examines every place where a record can start.
func (s *salvager) scan() {
	b := s.b
	s.values = make(map[uint32]*DeletedValue)
	for off := uint32(binHeader); uint64(off)+32 <= uint64(len(b)); off += 8 {
		if !hasBit(s.free, off) || len(s.out.Keys)+len(s.order) >= maxDeleted {
			continue
		}
		at := off + s.v.cellHdr
		switch u16(b[at:]) {
		case sigNK:
			s.key(off, at)
		case sigVK:
			s.value(off, at)
		}
	}
}

// inFree reports whether a cell that starts at off is free: its size is positive, or it was
// merged into a larger free cell.
func (s *salvager) inFree(off uint32) bool { return !s.inBins(off) || !hasBit(s.c.alloc, off) }

func (s *salvager) inBins(off uint32) bool { return uint64(off) < uint64(len(s.v.bins)) }

func (s *salvager) key(off, at uint32) {
	hdr := s.v.cellHdr
	b := s.b
	if uint64(at)+nkSize > uint64(len(b)) || s.unused(off, hdr+nkSize) < hdr+nkSize {
		return
	}
	n := uint32(u16(b[at+nkNameLen:]))
	latin := s.v.latinKey(b[at:])
	if n == 0 || n > 2*MaxKeyName || !latin && n%2 != 0 || s.unused(off, hdr+nkSize+n) < hdr+nkSize+n {
		return
	}
	if u16(b[at+nkFlags:])&0xFC00&^0xF000 != 0 || u32(b[at+nkSubkeys:]) > uint32(len(b)/80) {
		return
	}
	name := nameString(b[at+nkNameAt:at+nkNameAt+n], latin)
	if strings.Contains(name, `\`) {
		return
	}
	k := DeletedKey{Offset: off, Name: name, LastWrite: winfs.Filetime(u64(b[at+nkTime:])), Free: s.inFree(off)}
	s.out.Keys = append(s.out.Keys, k)
}

// places determines the paths of the keys, through recovered parents too. A hostile hive
// can contain cycles, and make every path long.
func (s *salvager) places() {
	index := make(map[uint32]int, len(s.out.Keys))
	for i, k := range s.out.Keys {
		index[k.Offset] = i
	}
	steps, room := maxDeleted*16, maxDeleted*128
	var parts []string
	for i := range s.out.Keys {
		k := &s.out.Keys[i]
		parts = append(parts[:0], k.Name)
		size := len(k.Name)
		for at := k.Offset; len(parts) <= MaxDepth && steps > 0 && size < room; steps-- {
			up := u32(s.b[at+s.v.cellHdr+nkParent:])
			if j, ok := index[up]; ok && up != at {
				parts = append(parts, s.out.Keys[j].Name)
				size += len(s.out.Keys[j].Name) + 1
				at = up
				continue
			}
			if up&7 == 0 && s.inBins(up) && hasBit(s.c.owned, up) {
				if _, _, err := s.v.nk(up); err == nil {
					k.Rooted = true
					if up != s.v.root {
						parts = append(parts, Key{h: s.v, off: up}.Path())
					}
				}
			}
			break
		}
		slices.Reverse(parts)
		k.Path = strings.Join(parts, `\`)
		room -= len(k.Path)
	}
}

func (s *salvager) value(off, at uint32) {
	hdr := s.v.cellHdr
	b := s.b
	if s.unused(off, hdr+vkSize) < hdr+vkSize {
		return
	}
	n := uint32(u16(b[at+vkNameLen:]))
	flags := u16(b[at+vkFlags:])
	latin := s.v.latinValue(b[at:])
	if n > 2*MaxValueName || !latin && n%2 != 0 || flags&^3 != 0 || s.unused(off, hdr+vkSize+n) < hdr+vkSize+n {
		return
	}
	size := u32(b[at+vkDataSize:])
	v := &DeletedValue{
		Offset: off, Name: nameString(b[at+vkNameAt:at+vkNameAt+n], latin),
		Type: Type(u32(b[at+vkType:])), Size: int(size &^ inlineBit), Free: s.inFree(off),
	}
	if size&inlineBit != 0 {
		if v.Size > 4 {
			return
		}
		v.Data = append([]byte{}, b[at+vkData:at+vkData+uint32(v.Size)]...)
		v.Complete = true
	} else if !s.data(v, u32(b[at+vkData:])) {
		return
	}
	s.values[off] = v
	s.order = append(s.order, off)
}

// data copies the remains of a value's data. It returns false if the value can never have
// been right.
func (s *salvager) data(v *DeletedValue, off uint32) bool {
	hdr := s.v.cellHdr
	b := s.b
	size := uint32(v.Size)
	if size == 0 {
		v.Complete = true
		return true
	}
	if off&7 != 0 || off < binHeader || uint64(off)+8 > uint64(len(b)) || v.Size > len(b) {
		return false
	}
	take := func(off, size uint32) bool {
		got := s.unused(off, size+hdr)
		if got <= hdr || int(got) > s.room {
			return false
		}
		v.Data = append(v.Data, b[off+hdr:min(off+got, uint32(len(b)))]...)
		s.room -= int(got)
		return got == size+hdr
	}
	if !s.v.bigData(size) {
		v.Complete = take(off, size)
		return true
	}
	at := off + hdr
	if s.unused(off, hdr+8) < hdr+8 || u16(b[at:]) != sigDB {
		return true
	}
	n, list := uint32(u16(b[at+2:])), u32(b[at+4:])
	if list&7 != 0 || uint64(list)+4 > uint64(len(b)) || s.unused(list, hdr+4*n) < hdr+4*n {
		return true
	}
	left := size
	for i := range n {
		seg := u32(b[list+hdr+4*i:])
		want := min(left, segmentSize)
		if seg&7 != 0 || seg < binHeader || uint64(seg)+8 > uint64(len(b)) || !take(seg, want) {
			return true
		}
		left -= want
	}
	v.Complete = left == 0
	return true
}

// attach adds values to the recovered keys that list them.
func (s *salvager) attach() {
	hdr := s.v.cellHdr
	b := s.b
	for i := range s.out.Keys {
		k := &s.out.Keys[i]
		at := k.Offset + hdr
		n, list := u32(b[at+nkValues:]), u32(b[at+nkValueList:])
		if n == 0 || n > uint32(len(b)/4) || list&7 != 0 || uint64(list)+4 > uint64(len(b)) || s.unused(list, hdr+4*n) < hdr+4*n {
			continue
		}
		for j := range n {
			if v := s.values[u32(b[list+hdr+4*j:])]; v != nil {
				k.Values = append(k.Values, *v)
				delete(s.values, v.Offset)
			}
		}
	}
	for _, off := range s.order {
		if v := s.values[off]; v != nil {
			s.out.Values = append(s.out.Values, *v)
		}
	}
}
