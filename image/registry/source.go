package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registryerr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/opencontainers/go-digest"
)

// source is a repository in a registry.
type source struct {
	ref     name.Reference
	puller  *remote.Puller
	options *options

	mu     sync.Mutex
	client *http.Client // of OpenRange and Referrers, made when it is first called
}

func (s *source) Roots(ctx context.Context) ([]image.Descriptor, error) {
	d, err := s.puller.Get(ctx, s.ref)
	if err != nil {
		return nil, explain(err)
	}
	mediaType := oci.BaseMediaType(string(d.MediaType))
	if !oci.IsIndex(mediaType) && !oci.IsManifest(mediaType) {
		mediaType = "" // of a server that knows no better: the document itself says
	}
	return []image.Descriptor{{MediaType: mediaType, Digest: digest.Digest(d.Digest.String()), Size: int64(len(d.Manifest))}}, nil
}

// explain maps a registry's answer to the matching error of package image.
func explain(err error) error {
	var t *registryerr.Error
	if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %w", image.ErrNotFound, err)
	}
	return err
}

func (s *source) Open(ctx context.Context, d image.Descriptor) (io.ReadCloser, error) {
	if _, err := v1.NewHash(string(d.Digest)); err != nil {
		return nil, fmt.Errorf("%w: %.100q: registries are read by SHA-256", image.ErrMediaType, d.Digest)
	}
	at := s.ref.Context().Digest(string(d.Digest))
	if oci.IsIndex(d.MediaType) || oci.IsManifest(d.MediaType) || d.MediaType == "" {
		got, err := s.puller.Get(ctx, at)
		if err != nil {
			return nil, explain(err)
		}
		return io.NopCloser(bytes.NewReader(got.Manifest)), nil
	}
	l, err := s.puller.Layer(ctx, at)
	if err == nil {
		var rc io.ReadCloser
		if rc, err = l.Compressed(); err == nil {
			return rc, nil
		}
	}
	var t *registryerr.Error
	if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%w: %w", image.ErrMissingBlob, err)
	}
	return nil, err
}

func (s *source) Close() error { return nil }
