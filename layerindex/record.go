package layerindex

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// groupSize is the number of entries that are front-coded together.
const groupSize = 16

// stream is a stream of an entry.
type stream struct {
	layer.Stream
	summed bool // its SHA-256 is in the sums
}

// record is an entry with what the index knows of it beside.
type record struct {
	layer.Entry
	offset  int64 // where a reader of the tar can begin; see wintar.Reader.Offset
	same    int32 // number of entries before it with the same offset
	sum     int64 // number of the first sum of its streams
	streams []stream
}

// The flags of a record, above the kind in three bits.
const (
	kindBits    = 1<<3 - 1
	flagNoMain  = 1 << 3
	flagEAs     = 1 << 4
	flagReparse = 1 << 5
	flagObject  = 1 << 6
)

// The flags of a stream.
const (
	streamSparse = 1 << 0
	streamSummed = 1 << 1
)

// times returns the times other than that of the last write, which are stored as
// differences from it.
func times(t *winfs.Times) [3]*winfs.Filetime {
	return [3]*winfs.Filetime{&t.Creation, &t.LastAccess, &t.Change}
}

// encoder writes records.
type encoder struct {
	path   string // of the record before, "" at the start of a group
	write  winfs.Filetime
	offset int64
}

// append appends a record. security is the number of the descriptor, 0 for none.
func (c *encoder) append(b []byte, r *record, security int) []byte {
	flags := byte(r.Kind)
	set := func(bit byte, on bool) {
		if on {
			flags |= bit
		}
	}
	set(flagNoMain, r.NoMain)
	set(flagEAs, len(r.EAs) > 0)
	set(flagReparse, len(r.Reparse) > 0)
	set(flagObject, len(r.ObjectID) > 0)
	b = append(b, flags)
	shared := 0
	for shared < min(len(c.path), len(r.Path)) && c.path[shared] == r.Path[shared] {
		shared++
	}
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendBytes(b, r.Path[shared:])
	if r.Kind == layer.Link {
		b = appendBytes(b, r.Target)
	}
	b = binary.AppendUvarint(b, uint64(r.Attributes))
	b = binary.AppendVarint(b, int64(r.Times.LastWrite-c.write))
	for _, t := range times(&r.Times) {
		b = binary.AppendVarint(b, int64(*t-r.Times.LastWrite))
	}
	b = binary.AppendUvarint(b, uint64(security))
	if len(r.EAs) > 0 {
		b = binary.AppendUvarint(b, uint64(len(r.EAs)))
		for i := range r.EAs {
			b = append(appendBytes(b, r.EAs[i].Name), r.EAs[i].Flags)
			b = appendBytes(b, r.EAs[i].Value)
		}
	}
	if len(r.Reparse) > 0 {
		b = appendBytes(b, r.Reparse)
	}
	if len(r.ObjectID) > 0 {
		b = appendBytes(b, r.ObjectID)
	}
	b = binary.AppendUvarint(b, uint64(r.Size))
	b = binary.AppendUvarint(b, uint64(r.offset-c.offset))
	b = binary.AppendUvarint(b, uint64(len(r.streams)))
	for i := range r.streams {
		s := &r.streams[i]
		flags := byte(0)
		if s.Sparse {
			flags |= streamSparse
		}
		if s.summed {
			flags |= streamSummed
		}
		b = append(b, flags)
		b = appendBytes(b, s.Name)
		b = binary.AppendUvarint(b, uint64(s.Size))
	}
	c.path, c.write, c.offset = r.Path, r.Times.LastWrite, r.offset
	return b
}

func appendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// decoder reads records. Everything that it returns is checked: the tables come from a file.
type decoder struct {
	b           []byte
	at          int
	path        []byte
	write       winfs.Filetime
	offset      int64
	same        int32
	sum         int64
	descriptors [][]byte
	plain       int64 // size of the tar
	err         error
}

func (c *decoder) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: entries, offset %#x: %s", ErrDamaged, c.at, fmt.Sprintf(format, args...))
		c.at = len(c.b)
	}
}

func (c *decoder) byte() byte {
	if c.at >= len(c.b) {
		c.fail("cut off")
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *decoder) uvarint() uint64 {
	if c.at < len(c.b) && c.b[c.at] < 0x80 {
		c.at++
		return uint64(c.b[c.at-1])
	}
	v, n := binary.Uvarint(c.b[c.at:])
	if n <= 0 {
		c.fail("bad number")
		return 0
	}
	c.at += n
	return v
}

func (c *decoder) varint() int64 {
	v := c.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// size reads a number that is a size or offset of the tar's contents.
func (c *decoder) size() int64 {
	v := c.uvarint()
	if v > math.MaxInt64 {
		c.fail("size %#x", v)
		return 0
	}
	return int64(v)
}

func (c *decoder) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b)-c.at) {
		c.fail("%d bytes where %d are left", n, len(c.b)-c.at)
		return nil
	}
	v := c.b[c.at : c.at+int(n) : c.at+int(n)]
	c.at += int(n)
	return v
}

// start begins a group.
func (c *decoder) start(same int32, sum int64) {
	c.path, c.write, c.offset, c.same, c.sum = c.path[:0], 0, -1, same, sum
}

// next decodes the next record into r, whose streams it uses again. Buffers of the entry
// point into the table.
func (c *decoder) next(r *record) error {
	flags := c.byte()
	r.Entry = layer.Entry{Kind: layer.Kind(flags & kindBits), NoMain: flags&flagNoMain != 0}
	if r.Kind < layer.File || r.Kind > layer.Opaque {
		c.fail("%v", r.Kind)
	}
	shared := c.uvarint()
	if shared > uint64(len(c.path)) {
		c.fail("%d bytes shared with a path of %d", shared, len(c.path))
		shared = 0
	}
	c.path = append(c.path[:shared], c.bytes()...)
	r.Path = string(c.path)
	if err := validTail(r.Path, int(shared)); err != nil || r.Path == "" {
		c.fail("path %.100q: %v", r.Path, err)
	}
	if r.Kind == layer.Link {
		r.Target = string(c.bytes())
		if err := winfs.ValidatePath(r.Target); err != nil || r.Target == "" {
			c.fail("target %.100q: %v", r.Target, err)
		}
	}
	attributes := c.uvarint()
	if attributes > math.MaxUint32 {
		c.fail("attributes %#x", attributes)
	}
	r.Attributes = winfs.Attributes(attributes)
	r.Times.LastWrite = c.write + winfs.Filetime(c.varint())
	for _, t := range times(&r.Times) {
		*t = r.Times.LastWrite + winfs.Filetime(c.varint())
	}
	if n := c.uvarint(); n > uint64(len(c.descriptors)) {
		c.fail("descriptor %d of %d", n, len(c.descriptors))
	} else if n > 0 {
		r.Security = c.descriptors[n-1]
	}
	if flags&flagEAs != 0 {
		n := c.uvarint()
		if n > uint64(len(c.b)-c.at) {
			c.fail("%d extended attributes", n)
			n = 0
		}
		for range n {
			r.EAs = append(r.EAs, winfs.EA{Name: string(c.bytes()), Flags: c.byte(), Value: c.value()})
			if c.err != nil {
				break
			}
		}
	}
	if flags&flagReparse != 0 {
		r.Reparse = c.value()
	}
	if flags&flagObject != 0 {
		r.ObjectID = c.value()
	}
	r.Size = c.size()
	c.place(r)
	c.streams(r)
	c.write = r.Times.LastWrite
	return c.err
}

// validTail checks a path of which the first bytes are those of another one that was
// checked.
func validTail(path string, shared int) error {
	const short = winfs.MaxPath / 4 // bytes, so that the length needs no count of units
	if len(path) > short {
		return winfs.ValidatePath(path)
	}
	tail := path[strings.LastIndexByte(path[:shared], '\\')+1:]
	if tail == "" {
		tail = path // ends with a backslash
	}
	return winfs.ValidatePath(tail)
}

// value reads bytes of which none are nil.
func (c *decoder) value() []byte {
	if v := c.bytes(); len(v) > 0 {
		return v
	}
	return nil
}

// place reads where the entry begins.
func (c *decoder) place(r *record) {
	first := c.offset < 0
	d := c.size()
	offset := max(c.offset, 0) + d
	if offset < 0 || offset >= c.plain || offset%512 != 0 {
		c.fail("entry at %#x of %#x", offset, c.plain)
		return
	}
	switch {
	case first: // the mark says how many share it
	case d == 0:
		c.same++
	default:
		c.same = 0
	}
	r.offset, r.same, c.offset = offset, c.same, offset
}

func (c *decoder) streams(r *record) {
	r.streams, r.sum = r.streams[:0], c.sum
	n := c.uvarint()
	if n > uint64(len(c.b)-c.at) {
		c.fail("%d streams", n)
		return
	}
	for i := range n {
		flags := c.byte()
		var s stream
		if name := c.bytes(); len(name) > 0 {
			s.Name = string(name)
			if err := winfs.ValidateStream(s.Name); err != nil {
				c.fail("stream %.100q: %v", s.Name, err)
			}
		} else if i > 0 || r.Kind != layer.File {
			c.fail("main stream in the wrong place")
		}
		s.Size, s.Sparse, s.summed = c.size(), flags&streamSparse != 0, flags&streamSummed != 0
		if c.err != nil {
			return
		}
		if s.summed {
			c.sum++
		}
		r.streams = append(r.streams, s)
	}
}
