package layerindex

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// nearby is the distance in the tar that is read over rather than jumped: less than the
// access points of a blob are apart.
const nearby = 1 << 20

// Source is a layer that is read through its index: entries come from the table, and of
// the blob only the streams are read whose bytes are asked for. It is a layer.EntrySource.
type Source struct {
	x     *Index
	ctx   context.Context
	src   blob.Ranges
	label string
	opts  []wintar.Option
	kept  Streams     // or nil
	tar   io.ReaderAt // the decompressed blob, or nil

	limits *layer.Limits // of the readers, nil for none
}

// Streams has streams of a layer that were kept elsewhere than in its blob.
type Streams interface {
	// Stream returns a reader of a stream, by the number of its entry and its own number
	// there, both from 0; nil if it is not kept.
	Stream(entry int32, stream int) io.Reader
}

// WithStreams returns the source such that streams that k has are read from there and not
// from the blob. They are not compared with hashes.
func (s *Source) WithStreams(k Streams) *Source {
	with := *s
	with.kept = k
	return &with
}

// Source returns the layer that the index describes; src is its blob as it is stored, which
// is compared with the hashes in the index as far as it is read. label names the layer in
// errors, opts are those of the readers of the tar. ctx ends reading.
func (x *Index) Source(ctx context.Context, src blob.Ranges, label string, opts ...wintar.Option) *Source {
	return &Source{x: x, ctx: ctx, src: src, label: label, opts: append([]wintar.Option{wintar.Label(label)}, opts...)}
}

// Indexed returns the source itself; see layer.IndexedSource.
func (s *Source) Indexed() layer.EntrySource { return s }

// Index returns the index that the source reads.
func (s *Source) Index() *Index { return s.x }

// Limited sets the limits of the readers that the source opens, as layer.LimitReader applies
// them, and returns the source.
func (s *Source) Limited(limits layer.Limits) *Source {
	s.limits = &limits
	return s
}

// Open returns a reader at the first entry.
func (s *Source) Open() (layer.Reader, error) { return s.limit(s.open(0, false)) }

// OpenAt returns a reader at the entry of a number, from 0, of which the content of that
// entry alone is most likely to be read.
func (s *Source) OpenAt(n int32) (layer.Reader, error) { return s.limit(s.open(n, true)) }

// CheckEntries returns a layer.LimitError if the index has more entries than Limited allows,
// for a program that does not read through them.
func (s *Source) CheckEntries() error {
	if s.limits == nil {
		return nil
	}
	if most := s.limits.WithDefaults().Entries; s.Len() > most {
		return s.fail("", int32(min(most, math.MaxInt32-1)), &layer.LimitError{Limit: "Entries", Max: most})
	}
	return nil
}

func (s *Source) limit(r layer.Reader, err error) (layer.Reader, error) {
	if err != nil || s.limits == nil {
		return r, err
	}
	return layer.LimitReader(r, *s.limits), nil
}

// OpenFrom returns a reader at the entry of a number, of which more than that entry is read.
func (s *Source) OpenFrom(n int32) (layer.Reader, error) { return s.limit(s.open(n, false)) }

// EntryAt returns the entry of a number, from 0; see Index.EntryAt.
func (s *Source) EntryAt(n int32) (*layer.Entry, error) {
	e, err := s.x.EntryAt(n)
	if err != nil {
		return nil, s.fail("", n, err)
	}
	return e, nil
}

// Len returns the number of entries.
func (s *Source) Len() int64 { return s.x.head.Entries }

// Hives returns the numbers of the entries at places of hives; see Index.Hives.
func (s *Source) Hives() []int32 { return s.x.Hives() }

func (s *Source) open(n int32, single bool) (layer.Reader, error) {
	c, err := s.x.cursor(n)
	if err != nil {
		return nil, s.fail("", n, err)
	}
	return &reader{s: s, c: c, single: single}, nil
}

func (s *Source) fail(path string, n int32, err error) error {
	return &layer.Error{Op: "read layer", Layer: s.label, Entry: path, Index: int64(n) + 1, Offset: -1, Err: err}
}

// reader yields the entries of a table. It implements layer.Reader, layer.ExtentReader,
// layer.StreamHasher and layer.Metered.
type reader struct {
	s      *Source
	c      *cursor
	single bool // most likely only one entry is read
	rec    record
	n      int32 // of rec
	begun  bool
	stream int // in rec, from 1; 0 before the first
	sums   int // of streams before the current that are summed
	onData bool
	kept   io.Reader // the current stream, if the source keeps it
	finder layer.ExtentFinder
	err    error

	// The tar, where its reader is. last is the only entry that data goes on for, -1 for
	// all that follow.
	data    *wintar.Reader
	raw     *metered
	at      int32 // entry
	offset  int64 // of it
	streams int   // of it that were started
	last    int32
}

// Next returns the next entry.
func (r *reader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.begun && r.n%1024 == 0 {
		if err := r.s.ctx.Err(); err != nil {
			return nil, r.fail(context.Cause(r.s.ctx))
		}
	}
	r.stream, r.sums, r.onData, r.kept = 0, 0, false, nil
	n := r.c.n
	if err := r.c.next(&r.rec); err == io.EOF {
		r.begun, r.err = false, io.EOF
		return nil, io.EOF
	} else if err != nil {
		return nil, r.fail(err)
	}
	r.n, r.begun = n, true
	return &r.rec.Entry, nil
}

// NextStream starts the next stream.
func (r *reader) NextStream() (*layer.Stream, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.onData, r.kept = false, nil
	if r.stream > 0 && r.stream <= len(r.rec.streams) && r.rec.streams[r.stream-1].summed {
		r.sums++
	}
	if !r.begun || r.stream >= len(r.rec.streams) {
		r.stream = len(r.rec.streams) + 1
		return nil, io.EOF
	}
	r.stream++
	if r.s.kept != nil {
		r.kept = r.s.kept.Stream(r.n, r.stream-1)
		r.finder.Reset()
	}
	return &r.rec.streams[r.stream-1].Stream, nil
}

// current returns the current stream, nil if there is none.
func (r *reader) current() *stream {
	if !r.begun || r.stream == 0 || r.stream > len(r.rec.streams) {
		return nil
	}
	return &r.rec.streams[r.stream-1]
}

// StreamSum returns the SHA-256 of the current stream; see layer.StreamHasher.
func (r *reader) StreamSum() (sum [32]byte, ok bool) {
	if s := r.current(); s != nil && s.summed && r.err == nil {
		return r.s.x.streamSum(r.rec.sum + int64(r.sums))
	}
	return sum, false
}

// Read reads the current stream from the blob.
func (r *reader) Read(p []byte) (int, error) {
	s := r.current()
	if r.err != nil || s == nil || s.Size == 0 {
		return 0, r.ended()
	}
	if r.kept != nil {
		if r.finder.Active() {
			return r.finder.Read(p)
		}
		return r.kept.Read(p)
	}
	if err := r.locate(); err != nil {
		return 0, err
	}
	n, err := r.data.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// NextExtent moves to the next stored range of the current stream.
func (r *reader) NextExtent() (layer.Extent, error) {
	s := r.current()
	if r.err != nil || s == nil || s.Size == 0 {
		return layer.Extent{}, r.ended()
	}
	if r.kept != nil {
		return r.finder.Next(r.kept, s.Size)
	}
	if err := r.locate(); err != nil {
		return layer.Extent{}, err
	}
	x, err := r.data.NextExtent()
	if err != nil && err != io.EOF {
		r.err = err
	}
	return x, err
}

// ended returns the sticky error, io.EOF if there is none.
func (r *reader) ended() error {
	if r.err != nil {
		return r.err
	}
	return io.EOF
}

// locate brings the reader of the tar to the current stream.
func (r *reader) locate() error {
	if r.onData {
		return nil
	}
	if err := r.locateEntry(); err != nil {
		return r.fail(err)
	}
	for r.streams < r.stream {
		s, err := r.data.NextStream()
		if err == io.EOF {
			return r.fail(r.foreign("it has fewer streams"))
		}
		if err != nil {
			return r.fail(err)
		}
		r.streams++
		if want := r.rec.streams[r.streams-1].Stream; *s != want {
			return r.fail(r.foreign(fmt.Sprintf("stream %d is %+v, not %+v", r.streams, *s, want)))
		}
	}
	r.onData = true
	return nil
}

func (r *reader) locateEntry() error {
	if r.data != nil && r.at == r.n && r.streams < r.stream {
		return nil
	}
	forward := r.data != nil && r.last < 0 && r.at < r.n && r.rec.offset-r.offset <= nearby
	if !forward {
		if err := r.reopen(); err != nil {
			return err
		}
	}
	var e *layer.Entry
	for r.at < r.n {
		var err error
		if e, err = r.data.Next(); err == io.EOF {
			return r.foreign("the tar ends")
		} else if err != nil {
			return err
		}
		r.at++
	}
	r.offset, r.streams = r.rec.offset, 0
	if e.Path != r.rec.Path || e.Kind != r.rec.Kind || e.Size != r.rec.Size {
		return r.foreign(fmt.Sprintf("the tar has the %v %.200q of %d bytes there", e.Kind, e.Path, e.Size))
	}
	return nil
}

// reopen begins to read the tar at the current entry, or at one before it with the same
// offset.
func (r *reader) reopen() error {
	if err := r.closeData(); err != nil {
		return err
	}
	length := int64(-1)
	r.last = -1
	if r.single && r.c.n == r.n+1 {
		// The next entry begins where this one ends, except where only archive/tar
		// knows the end.
		next := r.c.peekOffset()
		if next > r.rec.offset {
			length, r.last = next-r.rec.offset, r.n
		}
	}
	r.single = false
	rc, err := r.s.openTar(r.rec.offset, length)
	if err != nil {
		return err
	}
	r.raw = &metered{rc, r.s.x.head.Stored}
	r.at = r.n - r.rec.same - 1
	r.data = wintar.NewReader(r.raw, append(r.s.opts[:len(r.s.opts):len(r.s.opts)], wintar.From(r.rec.offset, int64(r.at)+1))...)
	return nil
}

// peekOffset returns the offset of the entry after the current one, that of the tar's end
// if there is none.
func (c *cursor) peekOffset() int64 {
	ahead := *c
	ahead.path = append([]byte(nil), c.path...)
	var r record
	if err := ahead.next(&r); err != nil {
		return c.plain
	}
	return r.offset
}

func (r *reader) foreign(what string) error {
	return fmt.Errorf("%w: the index is that of another layer: %s", ErrDamaged, what)
}

func (r *reader) fail(err error) error {
	r.err = r.s.fail(r.rec.Path, r.n, err)
	return r.err
}

func (r *reader) closeData() error {
	if r.data == nil {
		return nil
	}
	err := r.data.Close()
	if cerr := r.raw.Close(); err == nil {
		err = cerr
	}
	r.data = nil
	return err
}

// StoredSize returns the size of the blob, which was read when the index was made; see
// layer.Metered.
func (r *reader) StoredSize() int64 { return r.s.x.head.Stored }

// Close ends reading.
func (r *reader) Close() error {
	if r.err == nil || r.err == io.EOF {
		r.err = layer.ErrClosed
	}
	r.begun = false
	return r.closeData()
}

// metered measures the expansion of holes by the whole blob, as when it was read first.
type metered struct {
	io.ReadCloser
	stored int64
}

func (m *metered) StoredSize() int64 { return m.stored }

var (
	_ layer.EntrySource  = (*Source)(nil)
	_ layer.Reader       = (*reader)(nil)
	_ layer.ExtentReader = (*reader)(nil)
	_ layer.StreamHasher = (*reader)(nil)
	_ layer.Metered      = (*reader)(nil)
)
