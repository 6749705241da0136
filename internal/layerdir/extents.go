package layerdir

import (
	"encoding/binary"

	"github.com/mullion/mullion/layer"
)

// extents lists the allocated ranges of a sparse stream in ascending order; they
// neither overlap nor touch.
type extents []layer.Extent

// maxExtents bounds the memory that the holes of one stream take. After so many
// ranges further holes are stored as zeros, which changes no content.
const maxExtents = 1 << 14

// add appends a range of n bytes at offset, which is at or behind the end of the
// last range.
func (x *extents) add(offset, n int64) {
	if n == 0 {
		return
	}
	if len(*x) > 0 {
		if last := &(*x)[len(*x)-1]; last.Offset+last.Length == offset {
			last.Length += n
			return
		}
	}
	*x = append(*x, layer.Extent{Offset: offset, Length: n})
}

func (x extents) allocated() int64 {
	var n int64
	for _, e := range x {
		n += e.Length
	}
	return n
}

// append encodes the list: uvarint count, and for each range uvarint distance
// from the end of the one before, uvarint length.
func (x extents) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(x)))
	var end int64
	for _, e := range x {
		b = binary.AppendUvarint(b, uint64(e.Offset-end))
		b = binary.AppendUvarint(b, uint64(e.Length))
		end = e.Offset + e.Length
	}
	return b
}

// extents decodes a list for a stream of that size.
func (d *decoder) extents(size int64) extents {
	n := d.uvarint(maxExtents + 1)
	if n == 0 || d.err != nil {
		return nil
	}
	x := make(extents, 0, n)
	var end int64
	for i := range n {
		gap := int64(d.uvarint(uint64(size - end)))
		length := int64(d.uvarint(uint64(size - end - gap)))
		if d.err != nil {
			return nil
		}
		if length == 0 || gap == 0 && i > 0 {
			d.fail("ranges of a stream touch")
			return nil
		}
		x = append(x, layer.Extent{Offset: end + gap, Length: length})
		end += gap + length
	}
	return x
}
