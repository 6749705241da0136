package archive

import (
	"context"
	"fmt"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/opencontainers/go-digest"
)

// ociSource is an OCI image layout in a tar file.
type ociSource struct {
	*archive
	tag    string
	digest digest.Digest
}

func (s *ociSource) Roots(context.Context) ([]image.Descriptor, error) {
	return ocilayout.Roots(s.read, s.tag, s.digest, s.size)
}

// size returns the size of a blob in bytes.
func (s *ociSource) size(d digest.Digest) (int64, error) {
	f, ok := s.lookup(ocilayout.BlobPath(d))
	if !ok {
		return 0, fmt.Errorf("%w: %s", image.ErrMissingBlob, d)
	}
	return f.size, nil
}

func (s *ociSource) Holds(d image.Descriptor) bool {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return false
	}
	_, ok := s.lookup(ocilayout.BlobPath(d.Digest))
	return ok
}

func (s *ociSource) Open(_ context.Context, d image.Descriptor) (io.ReadCloser, error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return nil, err
	}
	if _, ok := s.lookup(ocilayout.BlobPath(d.Digest)); !ok {
		return nil, fmt.Errorf("%w: %s", image.ErrMissingBlob, d.Digest)
	}
	r, err := s.archive.open(ocilayout.BlobPath(d.Digest))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// OpenRange implements image.RangeOpener.
func (s *ociSource) OpenRange(_ context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	if !s.Holds(d) {
		return nil, fmt.Errorf("%w: %s", image.ErrMissingBlob, d.Digest)
	}
	return s.openRange(ocilayout.BlobPath(d.Digest), off, n)
}

// Local implements image.LocalSource.
func (s *ociSource) Local(d image.Descriptor) bool { return s.Holds(d) }

func (s *ociSource) Close() error { return s.close() }
