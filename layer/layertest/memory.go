// Package layertest helps to test readers and writers of layers: a layer in memory, which
// can be read and written, a generator of random layers with every feature, and a
// conformance suite for every pair of Reader and Writer.
package layertest

import (
	"fmt"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Stream is a stream with its bytes.
type Stream struct {
	Name   string
	Sparse bool
	Data   []byte
	// Extents are the allocated ranges of a sparse stream; outside of them Data is
	// zero.
	Extents []layer.Extent
}

// Item is an entry with its streams, the main stream first.
type Item struct {
	layer.Entry
	Streams []Stream
}

// Layer is a layer in memory. It is a layer.Source.
type Layer struct {
	Items []Item
}

// Open returns a reader of the layer. It implements layer.ExtentReader.
func (l *Layer) Open() (layer.Reader, error) { return &memoryReader{items: l.Items, at: -1}, nil }

type memoryReader struct {
	items  []Item
	at     int
	entry  layer.Entry
	stream int // index of the next stream
	out    layer.Stream
	data   []byte
	cur    *Stream
	extent int // index of the next extent, -1 when not used
	closed bool
}

func (r *memoryReader) Next() (*layer.Entry, error) {
	if r.closed {
		return nil, layer.ErrClosed
	}
	r.cur, r.data = nil, nil
	if r.at+1 >= len(r.items) {
		r.at = len(r.items)
		return nil, io.EOF
	}
	r.at++
	r.stream = 0
	r.entry = r.items[r.at].Entry
	return &r.entry, nil
}

func (r *memoryReader) NextStream() (*layer.Stream, error) {
	if r.closed {
		return nil, layer.ErrClosed
	}
	r.cur, r.data = nil, nil
	if r.at < 0 || r.at >= len(r.items) || r.stream >= len(r.items[r.at].Streams) {
		return nil, io.EOF
	}
	r.cur = &r.items[r.at].Streams[r.stream]
	r.stream++
	r.data, r.extent = r.cur.Data, -1
	r.out = layer.Stream{Name: r.cur.Name, Size: int64(len(r.cur.Data)), Sparse: r.cur.Sparse}
	return &r.out, nil
}

func (r *memoryReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *memoryReader) NextExtent() (layer.Extent, error) {
	if r.cur == nil {
		return layer.Extent{}, io.EOF
	}
	r.extent++
	list := r.cur.Extents
	if !r.cur.Sparse && len(r.cur.Data) > 0 {
		list = []layer.Extent{{Length: int64(len(r.cur.Data))}}
	}
	if r.extent >= len(list) {
		r.data = nil
		return layer.Extent{}, io.EOF
	}
	x := list[r.extent]
	r.data = r.cur.Data[x.Offset : x.Offset+x.Length]
	return x, nil
}

func (r *memoryReader) Close() error {
	r.closed, r.data, r.cur = true, nil, nil
	return nil
}

// Recorder is a layer.Writer that records its input and checks that its caller keeps the
// contract of Writer.
type Recorder struct {
	Layer
	// Committed is set by Commit.
	Committed bool

	open bool // a stream is open for writing
	left int64
	err  error
}

func (r *Recorder) fail(err error) error {
	r.err = err
	return err
}

func (r *Recorder) finish() error {
	switch {
	case r.err != nil:
		return r.err
	case r.Committed:
		return r.fail(layer.ErrClosed)
	case r.open && r.left > 0:
		return r.fail(layer.ErrStreamSize)
	}
	r.open = false
	return nil
}

// Add records an entry.
func (r *Recorder) Add(e *layer.Entry) error {
	if err := r.finish(); err != nil {
		return err
	}
	if err := winfs.ValidatePath(e.Path); err != nil || e.Path == "" {
		return r.fail(fmt.Errorf("%w %q: %v", layer.ErrInvalidName, e.Path, err))
	}
	c := *e
	c.Security = clone(e.Security)
	c.Reparse = clone(e.Reparse)
	c.ObjectID = clone(e.ObjectID)
	c.EAs = nil
	for _, ea := range e.EAs {
		ea.Value = clone(ea.Value)
		c.EAs = append(c.EAs, ea)
	}
	r.Items = append(r.Items, Item{Entry: c})
	return nil
}

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

// AddStream records a stream.
func (r *Recorder) AddStream(s *layer.Stream) error {
	if err := r.finish(); err != nil {
		return err
	}
	if len(r.Items) == 0 {
		return r.fail(fmt.Errorf("%w: stream without entry", layer.ErrCorrupt))
	}
	it := &r.Items[len(r.Items)-1]
	switch {
	case it.Kind != layer.File && it.Kind != layer.Dir:
		return r.fail(fmt.Errorf("%w: stream of a %v", layer.ErrCorrupt, it.Kind))
	case s.Name == "" && (it.Kind != layer.File || len(it.Streams) > 0):
		return r.fail(fmt.Errorf("%w: main stream out of place", layer.ErrCorrupt))
	}
	for i := range it.Streams {
		if winfs.EqualFold(it.Streams[i].Name, s.Name) {
			return r.fail(layer.ErrDuplicate)
		}
	}
	it.Streams = append(it.Streams, Stream{Name: s.Name, Sparse: s.Sparse})
	r.open, r.left = true, s.Size
	return nil
}

func (r *Recorder) current() *Stream {
	it := &r.Items[len(r.Items)-1]
	return &it.Streams[len(it.Streams)-1]
}

// Write records bytes of the current stream.
func (r *Recorder) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if !r.open || int64(len(p)) > r.left {
		return 0, r.fail(layer.ErrStreamSize)
	}
	s := r.current()
	if s.Sparse && len(p) > 0 {
		at := int64(len(s.Data))
		if n := len(s.Extents); n > 0 && s.Extents[n-1].Offset+s.Extents[n-1].Length == at {
			s.Extents[n-1].Length += int64(len(p))
		} else {
			s.Extents = append(s.Extents, layer.Extent{Offset: at, Length: int64(len(p))})
		}
	}
	s.Data = append(s.Data, p...)
	r.left -= int64(len(p))
	return len(p), nil
}

// WriteHole records a hole.
func (r *Recorder) WriteHole(n int64) error {
	if r.err != nil {
		return r.err
	}
	if !r.open || n > r.left || !r.current().Sparse {
		return r.fail(layer.ErrStreamSize)
	}
	s := r.current()
	s.Data = append(s.Data, make([]byte, n)...)
	r.left -= n
	return nil
}

// Commit ends the recording.
func (r *Recorder) Commit() error {
	if err := r.finish(); err != nil {
		return err
	}
	r.Committed = true
	return nil
}

// Close does nothing.
func (r *Recorder) Close() error { return nil }

var (
	_ layer.Source       = (*Layer)(nil)
	_ layer.ExtentReader = (*memoryReader)(nil)
	_ layer.Writer       = (*Recorder)(nil)
	_ layer.ExtentWriter = (*Recorder)(nil)
)
