package blob

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/internal/inflate"
	"github.com/mullion/mullion/layer"
)

// ReaderOption configures NewReader.
type ReaderOption func(*readerOptions)

type readerOptions struct {
	digest, diffID string
	size           int64
	limits         layer.Limits
	sum, stored    bool
	closer         io.Closer
	spacing        int64 // of the points of a map, 0 for no map
}

// WithDigest makes the reader fail unless the stored bytes have this digest and
// this size in bytes; size -1 is any.
func WithDigest[D ~string](d D, size int64) ReaderOption {
	return func(o *readerOptions) { o.digest, o.size = string(d), size }
}

// WithDiffID makes the reader fail unless the decompressed bytes have this digest.
func WithDiffID[D ~string](d D) ReaderOption {
	return func(o *readerOptions) { o.diffID = string(d) }
}

// WithLimits sets limits; this package uses Ratio.
func WithLimits(l layer.Limits) ReaderOption { return func(o *readerOptions) { o.limits = l } }

// WithSums makes the reader compute both digests even if none is expected, for Digest and
// DiffID.
func WithSums() ReaderOption { return func(o *readerOptions) { o.sum = true } }

// Stored makes the reader return the stored bytes, verified and not decompressed.
func Stored() ReaderOption { return func(o *readerOptions) { o.stored = true } }

// WithCloser makes the reader's Close close c, the source, and NewReader close it when it
// fails. c.Close may be called during a Read, as with an os.File.
func WithCloser(c io.Closer) ReaderOption { return func(o *readerOptions) { o.closer = c } }

// Reader yields the decompressed bytes of a blob.
type Reader struct {
	format Format
	stored *stage
	plain  *stage // the decompressed stream; nil if it is the stored stream
	cancel context.CancelFunc
	diffID string // expected, where plain is nil
	closer io.Closer
	survey *survey // nil without WithMap
	err    error
}

// NewReader starts reading a blob. The caller must Close the reader. Close does not wait
// for a Read of src that is in progress and does not close src; see WithCloser.
func NewReader(ctx context.Context, src io.Reader, options ...ReaderOption) (*Reader, error) {
	o := readerOptions{size: -1}
	for _, f := range options {
		f(&o)
	}
	r, err := newReader(ctx, src, &o)
	if err != nil && o.closer != nil {
		o.closer.Close()
	}
	return r, err
}

func newReader(ctx context.Context, src io.Reader, o *readerOptions) (*Reader, error) {
	for _, d := range []string{o.digest, o.diffID} {
		if d != "" {
			if err := CheckDigest(d); err != nil {
				return nil, err
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Reader{cancel: cancel, diffID: o.diffID, closer: o.closer}
	r.stored = newStage(ctx, "blob", src, o.digest, o.size)
	if o.spacing > 0 && !o.stored {
		r.survey = &survey{spacing: o.spacing}
		r.stored.chunks = &r.survey.chunks
	}
	r.stored.start(algorithmOf(o.digest, o.diffID, o.sum), nil)

	head, err := r.stored.peek(DetectLength)
	if err == nil || err == io.EOF {
		r.format, err = Detect(head)
	}
	if o.stored && (err == nil || errors.Is(err, ErrCompression)) {
		r.diffID = ""
		return r, nil
	}
	if err != nil {
		cancel()
		return nil, err
	}
	if r.format == Plain && (o.diffID == "" || algorithmIn(o.diffID) == r.stored.algorithm) {
		return r, nil // the diff ID, if any, is the digest of the first stage
	}
	d, err := newDecompressor(r.format, r.stored, r.survey)
	if err != nil {
		cancel()
		return nil, r.decompressError(err)
	}
	r.plain = newStage(ctx, "diff ID", &decompressed{r, d}, o.diffID, -1)
	r.plain.start(algorithmOf(o.diffID, "", o.sum), ratioCheck(r, o.limits.Ratio))
	return r, nil
}

// algorithmOf returns the hash algorithm: that of the expected digest, else SHA-256 if a
// sum is wanted. A plain blob is its own diff ID and is hashed once.
func algorithmOf(want, other string, sum bool) string {
	switch {
	case want != "":
		return algorithmIn(want)
	case other != "":
		return algorithmIn(other)
	case sum:
		return "sha256"
	}
	return ""
}

func ratioCheck(r *Reader, ratio int64) func() error {
	if ratio == 0 {
		ratio = layer.DefaultRatio
	}
	if ratio < 0 {
		return nil
	}
	return func() error {
		out, in := r.plain.n.Load(), r.stored.n.Load()
		if out > layer.RatioFloor && out/ratio > in {
			return &layer.LimitError{Limit: "Ratio", Max: ratio}
		}
		return nil
	}
}

// decompressed is the decompressor as the source of the second stage.
type decompressed struct {
	r *Reader
	d io.ReadCloser
}

func (d *decompressed) Read(p []byte) (int, error) {
	n, err := d.d.Read(p)
	if err != nil {
		d.d.Close()
	}
	if err == io.EOF {
		// The decompressor has reached its end; the blob ends only when its own end was
		// read, where its digest is compared too.
		if _, err := d.r.stored.Read(make([]byte, 1)); err != io.EOF {
			if err == nil {
				err = fmt.Errorf("%w: %v data is followed by something else", ErrCorrupt, d.r.format)
			}
			return n, err
		}
	} else if err != nil {
		err = d.r.decompressError(err)
	}
	return n, err
}

// decompressError keeps errors of the source and wraps the others. A wrong digest describes
// a stream that was damaged in transit better than an error of decompression, so the rest
// of it is read to determine the digest.
func (r *Reader) decompressError(err error) error {
	var mismatch *MismatchError
	var corrupt *inflate.CorruptError
	switch {
	case errors.As(err, &mismatch), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	if r.stored.want != "" || r.stored.size >= 0 {
		if _, rest := io.Copy(io.Discard, r.stored); errors.As(rest, &mismatch) {
			return rest
		}
	}
	if errors.As(err, &corrupt) {
		return fmt.Errorf("%w: %v at offset %#x: %s", ErrCorrupt, r.format, corrupt.Offset, corrupt.What)
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %v: %w", ErrCorrupt, r.format, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%w: %v: %w", ErrCorrupt, r.format, err)
}

// Read returns decompressed bytes. It returns io.EOF only if the digests and the size are
// the expected ones.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	s := r.last()
	n, err := s.Read(p)
	if err == io.EOF && r.plain == nil && r.diffID != "" {
		if got := r.stored.sum; got != r.diffID {
			err = &MismatchError{What: "diff ID", Want: r.diffID, Got: got, Err: ErrDigest}
		}
	}
	r.err = err
	return n, err
}

func (r *Reader) last() *stage {
	if r.plain != nil {
		return r.plain
	}
	return r.stored
}

// Finish reads the rest and returns nil if the digests and the size are the expected ones.
// Consumers that know their end before io.EOF call it before they publish anything.
func (r *Reader) Finish() error {
	if r.err == nil {
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 32<<10))
	}
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// Format returns the detected compression.
func (r *Reader) Format() Format { return r.format }

// Digest returns the digest of the stored bytes, "" if none was computed. It is available
// after io.EOF.
func (r *Reader) Digest() string { return r.stored.result() }

// DiffID returns the digest of the decompressed bytes, "" if none was computed. It is
// available after io.EOF.
func (r *Reader) DiffID() string { return r.last().result() }

// StoredSize returns the number of bytes read from the source so far.
func (r *Reader) StoredSize() int64 { return r.stored.n.Load() }

// Size returns the number of bytes decompressed so far.
func (r *Reader) Size() int64 { return r.last().n.Load() }

// Close stops the reader. It may be called twice.
func (r *Reader) Close() error {
	r.cancel()
	if r.survey != nil {
		r.survey.store.discard()
	}
	if r.err == nil {
		r.err = layer.ErrClosed
	}
	if c := r.closer; c != nil {
		r.closer = nil
		return c.Close()
	}
	return nil
}
