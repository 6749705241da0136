package image

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// Bounds of the documents of one source: indexes, manifests and configurations. An
// index may refer to anything any number of times, so that only totals bound it.
const (
	// maxDocuments is how many documents are read, and maxDocumentBytes how many
	// bytes of them.
	maxDocuments     = 8192
	maxDocumentBytes = 64 << 20
)

// documents reads the documents of a source. Each digest is fetched once and held
// once. It is safe for concurrent use.
type documents struct {
	Source
	mu    sync.Mutex
	held  map[digest.Digest][]byte
	bytes int64
}

func newDocuments(src Source) *documents {
	return &documents{Source: src, held: map[digest.Digest][]byte{}}
}

// fetch returns a verified document. The caller does not change it.
func (s *documents) fetch(ctx context.Context, d Descriptor) ([]byte, error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return nil, err
	}
	if d.Size < 0 || d.Size > oci.MaxDocument {
		return nil, fmt.Errorf("%w: %.100q %s of %d bytes", ErrManifest, d.MediaType, d.Digest, d.Size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if raw, ok := s.held[d.Digest]; ok {
		if int64(len(raw)) != d.Size {
			return nil, fmt.Errorf("%w: %s has %d bytes and is listed with %d", ErrManifest, d.Digest, len(raw), d.Size)
		}
		return raw, nil
	}
	if len(s.held) >= maxDocuments {
		return nil, &layer.LimitError{Limit: "documents", Max: maxDocuments}
	}
	if s.bytes+d.Size > maxDocumentBytes {
		return nil, &layer.LimitError{Limit: "bytes of documents", Max: maxDocumentBytes}
	}
	raw, err := s.read(ctx, d)
	if err != nil {
		return nil, err
	}
	s.held[d.Digest] = raw
	s.bytes += d.Size
	return raw, nil
}

func (s *documents) read(ctx context.Context, d Descriptor) ([]byte, error) {
	rc, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	r, err := blob.NewReader(ctx, rc, blob.WithDigest(d.Digest, d.Size), blob.Stored())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	defer r.Close()
	raw := make([]byte, 0, d.Size+1) // and one more, where ReadAll would grow it
	for {
		n, err := r.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		if err == io.EOF {
			return raw, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Digest, err)
		}
	}
}

// document reads an index or manifest.
func (s *documents) document(ctx context.Context, d Descriptor) (*Document, error) {
	raw, err := s.fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	return ParseDocument(d, raw)
}

// config reads the configuration that a manifest names.
func (s *documents) config(ctx context.Context, d Descriptor) ([]byte, *Config, error) {
	raw, err := s.fetch(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	c, err := ParseConfig(d, raw)
	return raw, c, err
}
