package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/mullion/mullion/image"
	"github.com/opencontainers/go-digest"
)

// Referrers asks for the referrers of a manifest, by the API of the OCI distribution
// specification 1.1, and where a registry lacks it by the tag that its "Referrers Tag Schema"
// defines. Of an answer in pages the first is read.
func (s *source) Referrers(ctx context.Context, d image.Descriptor) ([]image.Descriptor, error) {
	if _, err := v1.NewHash(string(d.Digest)); err != nil {
		return nil, fmt.Errorf("%w: %.100q: registries are read by SHA-256", image.ErrMediaType, d.Digest)
	}
	repo := s.ref.Context()
	t := transport{*s.options}
	index, err := remote.Referrers(repo.Digest(string(d.Digest)), append(t.remote(repo), remote.WithContext(ctx))...)
	if err != nil {
		return nil, explain(err)
	}
	raw, err := index.RawManifest()
	if err != nil {
		return nil, err
	}
	doc, err := image.ParseDocument(image.Descriptor{MediaType: string(types.OCIImageIndex), Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw)
	if err != nil || doc.Index == nil {
		return nil, fmt.Errorf("%w: the list of referrers of %s: %v", image.ErrManifest, d.Digest, err)
	}
	return doc.Index.Manifests, nil
}

// WriteReferrer pushes an artifact. Where a registry lacks the API of referrers, the client
// also adds it to the tag of the Referrers Tag Schema.
func (d *destination) WriteReferrer(ctx context.Context, manifest image.Content, _ string, blobs []image.Content) error {
	repo := d.ref.Context()
	img, err := partial.CompressedToImage(&artifact{manifest, blobs})
	if err != nil {
		return err
	}
	at := repo.Digest(string(manifest.Descriptor.Digest))
	return d.blame(remote.Write(at, img, append(d.remote(repo), remote.WithContext(ctx))...))
}

// artifact shows a manifest with small blobs, the first of which is the configuration, to the
// registry client.
type artifact struct {
	manifest image.Content
	blobs    []image.Content
}

func (a *artifact) RawConfigFile() ([]byte, error) { return a.blobs[0].Raw, nil }
func (a *artifact) RawManifest() ([]byte, error)   { return a.manifest.Raw, nil }
func (a *artifact) MediaType() (types.MediaType, error) {
	return types.MediaType(a.manifest.Descriptor.MediaType), nil
}

func (a *artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, b := range a.blobs {
		if string(b.Descriptor.Digest) == h.String() {
			return &smallLayer{b, h}, nil
		}
	}
	return nil, fmt.Errorf("%w: %v", image.ErrMissingBlob, h)
}

type smallLayer struct {
	image.Content
	hash v1.Hash
}

func (l *smallLayer) Digest() (v1.Hash, error) { return l.hash, nil }
func (l *smallLayer) Size() (int64, error)     { return l.Descriptor.Size, nil }
func (l *smallLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.Descriptor.MediaType), nil
}

func (l *smallLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.Raw)), nil
}

var (
	_ image.ReferrerSource      = (*source)(nil)
	_ image.ReferrerDestination = (*destination)(nil)
)
