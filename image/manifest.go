package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mullion/mullion/blob"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Descriptor names content by media type, digest and size.
type Descriptor = ocispec.Descriptor

// Media types that the OCI specification does not name.
const (
	dockerList         = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig       = "application/vnd.docker.container.image.v1+json"
	dockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayerGzip    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerLayerZstd    = "application/vnd.docker.image.rootfs.diff.tar.zstd"
	dockerForeign      = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	dockerForeignGzip  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	nondistributable   = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	nondistributableGz = nondistributable + "+gzip"
	nondistributableZs = nondistributable + "+zstd"
)

// isLayer reports whether a media type is that of an image layer. What it says of
// the compression is not believed; see package blob.
func isLayer(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		dockerLayer, dockerLayerGzip, dockerLayerZstd:
		return true
	}
	return isForeign(mediaType)
}

// isForeign reports whether a media type is that of a layer which may not be
// distributed to other registries.
func isForeign(mediaType string) bool {
	switch mediaType {
	case dockerForeign, dockerForeignGzip, nondistributable, nondistributableGz, nondistributableZs:
		return true
	}
	return false
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerList
}

func isManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest
}

// maxDocument is the largest index, manifest or configuration that is read.
const maxDocument = 16 << 20

// fetch reads a small document and verifies it.
func fetch(ctx context.Context, src source, d Descriptor) ([]byte, error) {
	if _, err := blob.ParseDigest(string(d.Digest)); err != nil {
		return nil, err
	}
	if d.Size < 0 || d.Size > maxDocument {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrManifest, d.MediaType, d.Size)
	}
	rc, err := src.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	r, err := blob.NewReader(ctx, rc, blob.WithDigest(blob.Digest(d.Digest), d.Size), blob.Stored())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	return b, nil
}

// document is an index or a manifest as it was stored.
type document struct {
	desc     Descriptor
	raw      []byte
	index    *ocispec.Index    // one of the two is set
	manifest *ocispec.Manifest //
}

// parseDocument tells an index from a manifest by what it holds, and refuses what
// could be taken for either: two readers must never see two images in one document.
func parseDocument(d Descriptor, raw []byte) (*document, error) {
	var shape struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Manifests     json.RawMessage `json:"manifests"`
		Config        json.RawMessage `json:"config"`
		Layers        json.RawMessage `json:"layers"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrManifest, d.Digest, err)
	}
	if shape.SchemaVersion == 1 || shape.FSLayers != nil {
		return nil, fmt.Errorf("%w: %s: manifest of schema version 1", ErrMediaType, d.Digest)
	}
	if shape.MediaType != "" {
		if d.MediaType != "" && d.MediaType != shape.MediaType {
			return nil, fmt.Errorf("%w: %s says it is %.80q and is listed as %.80q", ErrManifest, d.Digest, shape.MediaType, d.MediaType)
		}
		d.MediaType = shape.MediaType
	}
	many, one := shape.Manifests != nil, shape.Config != nil || shape.Layers != nil
	doc := &document{desc: d, raw: raw}
	var err error
	switch {
	case many && one:
		return nil, fmt.Errorf("%w: %s has both manifests and layers", ErrManifest, d.Digest)
	case many && !isManifest(d.MediaType):
		if d.MediaType == "" {
			doc.desc.MediaType = ocispec.MediaTypeImageIndex
		}
		err = json.Unmarshal(raw, &doc.index)
	case one && !isIndex(d.MediaType):
		if d.MediaType == "" {
			doc.desc.MediaType = ocispec.MediaTypeImageManifest
		}
		err = json.Unmarshal(raw, &doc.manifest)
	default:
		return nil, fmt.Errorf("%w: %s is neither an index nor a manifest", ErrManifest, d.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrManifest, d.Digest, err)
	}
	return doc, nil
}

// fetchDocument reads an index or manifest.
func fetchDocument(ctx context.Context, src source, d Descriptor) (*document, error) {
	raw, err := fetch(ctx, src, d)
	if err != nil {
		return nil, err
	}
	return parseDocument(d, raw)
}

// Config is what an image's configuration says.
type Config = ocispec.Image

func parseConfig(d Descriptor, raw []byte) (*Config, error) {
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%w: configuration %s: %v", ErrManifest, d.Digest, err)
	}
	return &c, nil
}
