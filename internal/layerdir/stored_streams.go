package layerdir

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
)

// source yields the streams of one entry.
type source interface {
	Next() (*layer.Stream, error)
	Read(p []byte) (int, error)
	Extent() (layer.Extent, error)
	Close() error
}

// Content is the source of entries whose streams lie in files that can be read at
// any offset.
type Content struct {
	Streams []StoredStream
	Closer  func() error

	at      int // number of the current stream + 1
	segment int
	pos     int64 // in the stream
	end     int64 // of the stream, or of its current extent
	extents bool  // NextExtent was called for the stream
	crc     uint32
	crcAt   int64 // stored bytes summed so far, -1 if some were skipped
	info    layer.Stream
}

// StoredStream is a stream and where its bytes are.
type StoredStream struct {
	Name     string
	Size     int64
	Sparse   bool
	Segments []Segment // ascending, between them are zeros
	Src      io.ReaderAt
	checked  bool // crc is that of all stored bytes
	crc      uint32
}

// Segment is a range of a stream that is stored at an offset of the source.
type Segment struct{ Offset, Length, At int64 }

// Whole is the segment list of a stream stored in one piece.
func Whole(size, at int64) []Segment {
	if size == 0 {
		return nil
	}
	return []Segment{{0, size, at}}
}

func (c *Content) Next() (*layer.Stream, error) {
	if c.at >= len(c.Streams) {
		c.at = len(c.Streams) + 1
		return nil, io.EOF
	}
	s := &c.Streams[c.at]
	c.at++
	c.segment, c.pos, c.end, c.extents, c.crc, c.crcAt = 0, 0, s.Size, false, 0, 0
	c.info = layer.Stream{Name: s.Name, Size: s.Size, Sparse: s.Sparse}
	return &c.info, nil
}

// current returns the current stream, nil if there is none.
func (c *Content) current() *StoredStream {
	if c.at == 0 || c.at > len(c.Streams) {
		return nil
	}
	return &c.Streams[c.at-1]
}

func (c *Content) Read(p []byte) (int, error) {
	s := c.current()
	if s == nil || c.pos >= c.end {
		return 0, io.EOF
	}
	if int64(len(p)) > c.end-c.pos {
		p = p[:c.end-c.pos]
	}
	for c.segment < len(s.Segments) && c.pos >= s.Segments[c.segment].Offset+s.Segments[c.segment].Length {
		c.segment++
	}
	if c.segment == len(s.Segments) { // the hole at the end
		clear(p)
		c.pos += int64(len(p))
		return len(p), c.verify(s)
	}
	g := s.Segments[c.segment]
	if c.pos < g.Offset {
		p = p[:min(int64(len(p)), g.Offset-c.pos)]
		clear(p)
		c.pos += int64(len(p))
		return len(p), nil
	}
	skip := c.pos - g.Offset
	p = p[:min(int64(len(p)), g.Length-skip)]
	n, err := s.Src.ReadAt(p, g.At+skip)
	if n == len(p) {
		err = nil
	}
	if s.checked && c.crcAt >= 0 {
		c.crc = crc32.Update(c.crc, castagnoli, p[:n])
		c.crcAt += int64(n)
	}
	c.pos += int64(n)
	if err != nil {
		return n, hostfs.NoEOF(err)
	}
	return n, c.verify(s)
}

// verify compares the checksum when all of a stream was read.
func (c *Content) verify(s *StoredStream) error {
	if !s.checked || c.pos < s.Size || c.crcAt < 0 {
		return nil
	}
	var stored int64
	for _, g := range s.Segments {
		stored += g.Length
	}
	if c.crcAt == stored && c.crc != s.crc {
		return fmt.Errorf("%w: wrong checksum of stream %q", hostfs.ErrMetadata, s.Name)
	}
	return nil
}

func (c *Content) Extent() (layer.Extent, error) {
	s := c.current()
	if s == nil {
		return layer.Extent{}, io.EOF
	}
	if c.extents {
		if c.pos < c.end {
			c.crcAt = -1
		}
		for c.segment < len(s.Segments) && s.Segments[c.segment].Offset < c.end {
			c.segment++
		}
	}
	c.extents = true
	if c.segment >= len(s.Segments) {
		c.segment = len(s.Segments)
		c.pos, c.end = s.Size, s.Size
		return layer.Extent{}, io.EOF
	}
	g := s.Segments[c.segment]
	c.pos, c.end = g.Offset, g.Offset+g.Length
	for i := c.segment + 1; i < len(s.Segments) && s.Segments[i].Offset == c.end; i++ {
		c.end += s.Segments[i].Length // stored apart, but one range
	}
	return layer.Extent{Offset: g.Offset, Length: c.end - g.Offset}, nil
}

func (c *Content) Close() error {
	if c.Closer == nil {
		return nil
	}
	f := c.Closer
	c.Closer = nil
	return f()
}

// segments places the allocated ranges of a stream: one after the other from at
// on, or each at its own offset.
func (x extents) segments(at int64, packed bool) []Segment {
	list := make([]Segment, 0, len(x))
	for _, e := range x {
		if packed {
			list = append(list, Segment{e.Offset, e.Length, at})
			at += e.Length
		} else {
			list = append(list, Segment{e.Offset, e.Length, e.Offset})
		}
	}
	return list
}
