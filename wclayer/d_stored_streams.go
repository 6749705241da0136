package wclayer

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/mullion/mullion/layer"
)

// source yields the streams of one entry.
type source interface {
	next() (*layer.Stream, error)
	read(p []byte) (int, error)
	extent() (layer.Extent, error)
	close() error
}

// content is the source of entries whose streams lie in files that can be read at
// any offset.
type content struct {
	streams []storedStream
	closer  func() error

	at      int // number of the current stream + 1
	segment int
	pos     int64 // in the stream
	end     int64 // of what may be read: the stream, or its current extent
	extents bool  // NextExtent was called for the stream
	crc     uint32
	crcAt   int64 // stored bytes summed so far, -1 if some were skipped
	info    layer.Stream
}

// storedStream is a stream and where its bytes are.
type storedStream struct {
	name     string
	size     int64
	sparse   bool
	segments []segment // ascending, between them are zeros
	src      io.ReaderAt
	checked  bool // crc is that of all stored bytes
	crc      uint32
}

// segment is a range of a stream that is stored at an offset of the source.
type segment struct{ offset, length, at int64 }

// whole is the segment list of a stream stored in one piece.
func whole(size, at int64) []segment {
	if size == 0 {
		return nil
	}
	return []segment{{0, size, at}}
}

func (c *content) next() (*layer.Stream, error) {
	if c.at >= len(c.streams) {
		c.at = len(c.streams) + 1
		return nil, io.EOF
	}
	s := &c.streams[c.at]
	c.at++
	c.segment, c.pos, c.end, c.extents, c.crc, c.crcAt = 0, 0, s.size, false, 0, 0
	c.info = layer.Stream{Name: s.name, Size: s.size, Sparse: s.sparse}
	return &c.info, nil
}

// current returns the current stream, nil if there is none.
func (c *content) current() *storedStream {
	if c.at == 0 || c.at > len(c.streams) {
		return nil
	}
	return &c.streams[c.at-1]
}

func (c *content) read(p []byte) (int, error) {
	s := c.current()
	if s == nil || c.pos >= c.end {
		return 0, io.EOF
	}
	if int64(len(p)) > c.end-c.pos {
		p = p[:c.end-c.pos]
	}
	for c.segment < len(s.segments) && c.pos >= s.segments[c.segment].offset+s.segments[c.segment].length {
		c.segment++
	}
	if c.segment == len(s.segments) { // the hole at the end
		clear(p)
		c.pos += int64(len(p))
		return len(p), c.verify(s)
	}
	g := s.segments[c.segment]
	if c.pos < g.offset {
		p = p[:min(int64(len(p)), g.offset-c.pos)]
		clear(p)
		c.pos += int64(len(p))
		return len(p), nil
	}
	skip := c.pos - g.offset
	p = p[:min(int64(len(p)), g.length-skip)]
	n, err := s.src.ReadAt(p, g.at+skip)
	if n == len(p) {
		err = nil
	}
	if s.checked && c.crcAt >= 0 {
		c.crc = crc32.Update(c.crc, castagnoli, p[:n])
		c.crcAt += int64(n)
	}
	c.pos += int64(n)
	if err != nil {
		return n, noEOF(err)
	}
	return n, c.verify(s)
}

// verify compares the checksum when all of a stream was read.
func (c *content) verify(s *storedStream) error {
	if !s.checked || c.pos < s.size || c.crcAt < 0 {
		return nil
	}
	var stored int64
	for _, g := range s.segments {
		stored += g.length
	}
	if c.crcAt == stored && c.crc != s.crc {
		return fmt.Errorf("%w: wrong checksum of stream %q", ErrMetadata, s.name)
	}
	return nil
}

func (c *content) extent() (layer.Extent, error) {
	s := c.current()
	if s == nil {
		return layer.Extent{}, io.EOF
	}
	if c.extents {
		if c.pos < c.end {
			c.crcAt = -1
		}
		for c.segment < len(s.segments) && s.segments[c.segment].offset < c.end {
			c.segment++
		}
	}
	c.extents = true
	if c.segment >= len(s.segments) {
		c.segment = len(s.segments)
		c.pos, c.end = s.size, s.size
		return layer.Extent{}, io.EOF
	}
	g := s.segments[c.segment]
	c.pos, c.end = g.offset, g.offset+g.length
	for i := c.segment + 1; i < len(s.segments) && s.segments[i].offset == c.end; i++ {
		c.end += s.segments[i].length // stored apart, but one range
	}
	return layer.Extent{Offset: g.offset, Length: c.end - g.offset}, nil
}

func (c *content) close() error {
	if c.closer == nil {
		return nil
	}
	f := c.closer
	c.closer = nil
	return f()
}

// segments places the allocated ranges of a stream: one after the other from at
// on, or each at its own offset.
func (x extents) segments(at int64, packed bool) []segment {
	list := make([]segment, 0, len(x))
	for _, e := range x {
		if packed {
			list = append(list, segment{e.Offset, e.Length, at})
			at += e.Length
		} else {
			list = append(list, segment{e.Offset, e.Length, e.Offset})
		}
	}
	return list
}
