package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layerindex"
	"github.com/opencontainers/go-digest"
)

// Layer is one layer of an image.
type Layer struct {
	img *Image

	Index      int // 0 is the base
	Descriptor Descriptor
	DiffID     digest.Digest // of the plain tar
	ChainID    digest.Digest // of this layer together with those below it

	proven bool   // the diff ID was computed by this process
	origin *Layer // or nil; the layer of another image whose index this one shares

	mu     sync.Mutex
	known  *layerindex.Index // or nil
	looked bool              // in the cache, for the index
	parts  ranges
}

// Foreign reports whether the layer may not be distributed to other registries.
func (l *Layer) Foreign() bool { return oci.IsForeign(l.Descriptor.MediaType) }

// Stored opens the blob as it is stored. The reader verifies digest and size and
// reports io.EOF only if they hold. The caller closes it.
func (l *Layer) Stored(ctx context.Context) (*blob.Reader, error) {
	rc, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return l.name(blob.NewReader(ctx, rc, blob.Stored(), blob.WithCloser(rc),
		blob.WithDigest(l.Descriptor.Digest, l.Descriptor.Size)))
}

// Tar opens the layer's tar, decompressed. The reader verifies digest, size and
// diff ID and reports io.EOF only if they hold. The caller closes it.
func (l *Layer) Tar(ctx context.Context) (*blob.Reader, error) { return l.tar(ctx) }

func (l *Layer) tar(ctx context.Context, more ...blob.ReaderOption) (*blob.Reader, error) {
	if !oci.IsLayer(l.Descriptor.MediaType) {
		return nil, fmt.Errorf("%w: layer %d is %.100q", ErrMediaType, l.Index, l.Descriptor.MediaType)
	}
	rc, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return l.name(blob.NewReader(ctx, rc, append(more, blob.WithLimits(l.img.opts.limits), blob.WithCloser(rc),
		blob.WithDigest(l.Descriptor.Digest, l.Descriptor.Size), blob.WithDiffID(l.DiffID))...))
}

// Verified opens the blob as it is stored, as Stored does. Its reader also decompresses
// the blob and reports io.EOF only if the diff ID holds, so that a copy is an image that
// can be unpacked. With a cache, reading to the end leaves an index of the layer; where
// there is one, the diff ID is known to hold and nothing is decompressed. The error is
// ErrForeign for a layer that is only at its URLs. The caller closes the reader.
func (l *Layer) Verified(ctx context.Context) (io.ReadCloser, error) {
	if l.DiffID == "" || l.proven || !oci.IsLayer(l.Descriptor.MediaType) || l.index() != nil {
		return l.Stored(ctx) // without a diff ID it is the blob of an artifact
	}
	rc, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	// This reader reads ahead and counts. The digest is verified beside, with the diff ID.
	r, err := l.name(blob.NewReader(ctx, rc, blob.Stored(), blob.WithCloser(rc), blob.WithDigest("", l.Descriptor.Size)))
	if err != nil {
		return nil, err
	}
	return newBesideReader(r, func(r io.Reader) error { return l.verify(ctx, r, l.img.opts.cache != nil) }), nil
}

// Plain opens the layer's tar, decompressed, as Tar does. With a cache, reading to the end
// leaves an index of the layer, where there is none. The caller closes the reader.
func (l *Layer) Plain(ctx context.Context) (io.ReadCloser, error) {
	if l.img.opts.cache == nil || l.index() != nil {
		return l.Tar(ctx)
	}
	b, err := l.tar(ctx, blob.WithMap(0))
	if err != nil {
		return nil, err
	}
	return newBesideReader(b, func(tar io.Reader) error {
		l.record(tar, b)
		_, err := io.Copy(io.Discard, tar)
		return err
	}), nil
}

// name says which layer an error is about.
func (l *Layer) name(r *blob.Reader, err error) (*blob.Reader, error) {
	if err != nil {
		return nil, fmt.Errorf("layer %d: %w", l.Index, err)
	}
	return r, nil
}

func (l *Layer) open(ctx context.Context) (io.ReadCloser, error) {
	rc, err := l.img.src.Open(ctx, l.Descriptor)
	if errors.Is(err, ErrMissingBlob) && len(l.Descriptor.URLs) > 0 {
		if l.img.opts.foreign {
			rc, err = l.img.opts.openForeign(ctx, l.Descriptor)
		} else {
			err = fmt.Errorf("%w: %w", ErrForeign, err)
		}
	}
	if err != nil {
		return nil, l.nameError(err)
	}
	return l.track(rc), nil
}

func (l *Layer) nameError(err error) error { return fmt.Errorf("layer %d: %w", l.Index, err) }

// track reports the progress of reading rc, if the caller of the image wants to know.
func (l *Layer) track(rc io.ReadCloser) io.ReadCloser {
	if begin := l.img.opts.progress; begin != nil {
		add, done := begin(l)
		return &tracked{rc, add, done}
	}
	return rc
}

// tracked reports the progress of reading a blob.
type tracked struct {
	rc   io.ReadCloser
	add  func(int64)
	done func()
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.rc.Read(p)
	t.add(int64(n))
	return n, err
}

func (t *tracked) Close() error {
	t.done()
	return t.rc.Close()
}

// String names the layer in errors and findings: "layer 0 (sha256:0123456789ab)".
func (l *Layer) String() string {
	// The layers of an artifact have no diff ID.
	algorithm, digits, _ := strings.Cut(string(l.DiffID), ":")
	return fmt.Sprintf("layer %d (%s:%.12s)", l.Index, algorithm, digits)
}
