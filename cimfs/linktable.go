package cimfs

import (
	"fmt"

	"github.com/mullion/mullion/winfs"
)

// A link table maps names to values: in a directory to FileIDs, in a list of
// alternate streams to stream structures, and in the parent links of a file from
// the names that the file has to the FileIDs of the directories they are in.
//
//	0x00 u32 length of the table
//	0x04 u32 count
//	0x08 value[count]        FileID u32, or stream of 16 bytes
//	     u32 offset[count]   of each name from the start of the table
//	     names               u16 length in units, units; back to back
type linkTable struct {
	im        *Image
	r         *region
	at        RegionOffset
	length    int64
	count     int
	valueSize int
	head      [linkHeaderSize]byte
}

const (
	linkHeaderSize = 8
	idValueSize    = 4
	streamSize     = 16
)

// linkTable opens the table at o. A length >= 0 must be equal to that of the table.
func (im *Image) linkTable(o RegionOffset, length int64, valueSize int) (*linkTable, error) {
	t := new(linkTable)
	if err := t.open(im, o, length, valueSize); err != nil {
		return nil, err
	}
	return t, nil
}

// open is Image.linkTable for a t that is used again.
func (t *linkTable) open(im *Image, o RegionOffset, length int64, valueSize int) error {
	if err := im.read(o, t.head[:]); err != nil {
		return err
	}
	t.im, t.at, t.valueSize = im, o, valueSize
	t.r, _ = im.region(o.Region())
	t.length, t.count = int64(le.Uint32(t.head[:])), int(le.Uint32(t.head[4:]))
	switch {
	case o%8 != 0:
		return im.where(o, corrupt("link table is not 8-aligned"))
	case t.length < linkHeaderSize:
		return im.where(o, corrupt("link table of %d bytes", t.length))
	case length >= 0 && t.length != length:
		return im.where(o, corrupt("link table says %d bytes, its stream %d", t.length, length))
	case int64(t.count) > (t.length-linkHeaderSize)/int64(valueSize+4):
		return im.where(o, corrupt("%d entries do not fit a link table of %d bytes", t.count, t.length))
	}
	_, err := im.span(o, t.length)
	return err
}

func (t *linkTable) valueAt(i int) int64 { return linkHeaderSize + int64(i)*int64(t.valueSize) }
func (t *linkTable) offsetAt(i int) int64 {
	return linkHeaderSize + int64(t.count)*int64(t.valueSize) + int64(i)*4
}
func (t *linkTable) namesAt() int64 { return t.offsetAt(t.count) }

// fault places an error at an offset inside the table.
func (t *linkTable) fault(off int64, format string, args ...any) error {
	return t.im.where(t.at+RegionOffset(off), corrupt(format, args...))
}

// nameGuess is how much is read of a name before its length is known.
const nameGuess = 2 + 2*31

// linkWindow is a piece of a table in memory.
type linkWindow struct {
	t    *linkTable
	size int // to read at once
	from int64
	b    []byte
}

// get returns n bytes at off, which the caller keeps inside the table. A step
// forward reads a whole window, a jump only the bytes asked for: tables whose
// offsets jump about must not make the reader read the same bytes again and again.
func (w *linkWindow) get(off int64, n int) ([]byte, error) {
	if off >= w.from && off+int64(n) <= w.from+int64(len(w.b)) {
		return w.b[off-w.from:][:n], nil
	}
	size := n
	if end := w.from + int64(len(w.b)); len(w.b) == 0 || off >= w.from && off <= end {
		size = max(n, w.size)
	}
	size = int(min(int64(size), w.t.length-off))
	if cap(w.b) < size {
		w.b = make([]byte, size)
	}
	w.b = w.b[:size]
	if err := w.t.im.readAt(w.t.r, w.b, w.t.at.Offset()+off); err != nil {
		w.b = w.b[:0]
		return nil, &place{w.t.r.name(), w.t.at.Offset() + off, err}
	}
	w.from = off
	return w.b[:n], nil
}

// linkCursor reads entries in any order, best in ascending order.
type linkCursor struct {
	t                     *linkTable
	values, offsets, text linkWindow
	one                   bool // the whole table is in text
}

func (t *linkTable) cursor(window int) *linkCursor {
	c := new(linkCursor)
	c.reset(t, window)
	return c
}

// reset turns the cursor to another table; it keeps its memory.
func (c *linkCursor) reset(t *linkTable, window int) {
	c.t, c.one = t, t.length <= int64(window)
	for _, w := range [...]*linkWindow{&c.values, &c.offsets, &c.text} {
		*w = linkWindow{t: t, size: window, b: w.b[:0]}
	}
}

func (c *linkCursor) window(w *linkWindow) *linkWindow {
	if !c.one {
		return w
	}
	if len(c.text.b) == 0 {
		c.text.get(0, int(c.t.length)) // an error shows itself in the get that follows
	}
	return &c.text
}

func (c *linkCursor) value(i int) ([]byte, error) {
	return c.window(&c.values).get(c.t.valueAt(i), c.t.valueSize)
}

// nameOffset returns the offset of name i, which is inside the table.
func (c *linkCursor) nameOffset(i int) (int64, error) {
	b, err := c.window(&c.offsets).get(c.t.offsetAt(i), 4)
	if err != nil {
		return 0, err
	}
	off := int64(le.Uint32(b))
	if off < c.t.namesAt() || off > c.t.length-2 {
		return 0, c.t.fault(c.t.offsetAt(i), "name %d at %#x is outside the names of the table", i, off)
	}
	return off, nil
}

// name returns the units of name i as they are stored. They are valid
// until the next call.
func (c *linkCursor) name(i int) ([]byte, error) {
	off, err := c.nameOffset(i)
	if err != nil {
		return nil, err
	}
	w := c.window(&c.text)
	b, err := w.get(off, int(min(nameGuess, c.t.length-off)))
	if err != nil {
		return nil, err
	}
	n := int64(le.Uint16(b))
	if n > maxComponent {
		return nil, c.t.fault(off, "name %d has %d units", i, n)
	}
	if off+2+2*n > c.t.length {
		return nil, c.t.fault(off, "name %d ends outside the table", i)
	}
	if int64(len(b)) < 2+2*n {
		if b, err = w.get(off, int(2+2*n)); err != nil {
			return nil, err
		}
	}
	return b[2 : 2+2*n], nil
}

// find searches for a name, given as folded units.
func (t *linkTable) find(folded []uint16) (i int, err error) {
	c := t.cursor(0)
	lo, hi := 0, t.count
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		name, err := c.name(mid)
		if err != nil {
			return 0, err
		}
		cmp, err := t.im.compareFolded(name, folded)
		if err != nil {
			return 0, err
		}
		switch {
		case cmp == 0:
			return mid, nil
		case cmp < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, errNotExist
}

// checkComponent refuses names that no genuine image has. The units are little-endian.
func checkComponent(name []byte) error {
	for i := 0; i < len(name); i += 2 {
		switch le.Uint16(name[i:]) {
		case 0, '/', '\\':
			return corrupt("name %q has a separator or a null unit", winfs.DecodeUTF16LE(name))
		}
	}
	return nil
}

// isOdd reports whether a name is "", "." or "..": cimfs.dll takes these, and no path
// leads to them.
func isOdd(name []byte) bool {
	for i := 0; i < len(name); i += 2 {
		if le.Uint16(name[i:]) != '.' {
			return false
		}
	}
	return len(name) <= 4
}

// decodeName is winfs.DecodeUTF16LE with a short way for ASCII.
func decodeName(name []byte) string {
	var buf [maxComponent]byte
	n := len(name) / 2
	if n > len(buf) {
		return winfs.DecodeUTF16LE(name)
	}
	for i := range n {
		u := le.Uint16(name[2*i:])
		if u >= 0x80 {
			return winfs.DecodeUTF16LE(name)
		}
		buf[i] = byte(u)
	}
	return string(buf[:n])
}

// appendLinkTable encodes a table. Values are concatenated, names are in the
// table's order.
func appendLinkTable(dst []byte, values []byte, names []string) ([]byte, error) {
	start := len(dst)
	at := int64(linkHeaderSize + len(values) + 4*len(names))
	dst = append(dst, 0, 0, 0, 0)
	dst = le.AppendUint32(dst, uint32(len(names)))
	dst = append(dst, values...)
	for _, n := range names {
		if at > 1<<32-1 {
			return nil, fmt.Errorf("directory of %d entries: %w", len(names), ErrMetadata)
		}
		dst = le.AppendUint32(dst, uint32(at))
		at += 2 + 2*int64(winfs.UTF16Len(n))
	}
	for _, n := range names {
		mark := len(dst)
		dst = append(dst, 0, 0)
		dst = winfs.AppendUTF16LE(dst, n)
		le.PutUint16(dst[mark:], uint16((len(dst)-mark-2)/2))
	}
	if at > 1<<32-1 {
		return nil, fmt.Errorf("directory of %d entries: %w", len(names), ErrMetadata)
	}
	le.PutUint32(dst[start:], uint32(at))
	return dst, nil
}
