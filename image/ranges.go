package image

import (
	"context"
	"errors"
	"io"
	"sync"
)

// A RangeOpener is a Source that opens parts of its content.
type RangeOpener interface {
	// OpenRange opens n bytes at an offset of the content that a descriptor names, without
	// verifying them. The error is ErrMissingBlob if the source does not hold it, and
	// ErrNoRanges if it can only be opened as a whole. The caller closes the reader before
	// the source.
	OpenRange(ctx context.Context, d Descriptor, off, n int64) (io.ReadCloser, error)
}

// A LocalSource is a RangeOpener of local files.
type LocalSource interface {
	RangeOpener
	// Local reports whether the content that a descriptor names can be opened in several
	// parts at once, none of which costs more than reading it.
	Local(d Descriptor) bool
}

// ErrNoRanges reports content that a source can only open as a whole.
var ErrNoRanges = errors.New("the content cannot be opened in parts")

// ranges are those of a layer's blob, as it is stored.
type ranges struct {
	l *Layer

	mu    sync.Mutex
	whole bool // the source opens no parts
	// The blob as a whole, where reading it was stopped.
	rc io.ReadCloser
	at int64
}

// OpenRange implements blob.Ranges.
func (r *ranges) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if src, ok := r.l.img.src.Source.(RangeOpener); ok && !r.whole {
		rc, err := src.OpenRange(ctx, r.l.Descriptor, off, n)
		if err == nil {
			return r.l.track(rc), nil
		}
		if !errors.Is(err, ErrNoRanges) && !errors.Is(err, ErrMissingBlob) {
			return nil, r.l.nameError(err)
		}
		r.whole = true
	}
	rc, at := r.rc, r.at
	r.rc = nil
	if rc != nil && at > off {
		rc.Close()
		rc = nil
	}
	if rc == nil {
		var err error
		if rc, err = r.l.open(ctx); err != nil {
			return nil, err
		}
		at = 0
	}
	if _, err := io.CopyN(io.Discard, rc, off-at); err != nil {
		rc.Close()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, r.l.nameError(err)
	}
	return &part{r: r, rc: rc, at: off, left: n}, nil
}

// close closes the blob that is kept open.
func (r *ranges) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rc != nil {
		r.rc.Close()
		r.rc = nil
	}
}

// part is a range of a blob that is read as a whole.
type part struct {
	r        *ranges
	rc       io.ReadCloser
	at, left int64
}

func (p *part) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.rc.Read(b[:min(int64(len(b)), p.left)])
	p.at, p.left = p.at+int64(n), p.left-int64(n)
	return n, err
}

// Close leaves the blob open for the next range.
func (p *part) Close() error {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	if p.rc == nil {
		return nil
	}
	if p.r.rc != nil {
		p.r.rc.Close()
	}
	p.r.rc, p.r.at = p.rc, p.at
	p.rc = nil
	return nil
}
