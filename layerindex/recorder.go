package layerindex

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// maxHoles is the number of zeros of holes that are hashed in one layer. Streams with more
// have no sum.
const maxHoles = 256 << 20

// Recorder is a reader of a layer that makes its index on the way: it yields what the
// reader of the tar yields, and reads the streams that its caller does not.
type Recorder struct {
	r    *wintar.Reader
	b    *builder // nil when there will be no index
	done func(*Index)
	rec  record
	sums []byte
	open bool // there is a current entry

	// The current stream, if hashing is set.
	hashing bool
	extents bool  // NextExtent was called
	at      int64 // bytes hashed
	hash    hash.Hash
	holes   int64 // zeros that may still be hashed
	buf     []byte
	eof     bool
}

// Record returns a reader of the layer that r reads from a blob, which blob.WithMap made.
// When the layer was read to its end and is verified, done is called with its index, before
// Next returns io.EOF. There is no index of a layer with entries whose metadata is invalid
// (layer.Entry.Defect), or with more metadata than its entries explain: done is not called.
// Close closes r.
func Record(r *wintar.Reader, done func(*Index)) *Recorder {
	return &Recorder{r: r, b: newBuilder(), done: done, hash: sha256.New(), holes: maxHoles}
}

// Next finishes the current entry and returns the next; see layer.Reader.
func (r *Recorder) Next() (*layer.Entry, error) {
	if err := r.finishEntry(); err != nil {
		return nil, err
	}
	e, err := r.r.Next()
	if err == io.EOF && !r.eof {
		r.eof = true
		r.finish()
	}
	if err != nil {
		return nil, err
	}
	if r.b != nil {
		if e.Defect != nil || r.b.overfull {
			r.b = nil
			return e, nil
		}
		r.open = true
		r.rec.Entry, r.rec.offset, r.rec.streams = *e, r.r.Offset(), r.rec.streams[:0]
		r.sums = r.sums[:0]
	}
	return e, nil
}

// finishEntry adds the current entry with all its streams.
func (r *Recorder) finishEntry() error {
	if !r.open {
		return nil
	}
	for {
		if _, err := r.NextStream(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	r.open = false
	r.b.add(&r.rec, r.sums)
	return nil
}

// NextStream finishes the current stream and starts the next; see layer.Reader.
func (r *Recorder) NextStream() (*layer.Stream, error) {
	if err := r.finishStream(); err != nil {
		return nil, err
	}
	s, err := r.r.NextStream()
	if err != nil || !r.open {
		return s, err
	}
	r.rec.streams = append(r.rec.streams, stream{Stream: *s})
	r.hashing, r.extents, r.at = true, false, 0
	r.hash.Reset()
	return s, nil
}

// Read reads the current stream; see layer.Reader.
func (r *Recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.hashing && n > 0 {
		r.hash.Write(p[:n])
		r.at += int64(n)
	}
	return n, err
}

// NextExtent moves to the next stored range of the stream; see layer.ExtentReader.
func (r *Recorder) NextExtent() (layer.Extent, error) {
	if r.hashing && r.extents {
		if err := r.rest(); err != nil {
			return layer.Extent{}, err
		}
	}
	x, err := r.r.NextExtent()
	switch {
	case !r.hashing:
	case err == nil:
		r.extents = true
		r.zeros(x.Offset)
	case err == io.EOF:
		r.extents = true
		r.zeros(r.rec.streams[len(r.rec.streams)-1].Size)
	}
	return x, err
}

// zeros hashes the hole up to an offset.
func (r *Recorder) zeros(to int64) {
	n := to - r.at
	if n < 0 || n > r.holes {
		r.hashing = false
		return
	}
	r.holes -= n
	r.at = to
	r.buffer()
	clear(r.buf[:min(n, int64(len(r.buf)))])
	for n > 0 {
		k := min(n, int64(len(r.buf)))
		r.hash.Write(r.buf[:k])
		n -= k
	}
}

func (r *Recorder) buffer() {
	if r.buf == nil {
		r.buf = make([]byte, 256<<10)
	}
}

// rest hashes what the caller has left unread of the stream, or of its current extent.
func (r *Recorder) rest() error {
	r.buffer()
	for {
		_, err := r.Read(r.buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// finishStream reads the rest of the current stream and adds its sum.
func (r *Recorder) finishStream() error {
	if !r.hashing {
		return nil
	}
	s := &r.rec.streams[len(r.rec.streams)-1]
	switch {
	case r.at == s.Size:
	case r.extents || s.Sparse && r.at == 0:
		for r.hashing {
			if _, err := r.NextExtent(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			if err := r.rest(); err != nil {
				return err
			}
		}
	case s.Sparse:
		// Read on, holes would become zeros without end.
		r.hashing = false
	default:
		if err := r.rest(); err != nil {
			return err
		}
	}
	if r.hashing && r.at == s.Size {
		s.summed = true
		r.sums = r.hash.Sum(r.sums)
	}
	r.hashing = false
	return nil
}

// finish hands the index over, if there is one.
func (r *Recorder) finish() {
	b := r.r.Blob()
	if r.b == nil || r.b.overfull || b == nil {
		return
	}
	m, err := b.Map()
	if err != nil {
		return
	}
	x := r.b.x
	x.plainMap = m
	x.head.Digest, x.head.DiffID, x.head.Stored, x.head.Plain = m.Digest, m.DiffID, m.Stored, m.Plain
	r.b = nil
	r.done(x)
}

// StoredSize returns how much of the blob was read; see layer.Metered.
func (r *Recorder) StoredSize() int64 { return r.r.StoredSize() }

// Close closes the reader of the tar.
func (r *Recorder) Close() error {
	r.open, r.hashing, r.b = false, false, nil
	return r.r.Close()
}

var (
	_ layer.Reader       = (*Recorder)(nil)
	_ layer.ExtentReader = (*Recorder)(nil)
	_ layer.Metered      = (*Recorder)(nil)
)
