package wintar

import (
	"io"

	"github.com/mullion/mullion/layer"
)

// An Observer is told what a Reader would yield of the archive that Check reads, so that a
// check need not be followed by another reading. Its methods are called one at a time.
type Observer interface {
	// Entry is called with each entry and its offset; see Reader.Offset. The entry is valid
	// until the next call.
	Entry(e *layer.Entry, offset int64)
	// Stream is called with each stream of that entry. The result yields the same bytes as
	// data and is what the function of Each reads from.
	Stream(s *layer.Stream, data StreamReader) io.Reader
	// Rest is called when nothing else reads the last stream any more. Errors of data come
	// from the archive, and Check meets them itself.
	Rest() error
	// End is called at the end of the archive if a Reader would have read it without an
	// error, apart from those of its source.
	End()
}

// StreamReader reads the stream of an entry as a Reader does; see layer.Reader and
// layer.ExtentReader.
type StreamReader interface {
	io.Reader
	NextExtent() (layer.Extent, error)
}

// Observe makes Check tell o what it reads.
func Observe(o Observer) Option { return func(p *options) { p.observer = o } }

// checkedStream is the data of an entry that Check reads.
type checkedStream struct {
	c       *checker
	size    int64
	extents layer.ExtentFinder
}

func (s *checkedStream) Read(p []byte) (int, error) {
	if s.extents.Active() {
		return s.extents.Read(p)
	}
	n, err := s.c.tar.Read(p)
	if e := s.expansion(); e != nil {
		return 0, e
	}
	return n, err
}

func (s *checkedStream) NextExtent() (layer.Extent, error) {
	if known := s.c.tar.sparse; known != nil {
		return known.extent(s.c.tar)
	}
	x, err := s.extents.Next(s.c.tar, s.size)
	if e := s.expansion(); e != nil {
		return layer.Extent{}, e
	}
	return x, err
}

// expansion bounds the zeros returned for holes, as Reader does.
func (s *checkedStream) expansion() error {
	c := s.c
	if c.tar.filled <= layer.RatioFloor {
		return nil
	}
	stored := c.src.offset
	if m, ok := c.src.r.(layer.Metered); ok {
		stored = m.StoredSize()
	}
	if c.tar.filled/c.ratio > stored {
		return &layer.LimitError{Limit: "Ratio", Max: c.ratio}
	}
	return nil
}

// observe tells the observer of an entry that was decoded, and returns the reader of its
// main stream.
func (c *checker) observe() io.Reader {
	if c.dec.observer == nil {
		return c.tar
	}
	c.dec.observer.Entry(&c.entry, c.tar.start)
	if c.entry.Kind != layer.File {
		return c.tar
	}
	return c.observeStream(&layer.Stream{Size: c.entry.Size, Sparse: c.dec.sparse})
}

func (c *checker) observeStream(s *layer.Stream) io.Reader {
	if c.dec.observer == nil {
		return c.tar
	}
	c.data.c, c.data.size = c, s.Size
	c.data.extents.Reset()
	return c.dec.observer.Stream(s, &c.data)
}

// rest lets the observer read what is left of the current stream. Damage in it is met again
// by what reads the next header, and ends the observation; other errors are returned.
func (c *checker) rest() error {
	if c.dec.observer == nil {
		return nil
	}
	if err := c.dec.observer.Rest(); err != nil {
		c.dec.observer = nil
		return c.ctx.Err()
	}
	return nil
}

// observed tells the observer that the archive has ended soundly.
func (c *checker) observed() {
	if c.dec.observer != nil {
		c.dec.observer.End()
	}
}
