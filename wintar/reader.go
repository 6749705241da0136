package wintar

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

var errSeek = errors.New("only forward from the current position")

// Reader yields the entries of an uncompressed layer tar. It implements layer.Reader and
// layer.ExtentReader. Its memory is a fixed number of buffers, for any archive.
type Reader struct {
	src   *source
	tr    *archive
	dec   decoder
	raw   io.Reader
	label string

	closer io.Closer // or nil

	index   int64 // of the current entry among entries, from 1
	offset  int64 // of its header; see Offset
	entry   layer.Entry
	streams map[string]bool // folded names of the current entry's streams
	stream  layer.Stream
	begun   bool // there is a current entry
	sparse  bool // its main stream
	state   streamState
	ahead   bool    // the archive is already at the header after the entry
	next    *header // that header, nil at the end
	start   int64   // its offset
	extents layer.ExtentFinder
	ratio   int64
	err     error // sticky
}

type streamState uint8

const (
	streamsNone streamState = iota // no stream started
	streamOpen
	streamsDone
)

// NewReader returns a reader of the archive. It reads to the end of r: bytes after the
// archive are skipped, so that a digest over r covers everything. If r can seek, data that
// is not read is skipped by seeking.
func NewReader(r io.Reader, opts ...Option) *Reader { return newReader(r, nil, gather(opts)) }

// newReader returns a reader that closes closer, if that is not nil.
func newReader(r io.Reader, closer io.Closer, o options) *Reader {
	t := &Reader{src: newSource(r), raw: r, closer: closer, label: o.label}
	t.dec.options = o
	t.ratio = o.limits.WithDefaults().Ratio
	t.src.offset, t.src.first, t.index = o.offset, o.offset, o.index
	t.tr = newArchive(t.src)
	return t
}

// Next returns the next entry; see layer.Reader. If the archive ends without its trailer,
// the error is io.ErrUnexpectedEOF.
func (r *Reader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	for {
		h, err := r.peek()
		if err != nil {
			return nil, r.fail(err)
		}
		if h == nil {
			if err := r.finish(); err != nil {
				return nil, r.fail(err)
			}
			r.err = io.EOF
			return nil, io.EOF
		}
		if r.dec.role == roleStream {
			// A stream of the current entry that was not requested must satisfy the rules,
			// too.
			if err := r.checkStream(); err != nil {
				return nil, r.failAt(h.name, err)
			}
			r.ahead = false
			continue
		}
		r.ahead = false
		r.begun, r.sparse = true, r.dec.sparse
		r.entry, r.dec.entry = r.dec.entry, layer.Entry{}
		r.index++
		r.offset = r.start
		r.state, r.streams = streamsNone, nil
		r.extents.Reset()
		return &r.entry, nil
	}
}

// Offset returns where in the archive another reader can begin to yield the current entry:
// at the first header of the entry, its PAX records included, a multiple of 512. Entries of
// which only archive/tar knows the end, such as files with a malformed map of holes, share
// their offset with those that follow: the reader yields them in turn. No entry depends on
// anything else before it, because global PAX headers do not apply to layers.
func (r *Reader) Offset() int64 { return r.offset }

// peek returns the header after the current stream, decoded, without consuming it; nil at
// the end of the archive. Headers without a meaning for a layer are skipped.
func (r *Reader) peek() (*header, error) {
	if r.ahead {
		return r.next, nil
	}
	r.state = streamsDone
	for {
		h, err := r.tr.next()
		if err == io.EOF {
			r.ahead, r.next = true, nil
			r.dec.role = roleEntry
			return nil, nil
		}
		if err != nil {
			return nil, r.framing(err)
		}
		r.dec.decode(h, &r.dec.entry)
		if r.dec.err != nil {
			return nil, &layer.Error{Op: "read tar", Layer: r.label, Entry: clipName(h.name), Index: r.index + 1, Offset: r.src.block, Err: r.dec.err}
		}
		if r.dec.role == roleSkip {
			continue
		}
		if r.dec.flaw != nil {
			r.dec.entry.Defect = &layer.Error{Op: "read tar", Layer: r.label, Entry: clipName(h.name), Index: r.index + 1, Offset: r.src.block, Err: r.dec.flaw}
		}
		r.ahead, r.next, r.start = true, h, r.tr.start
		return h, nil
	}
}

// framing explains and places an error of archive/tar: it concerns the header after the
// current entry, or missing data of the entry.
func (r *Reader) framing(err error) error {
	placed := &layer.Error{Op: "read tar", Layer: r.label, Entry: r.src.lastName(), Index: r.index + 1, Offset: r.src.block, Err: err}
	switch {
	case errors.Is(err, tar.ErrHeader):
		placed.Err = fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	case errors.Is(err, tar.ErrFieldTooLong):
		placed.Err = fmt.Errorf("%w: records of more than 1 MiB: %w", layer.ErrCorrupt, &layer.LimitError{Limit: "MetadataLen", Max: 1 << 20})
	default:
		placed.Offset = r.src.offset
		if r.begun {
			placed.Entry, placed.Index = r.entry.Path, r.index
		}
	}
	return placed
}

// checkStream checks the stream in r.dec against the current entry.
func (r *Reader) checkStream() error {
	d := &r.dec
	if !r.begun || d.owner != r.entry.Path || r.entry.Kind != layer.File && r.entry.Kind != layer.Dir {
		return fmt.Errorf("%w: an alternate stream must come directly after its file", layer.ErrCorrupt)
	}
	folded := winfs.Fold(d.stream)
	if r.streams[folded] {
		return fmt.Errorf("%w: stream %s", layer.ErrDuplicate, shorten(d.stream))
	}
	if len(r.streams) >= maxStreams {
		return &layer.LimitError{Limit: "Streams", Max: maxStreams}
	}
	if r.streams == nil {
		r.streams = map[string]bool{}
	}
	r.streams[folded] = true
	return nil
}

// maxStreams bounds the stream names recorded for one entry. NTFS has room for some 6,000
// streams in one file.
const maxStreams = 1 << 16

// NextStream starts the next stream; see layer.Reader.
func (r *Reader) NextStream() (*layer.Stream, error) {
	if r.err != nil {
		return nil, r.err
	}
	if !r.begun {
		return nil, io.EOF
	}
	r.extents.Reset()
	if r.entry.Kind == layer.File && r.state == streamsNone && !r.ahead {
		r.stream = layer.Stream{Size: r.entry.Size, Sparse: r.sparse}
		r.state = streamOpen
		return &r.stream, nil
	}
	if r.entry.Kind != layer.File && r.entry.Kind != layer.Dir {
		r.state = streamsDone
		return nil, io.EOF
	}
	h, err := r.peek()
	if err != nil {
		return nil, r.fail(err)
	}
	if h == nil || r.dec.role != roleStream {
		return nil, io.EOF
	}
	if err := r.checkStream(); err != nil {
		return nil, r.failAt(h.name, err)
	}
	r.ahead = false
	r.stream = layer.Stream{Name: r.dec.stream, Size: h.size, Sparse: r.dec.sparse}
	r.state = streamOpen
	return &r.stream, nil
}

// Read reads the current stream; see layer.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.state != streamOpen {
		return 0, io.EOF
	}
	if r.extents.Active() {
		return r.extents.Read(p)
	}
	n, err := r.tr.Read(p)
	if err == nil || err == io.EOF {
		if e := r.expansion(); e != nil {
			return 0, r.fail(e)
		}
	} else {
		err = r.fail(err)
	}
	return n, err
}

// expansion bounds the zeros returned for holes.
func (r *Reader) expansion() error {
	if r.tr.filled > layer.RatioFloor && r.tr.filled/r.ratio > r.StoredSize() {
		return &layer.LimitError{Limit: "Ratio", Max: r.ratio}
	}
	return nil
}

// StoredSize returns the number of bytes of the source that were read so far, before
// decompression if the source knows it; see layer.Metered.
func (r *Reader) StoredSize() int64 {
	if m, ok := r.raw.(layer.Metered); ok {
		return m.StoredSize()
	}
	return r.src.offset - r.src.first
}

// NextExtent moves to the next stored range of the current stream; see layer.ExtentReader.
// Most archives store holes as zeros: then the zeros that fill whole units of 64 KiB, in
// which NTFS allocates sparse files, are reported as holes. A stream that is not sparse is
// searched as well when asked.
func (r *Reader) NextExtent() (layer.Extent, error) {
	if r.err != nil {
		return layer.Extent{}, r.err
	}
	if r.state != streamOpen {
		return layer.Extent{}, io.EOF
	}
	if s := r.tr.sparse; s != nil {
		x, err := s.extent(r.tr)
		if err != nil && err != io.EOF {
			err = r.fail(err)
		}
		return x, err
	}
	x, err := r.extents.Next(r.tr, r.stream.Size)
	if err == nil || err == io.EOF {
		if e := r.expansion(); e != nil {
			return layer.Extent{}, r.fail(e)
		}
	}
	if err != nil && err != io.EOF {
		err = r.fail(err)
	}
	return x, err
}

// DataOffset returns the offset in the archive at which the content of the current stream
// is, if nothing of it was read yet and if it is there in one piece: that of a sparse
// stream may not be.
func (r *Reader) DataOffset() (int64, bool) {
	if r.err != nil || r.state != streamOpen || r.extents.Active() || r.tr.tr != nil || r.tr.sparse != nil || r.tr.left != r.stream.Size {
		return 0, false
	}
	return r.src.offset, true
}

// finish reads the bytes after the archive, and decides whether the archive is complete.
func (r *Reader) finish() error {
	if r.src.ended && !r.src.blockZero && !r.dec.noTrailer {
		return fmt.Errorf("the archive has no trailer: %w", io.ErrUnexpectedEOF)
	}
	r.src.from, r.src.to = 0, 0
	if r.src.err != nil {
		if r.src.err == io.EOF {
			return nil
		}
		return r.src.err
	}
	if k, ok := r.raw.(io.Seeker); ok {
		if _, err := k.Seek(0, io.SeekEnd); err == nil {
			return nil
		}
	}
	_, err := io.Copy(io.Discard, r.raw)
	return err
}

// fail makes an error sticky and places it.
func (r *Reader) fail(err error) error {
	var placed *layer.Error
	if !errors.As(err, &placed) {
		name := ""
		if r.begun {
			name = r.entry.Path
		}
		err = &layer.Error{Op: "read tar", Layer: r.label, Entry: name, Index: r.index, Offset: r.src.offset, Err: err}
	}
	r.err = err
	r.state = streamsDone
	return err
}

func (r *Reader) failAt(name string, err error) error {
	return r.fail(&layer.Error{Op: "read tar", Layer: r.label, Entry: clipName(name), Index: r.index, Offset: r.src.block, Err: err})
}

// clipName bounds a name of the archive in an error.
func clipName(s string) string {
	const most = 400
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// Close makes the reader unusable. It does not close the reader passed to NewReader; a
// reader from Open closes its file.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = layer.ErrClosed
	}
	r.state = streamsDone
	if r.closer != nil {
		return r.closer.Close()
	}
	return nil
}

// Blob returns the blob that the archive is read from, and nil if it is read from anything
// else. It is there for the sizes and digests, which are known after the reader has
// reported its end.
func (r *Reader) Blob() *blob.Reader {
	b, _ := r.raw.(*blob.Reader)
	return b
}

var (
	_ layer.Reader       = (*Reader)(nil)
	_ layer.ExtentReader = (*Reader)(nil)
	_ layer.Metered      = (*Reader)(nil)
)
