package layerindex

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/mullion/mullion/layer"
)

// maxHoles is the number of zeros of holes that are hashed in one layer. Streams with more
// have no sum.
const maxHoles = 256 << 20

// streamSource reads a stream of a layer; see layer.Reader and layer.ExtentReader.
type streamSource interface {
	io.Reader
	NextExtent() (layer.Extent, error)
}

// collector adds the entries of a layer to a builder and hashes their streams while others
// read them. Of a stream it reads what they leave.
type collector struct {
	b    *builder // nil when there will be no index
	rec  record
	sums []byte
	open bool // there is a current entry

	// The current stream, if hashing is set.
	src     streamSource
	hashing bool
	extents bool  // NextExtent was called
	at      int64 // bytes hashed
	hash    hash.Hash
	holes   int64 // zeros that may still be hashed
	buf     []byte
}

func newCollector() collector {
	return collector{b: newBuilder(), hash: sha256.New(), holes: maxHoles}
}

// begin begins an entry, after the one before it was ended. An entry that makes an index
// impossible ends the collection.
func (c *collector) begin(e *layer.Entry, offset int64) {
	if c.b == nil {
		return
	}
	if e.Defect != nil || c.b.overfull {
		c.b = nil
		return
	}
	c.open = true
	c.rec.Entry, c.rec.offset, c.rec.streams = *e, offset, c.rec.streams[:0]
	c.sums = c.sums[:0]
}

// end adds the current entry, whose streams were all begun and finished.
func (c *collector) end() {
	if c.open {
		c.open = false
		c.b.add(&c.rec, c.sums)
	}
}

// beginStream begins a stream of the current entry.
func (c *collector) beginStream(s *layer.Stream) {
	if !c.open {
		return
	}
	c.rec.streams = append(c.rec.streams, stream{Stream: *s})
	c.hashing, c.extents, c.at = true, false, 0
	c.hash.Reset()
}

// Read reads the current stream; see layer.Reader.
func (c *collector) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if c.hashing && n > 0 {
		c.hash.Write(p[:n])
		c.at += int64(n)
	}
	return n, err
}

// NextExtent moves to the next stored range of the stream; see layer.ExtentReader.
func (c *collector) NextExtent() (layer.Extent, error) {
	if c.hashing && c.extents {
		if err := c.rest(); err != nil {
			return layer.Extent{}, err
		}
	}
	x, err := c.src.NextExtent()
	switch {
	case !c.hashing:
	case err == nil:
		c.extents = true
		c.zeros(x.Offset)
	case err == io.EOF:
		c.extents = true
		c.zeros(c.rec.streams[len(c.rec.streams)-1].Size)
	}
	return x, err
}

// zeros hashes the hole up to an offset.
func (c *collector) zeros(to int64) {
	n := to - c.at
	if n < 0 || n > c.holes {
		c.hashing = false
		return
	}
	c.holes -= n
	c.at = to
	c.buffer()
	clear(c.buf[:min(n, int64(len(c.buf)))])
	for n > 0 {
		k := min(n, int64(len(c.buf)))
		c.hash.Write(c.buf[:k])
		n -= k
	}
}

// streamSum returns the sum of the current stream if all of it was read.
func (c *collector) streamSum() (sum [32]byte, ok bool) {
	if !c.hashing || c.at != c.rec.streams[len(c.rec.streams)-1].Size {
		return sum, false
	}
	c.hash.Sum(sum[:0])
	return sum, true
}

func (c *collector) buffer() {
	if c.buf == nil {
		c.buf = make([]byte, 256<<10)
	}
}

// rest hashes what is left unread of the stream, or of its current extent.
func (c *collector) rest() error {
	c.buffer()
	for {
		_, err := c.Read(c.buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// finishStream reads the rest of the current stream and adds its sum.
func (c *collector) finishStream() error {
	if !c.hashing {
		return nil
	}
	s := &c.rec.streams[len(c.rec.streams)-1]
	switch {
	case c.at == s.Size:
	case c.extents || s.Sparse && c.at == 0:
		for c.hashing {
			if _, err := c.NextExtent(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			if err := c.rest(); err != nil {
				return err
			}
		}
	case s.Sparse:
		// Read on, holes would become zeros without end.
		c.hashing = false
	default:
		if err := c.rest(); err != nil {
			return err
		}
	}
	if c.hashing && c.at == s.Size {
		s.summed = true
		c.sums = c.hash.Sum(c.sums)
	}
	c.hashing = false
	return nil
}
