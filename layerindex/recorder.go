package layerindex

import (
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// Recorder is a reader of a layer that makes its index on the way: it yields what the
// reader of the tar yields, and reads the streams that its caller does not.
type Recorder struct {
	r    *wintar.Reader
	c    collector
	done func(*Index) // or nil
}

// Record returns a reader of the layer that r reads from a blob, which blob.WithMap made.
// When the layer was read to its end and is verified, done is called with its index, which
// it closes, before Next returns io.EOF. There is no index of a layer with entries whose metadata is invalid
// (layer.Entry.Defect), or with more metadata than its entries explain: done is not called.
// If r reads the content of a blob from elsewhere, done is nil and Index returns the index.
// Close closes r.
func Record(r *wintar.Reader, done func(*Index)) *Recorder {
	rec := &Recorder{r: r, c: newCollector(), done: done}
	rec.c.src = r
	return rec
}

// Next finishes the current entry and returns the next; see layer.Reader.
func (r *Recorder) Next() (*layer.Entry, error) {
	if err := r.finishEntry(); err != nil {
		return nil, err
	}
	e, err := r.r.Next()
	if err == io.EOF && r.done != nil {
		if x := r.c.index(r.r.Blob()); x != nil {
			r.done(x)
		}
		r.done = nil
	}
	if err != nil {
		return nil, err
	}
	r.c.begin(e, r.r.Offset())
	return e, nil
}

// finishEntry adds the current entry with all its streams.
func (r *Recorder) finishEntry() error {
	for r.c.open {
		if _, err := r.NextStream(); err == io.EOF {
			r.c.end()
		} else if err != nil {
			return err
		}
	}
	return nil
}

// NextStream finishes the current stream and starts the next; see layer.Reader.
func (r *Recorder) NextStream() (*layer.Stream, error) {
	if err := r.c.finishStream(); err != nil {
		return nil, err
	}
	s, err := r.r.NextStream()
	if err == nil {
		r.c.beginStream(s)
	}
	return s, err
}

// Read reads the current stream; see layer.Reader.
func (r *Recorder) Read(p []byte) (int, error) { return r.c.Read(p) }

// NextExtent moves to the next stored range of the stream; see layer.ExtentReader.
func (r *Recorder) NextExtent() (layer.Extent, error) { return r.c.NextExtent() }

// StreamSum returns the SHA-256 of the current stream when it was read to its end; see
// layer.StreamHasher.
func (r *Recorder) StreamSum() (sum [32]byte, ok bool) {
	return r.c.streamSum()
}

// Index returns the index of a layer that was read to io.EOF without a function done: b is
// the blob, which blob.WithMap made and which was read to its end. It is nil if there is
// none, and from the second call on.
func (r *Recorder) Index(b *blob.Reader) *Index { return r.c.index(b) }

// StoredSize returns how much of the blob was read; see layer.Metered.
func (r *Recorder) StoredSize() int64 { return r.r.StoredSize() }

// Close closes the reader of the tar.
func (r *Recorder) Close() error {
	r.c.open, r.c.hashing, r.c.b = false, false, nil
	return r.r.Close()
}

// index completes the index of a blob that was read to its end, and forgets what was
// collected. It is nil if there is none.
func (c *collector) index(b *blob.Reader) *Index {
	if c.b == nil || c.b.overfull || b == nil {
		return nil
	}
	m, err := b.Map()
	if err != nil {
		return nil
	}
	x := c.b.x
	x.plainMap = m
	x.head.Digest, x.head.DiffID, x.head.Stored, x.head.Plain = m.Digest, m.DiffID, m.Stored, m.Plain
	c.b = nil
	return x
}

// Observer makes the index of a layer while wintar.Check reads it; see wintar.Observe.
type Observer struct {
	c     collector
	ended bool
}

// Observe returns an Observer for one Check.
func Observe() *Observer { return &Observer{c: newCollector()} }

// Entry implements wintar.Observer.
func (o *Observer) Entry(e *layer.Entry, offset int64) {
	o.c.end()
	o.c.begin(e, offset)
}

// Stream implements wintar.Observer.
func (o *Observer) Stream(s *layer.Stream, data wintar.StreamReader) io.Reader {
	o.c.src = data
	o.c.beginStream(s)
	return &o.c
}

// Rest implements wintar.Observer.
func (o *Observer) Rest() error { return o.c.finishStream() }

// End implements wintar.Observer.
func (o *Observer) End() {
	o.c.end()
	o.ended = true
}

// Index returns the index of the layer, which was checked in a blob that blob.WithMap made
// and that was read to its end. It is nil if a reader would refuse the layer, or if Record
// would make no index of it.
func (o *Observer) Index(b *blob.Reader) *Index {
	if !o.ended {
		return nil
	}
	return o.c.index(b)
}

var (
	_ layer.Reader       = (*Recorder)(nil)
	_ layer.ExtentReader = (*Recorder)(nil)
	_ layer.Metered      = (*Recorder)(nil)
	_ layer.StreamHasher = (*Recorder)(nil)
	_ wintar.Observer    = (*Observer)(nil)
)
