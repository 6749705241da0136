package regf

import (
	"fmt"
	"iter"
)

// Type is the type of a value. All 32-bit numbers are legal; those without a name here are
// kept.
type Type uint32

// The predefined types.
const (
	RegNone                     Type = 0
	RegSZ                       Type = 1
	RegExpandSZ                 Type = 2
	RegBinary                   Type = 3
	RegDword                    Type = 4
	RegDwordBigEndian           Type = 5
	RegLink                     Type = 6
	RegMultiSZ                  Type = 7
	RegResourceList             Type = 8
	RegFullResourceDescriptor   Type = 9
	RegResourceRequirementsList Type = 10
	RegQword                    Type = 11
)

// Value is a value of a key in an open hive.
type Value struct {
	h   *Hive
	off uint32
	key uint32 // cell of the key by which it was reached, for errors
}

// Values yields the values in stored order. In strict mode the first fault ends the
// sequence with an error.
func (k Key) Values() iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) { k.values(yield) }
}

func (k Key) values(yield func(Value, error) bool) {
	list, err := k.valueList()
	if err != nil {
		if err = k.fault(err); err != nil {
			yield(Value{}, k.err("list values", err))
		}
		return
	}
	for ; len(list) >= 4; list = list[4:] {
		off := u32(list)
		b, _, err := k.h.vk(off)
		if err == nil && k.w != nil {
			err = k.w.claimValue(k.h, off, b)
		}
		if err != nil {
			if err = k.fault(err); err != nil {
				yield(Value{}, k.err("list values", err))
				return
			}
			continue
		}
		if !yield(Value{h: k.h, off: off, key: k.off}, nil) {
			return
		}
	}
}

// fault returns an error if reading must stop, or nil after recording it.
func (k Key) fault(err error) error {
	if k.h == nil || !isFault(err) {
		return err
	}
	return k.h.tolerate(err, &k)
}

// valueList returns the entries of the value list, in place.
func (k Key) valueList() ([]byte, error) {
	b, err := k.node()
	if err != nil {
		return nil, err
	}
	n := u32(b[nkValues:])
	if n == 0 || u16(b[nkFlags:])&uint16(KeyPredefined) != 0 || k.h.view != nil && k.brokenLink(b) {
		return nil, nil
	}
	off := u32(b[nkValueList:])
	c, err := k.h.cell(off)
	if err != nil {
		return nil, err
	}
	if uint64(n)*4 > uint64(len(c)) {
		if err := k.h.tolerate(faultf(ruleValueCount, k.off, "%d values do not fit in their list at %#x", n, off), &k); err != nil {
			return nil, err
		}
		n = uint32(len(c) / 4)
	}
	if k.w != nil && !k.w.claim(off) {
		return nil, faultf(ruleValueListShared, off, "list of values is reached twice")
	}
	return c[:n*4], nil
}

// claimValue marks a value and the cells of its data.
func (w *walk) claimValue(h *Hive, off uint32, b []byte) error {
	if !w.claim(off) {
		return faultf(ruleVkTwice, off, "value is reached twice")
	}
	size, data := u32(b[vkDataSize:]), u32(b[vkData:])
	if size&inlineBit != 0 || size == 0 || data&7 != 0 || uint64(data) >= uint64(len(h.bins)) {
		return nil
	}
	if !w.claim(data) {
		return faultf(ruleDataShared, data, "data of a value is reached twice")
	}
	if !h.bigData(size) || h.isFlat(data, size) {
		return nil
	}
	list, n, err := h.segments(data)
	if err != nil {
		return nil // reading the data returns the error
	}
	if !w.claim(list) {
		return faultf(ruleDataShared, list, "list of data segments is reached twice")
	}
	c, err := h.cell(list)
	if err != nil {
		return nil
	}
	for i := 0; i < n && 4*i+4 <= len(c); i++ {
		if s := u32(c[4*i:]); s&7 == 0 && uint64(s) < uint64(len(h.bins)) && !w.claim(s) {
			return faultf(ruleDataShared, s, "data segment is reached twice")
		}
	}
	return nil
}

// ValueAt returns the value with an index from 0, in stored order, as OREnumValue does.
// Past the last value it returns ErrNoMore.
func (k Key) ValueAt(index int) (Value, error) {
	k.w = nil
	list, err := k.valueList()
	if err == nil && (index < 0 || index >= len(list)/4) {
		err = ErrNoMore
	}
	if err != nil {
		return Value{}, k.err("list values", err)
	}
	off := u32(list[4*index:])
	if _, _, err := k.h.vk(off); err != nil {
		k.note(err)
		return Value{}, k.err("list values", err)
	}
	return Value{h: k.h, off: off, key: k.off}, nil
}

// Value finds a value by its name, without regard to case; "" is the default value. A
// missing one is ErrNotFound. Tombstones are found too.
func (k Key) Value(name string) (Value, error) {
	_, off, err := k.findValue(name)
	if err != nil {
		return Value{}, k.err("open value", err)
	}
	if off == nilCell {
		return Value{}, k.err("open value", fmt.Errorf("value %q: %w", name, ErrNotFound))
	}
	return Value{h: k.h, off: off, key: k.off}, nil
}

// findValue returns the index and cell of a value, or nilCell.
func (k Key) findValue(name string) (int, uint32, error) {
	k.w = nil
	list, err := k.valueList()
	if err != nil {
		return 0, nilCell, err
	}
	var t target
	t.set(name)
	for i := 0; i+4 <= len(list); i += 4 {
		off := u32(list[i:])
		b, stored, err := k.h.vk(off)
		if err != nil {
			if err = k.fault(err); err != nil {
				return 0, nilCell, err
			}
			continue
		}
		if t.equal(stored, k.h.latinValue(b)) {
			return i / 4, off, nil
		}
	}
	return 0, nilCell, nil
}

func (v Value) node() ([]byte, error) {
	if v.h == nil {
		return nil, ErrDeleted
	}
	b, _, err := v.h.vk(v.off)
	return b, err
}

// Valid reports whether the value can be read.
func (v Value) Valid() bool {
	_, err := v.node()
	return err == nil
}

// Offset returns the value's cell offset.
func (v Value) Offset() uint32 { return v.off }

// RawName returns the stored bytes of the name, in place, and whether they are
// Latin-1 rather than UTF-16.
func (v Value) RawName() (name []byte, latin bool) {
	if v.h == nil {
		return nil, true
	}
	b, name, err := v.h.vk(v.off)
	if err != nil {
		return nil, true
	}
	return name, v.h.latinValue(b)
}

// latinValue reports whether a value's name is stored as Latin-1.
func (h *Hive) latinValue(b []byte) bool { return b[vkFlags]&vkLatin != 0 && !h.ancient() }

// Name returns the name in WTF-8, "" for the default value.
func (v Value) Name() string { return nameString(v.RawName()) }

// AppendName appends the name in WTF-8 to dst.
func (v Value) AppendName(dst []byte) []byte {
	name, latin := v.RawName()
	return appendName(dst, name, latin)
}

// NameEqualFold reports whether the value has this name, without regard to case.
func (v Value) NameEqualFold(name string) bool {
	var t target
	t.set(name)
	return t.equal(v.RawName())
}

// NameHash returns the hash of the name. Names that are equal without regard to case have
// the same hash.
func (v Value) NameHash() uint32 { return hashStored(v.RawName()) }

// CompareName orders the names of two values without regard to case: -1, 0, +1.
// Values are not stored in this order.
func (v Value) CompareName(other Value) int {
	a, la := v.RawName()
	b, lb := other.RawName()
	return compareStored(a, la, b, lb)
}

// Type returns the type.
func (v Value) Type() Type {
	if b, err := v.node(); err == nil {
		return Type(u32(b[vkType:]))
	}
	return 0
}

// Flags returns the flags of the value's cell.
func (v Value) Flags() uint16 {
	if b, err := v.node(); err == nil {
		if v.h.view != nil {
			return u16(b[vkFlags:]) & vkLatin
		}
		return u16(b[vkFlags:])
	}
	return 0
}

// Tombstone reports whether the value hides one of the same name in the layers
// below; false where the hive is not layered.
func (v Value) Tombstone() bool {
	return v.h != nil && v.h.layered && v.Flags()&vkTombstone != 0
}

// Size returns the declared size of the data in bytes.
func (v Value) Size() int {
	if b, err := v.node(); err == nil {
		return int(u32(b[vkDataSize:]) &^ inlineBit)
	}
	return 0
}

// bigData reports whether data of a size is cut into segments. Only size and version
// decide: a flat cell may start with the letters db.
func (h *Hive) bigData(size uint32) bool { return size > segmentSize && h.minor > 3 }

// Data returns the data. Data stored in one piece is returned in place: it must not be
// changed, and is valid until the hive is edited or closed. If the hive is truncated, the
// remaining part is returned with the error.
func (v Value) Data() ([]byte, error) {
	b, err := v.node()
	if err != nil {
		return nil, v.err(err)
	}
	size := u32(b[vkDataSize:])
	if size&inlineBit != 0 {
		n := size &^ inlineBit
		if n > 4 {
			err = faultf(ruleDataInline, v.off, "%d bytes are stored in a field of 4", n)
			n = 4
		}
		return b[vkData : vkData+n : vkData+n], v.fault(err)
	}
	if size == 0 {
		return nil, nil
	}
	off := u32(b[vkData:])
	if v.h.bigData(size) {
		return v.appendBig(nil, off, size)
	}
	c, err := v.h.cell(off)
	if err != nil {
		return nil, v.fault(err)
	}
	if uint64(size) > uint64(len(c)) {
		return c, v.fault(faultf(ruleDataSize, off, "%d bytes of data go past their cell", size))
	}
	return c[:size:size], nil
}

// AppendData appends the data to dst.
func (v Value) AppendData(dst []byte) ([]byte, error) {
	b, err := v.node()
	if err != nil {
		return dst, v.err(err)
	}
	if size := u32(b[vkDataSize:]); size&inlineBit == 0 && v.h.bigData(size) {
		return v.appendBig(dst, u32(b[vkData:]), size)
	}
	data, err := v.Data()
	return append(dst, data...), err
}

// CopyData copies the data into buf and returns its size, as ORGetValue does: a nil buffer
// requests the size only; if buf is too small, the error is ErrMoreData.
func (v Value) CopyData(buf []byte) (int, error) {
	n := v.Size()
	if buf == nil {
		if !v.Valid() {
			return 0, v.err(ErrDeleted)
		}
		return n, nil
	}
	if len(buf) < n {
		return n, v.err(ErrMoreData)
	}
	data, err := v.AppendData(buf[:0])
	return len(data), err
}

// segments returns the list cell and number of segments of big data.
func (h *Hive) segments(off uint32) (list uint32, n int, err error) {
	c, err := h.cell(off)
	if err != nil {
		return 0, 0, err
	}
	if len(c) < 8 || u16(c) != sigDB {
		return 0, 0, faultf(ruleDb, off, "cell is not the head of big data")
	}
	return u32(c[4:]), int(u16(c[2:])), nil
}

// isFlat reports whether one cell holds all data of a size that is normally cut into
// segments: libhivex writes it so in every version. Windows would take the cell for a list.
func (h *Hive) isFlat(off, size uint32) bool {
	c, err := h.cell(off)
	return err == nil && uint64(size) <= uint64(len(c))
}

// shortSegment reports whether the cell of a data segment has less room than a whole
// segment. The last cell needs that room too, however little data is left for it: the
// Offline Registry Library, 6.2 and 10.0 alike, silently drops a value with a short one
// when it opens the hive, and Windows writes none.
func shortSegment(cell []byte) bool { return len(cell) < segmentSize }

func flatData(off, size uint32) error {
	return faultf(ruleDbFlat, off, "%d bytes of data are in one cell, where this version uses segments", size)
}

func (v Value) appendBig(dst []byte, off, size uint32) ([]byte, error) {
	h := v.h
	if h.isFlat(off, size) {
		if c, err := h.cell(off); err == nil && h.mode != Strict {
			dst = append(dst, c[:size]...)
		}
		return dst, v.fault(flatData(off, size))
	}
	list, n, err := h.segments(off)
	if err != nil {
		return dst, v.fault(err)
	}
	need := int((size + segmentSize - 1) / segmentSize)
	c, err := h.cell(list)
	if err != nil {
		return dst, v.fault(err)
	}
	if n != need || 4*n > len(c) {
		err = faultf(ruleDbCount, off, "%d segments where %d bytes need %d", n, size, need)
		if h.mode == Strict {
			return dst, v.fault(err)
		}
		n = min(n, need, len(c)/4)
	}
	if room := min(int(size), n*segmentSize); cap(dst)-len(dst) < room {
		dst = append(make([]byte, 0, len(dst)+room), dst...)
	}
	left := size
	for i := range n {
		at := u32(c[4*i:])
		s, serr := h.cell(at)
		if serr != nil {
			return dst, v.fault(serr)
		}
		want := min(left, segmentSize)
		if uint64(want) > uint64(len(s)) {
			return append(dst, s...), v.fault(faultf(ruleDbSegment, at, "segment is shorter than %d bytes", want))
		}
		dst = append(dst, s[:want]...)
		left -= want
	}
	return dst, v.fault(err)
}

// fault records a fault in the data and returns it as an error.
func (v Value) fault(err error) error {
	if err == nil {
		return nil
	}
	if v.h.mode == Strict {
		return v.err(err)
	}
	// The finding contains the key. Millions of faults far below the root must not all
	// determine its path.
	k := Key{h: v.h, off: v.key}
	v.h.note(err, &k)
	return v.h.opError("read value "+v.Name(), "", int64(v.off), err)
}

func (v Value) err(err error) error {
	if v.h == nil {
		return &Error{Op: "read value", Offset: -1, Err: err}
	}
	return v.h.opError("read value "+v.Name(), Key{h: v.h, off: v.key}.Path(), int64(v.off), err)
}
