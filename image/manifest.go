package image

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mullion/mullion/layer"
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

// baseMediaType returns a media type in the form in which this package compares them:
// lower case and without parameters, as in RFC 9110, 8.3.1. Registries send both.
func baseMediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// isLayer reports whether a media type is that of an image layer. What it says of
// the compression is not believed; see package blob.
func isLayer(mediaType string) bool {
	switch baseMediaType(mediaType) {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		dockerLayer, dockerLayerGzip, dockerLayerZstd:
		return true
	}
	return isForeign(mediaType)
}

// isForeign reports whether a media type is that of a layer which may not be
// distributed to other registries.
func isForeign(mediaType string) bool {
	switch baseMediaType(mediaType) {
	case dockerForeign, dockerForeignGzip, nondistributable, nondistributableGz, nondistributableZs:
		return true
	}
	return false
}

func isIndex(mediaType string) bool {
	mediaType = baseMediaType(mediaType)
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerList
}

func isManifest(mediaType string) bool {
	mediaType = baseMediaType(mediaType)
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest
}

// isConfig reports whether a media type is that of an image's configuration.
func isConfig(mediaType string) bool {
	mediaType = baseMediaType(mediaType)
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == dockerConfig
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
		Manifests     elements        `json:"manifests"`
		Config        json.RawMessage `json:"config"`
		Layers        elements        `json:"layers"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrManifest, d.Digest, err)
	}
	if shape.SchemaVersion == 1 || shape.FSLayers != nil {
		return nil, fmt.Errorf("%w: %s: manifest of schema version 1", ErrMediaType, d.Digest)
	}
	if shape.MediaType != "" {
		if d.MediaType != "" && baseMediaType(d.MediaType) != baseMediaType(shape.MediaType) {
			return nil, fmt.Errorf("%w: %s says it is %.80q and is listed as %.80q", ErrManifest, d.Digest, shape.MediaType, d.MediaType)
		}
		d.MediaType = shape.MediaType
	}
	many, one := shape.Manifests > 0, shape.Config != nil || shape.Layers > 0
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

// Config is what an image's configuration says.
type Config = ocispec.Image

func parseConfig(d Descriptor, raw []byte) (*Config, error) {
	var shape struct {
		RootFS struct {
			DiffIDs elements `json:"diff_ids"`
		} `json:"rootfs"`
		History elements `json:"history"`
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return nil, fmt.Errorf("%w: configuration %s: %w", ErrManifest, d.Digest, err)
	}
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%w: configuration %s: %v", ErrManifest, d.Digest, err)
	}
	return &c, nil
}

// maxElements bounds the arrays of a document. A genuine index has a few dozen
// entries, and Windows stacks at most a few hundred layers.
const maxElements = 4096

// elements is a JSON array of which only the length is looked at, before it is decoded:
// "{}," is three bytes of a document and a few hundred in memory. It is positive where
// the document has the array, even an empty one.
type elements int

func (e *elements) UnmarshalJSON(raw []byte) error {
	// The array, or whatever it is, is valid JSON here, so that its commas outside strings and inner
	// values separate its elements.
	depth, text, n := 0, false, 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 1:
			n++
		}
	}
	if n >= maxElements {
		return &layer.LimitError{Limit: "elements of a document's array", Max: maxElements}
	}
	*e = elements(n + 1)
	return nil
}
