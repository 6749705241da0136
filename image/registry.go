package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registryerr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
)

// registrySource is a repository in a registry.
type registrySource struct {
	ref    name.Reference
	puller *remote.Puller
}

func parseRegistryName(s string, o *options) (name.Reference, error) {
	var opts []name.Option
	if o.plainHTTP {
		opts = append(opts, name.Insecure)
	}
	ref, err := name.ParseReference(s, opts...)
	if err != nil {
		return nil, fmt.Errorf("%w: %.200q: %v", ErrReference, s, err)
	}
	return ref, nil
}

// remoteOptions are those of every call. Credentials are what docker login stored.
func remoteOptions(ref name.Reference, o *options) []remote.Option {
	return []remote.Option{remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("mullion"),
		remote.WithTransport(newTransport(o, ref.Context().RegistryStr()))}
}

func openRegistry(ref Reference, o *options) (source, error) {
	r, err := parseRegistryName(ref.Path, o)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(remoteOptions(r, o)...)
	if err != nil {
		return nil, err
	}
	return &registrySource{r, puller}, nil
}

func (s *registrySource) roots(ctx context.Context) ([]Descriptor, error) {
	d, err := s.puller.Get(ctx, s.ref)
	if err != nil {
		return nil, s.explain(err)
	}
	mediaType := baseMediaType(string(d.MediaType))
	if !isIndex(mediaType) && !isManifest(mediaType) {
		mediaType = "" // of a server that knows no better: the document itself says
	}
	return []Descriptor{{MediaType: mediaType, Digest: digest.Digest(d.Digest.String()), Size: int64(len(d.Manifest))}}, nil
}

// explain gives a registry's answer the error of this package that it stands for.
func (s *registrySource) explain(err error) error {
	var t *registryerr.Error
	if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

func (s *registrySource) open(ctx context.Context, d Descriptor) (io.ReadCloser, error) {
	if _, err := v1.NewHash(string(d.Digest)); err != nil {
		return nil, fmt.Errorf("%w: %.100q: registries are read by SHA-256", ErrMediaType, d.Digest)
	}
	at := s.ref.Context().Digest(string(d.Digest))
	if isIndex(d.MediaType) || isManifest(d.MediaType) || d.MediaType == "" {
		got, err := s.puller.Get(ctx, at)
		if err != nil {
			return nil, s.explain(err)
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
		return nil, fmt.Errorf("%w: %w", ErrMissingBlob, err)
	}
	return nil, err
}

func (s *registrySource) close() error { return nil }
