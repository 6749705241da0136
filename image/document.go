package image

import (
	"encoding/json"
	"fmt"

	"github.com/mullion/mullion/image/internal/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Descriptor names content by media type, digest and size.
type Descriptor = ocispec.Descriptor

// Document is an index or a manifest. One of Index and Manifest is set. Nothing in it may be
// changed.
type Document struct {
	Descriptor Descriptor
	Raw        []byte // as it was stored
	Index      *ocispec.Index
	Manifest   *ocispec.Manifest
}

// ParseDocument decodes an index or a manifest. It distinguishes them by their members and
// refuses a document that could be either: two readers must never see two images in one
// document. Errors are ErrManifest, ErrMediaType and layer.LimitError.
func ParseDocument(d Descriptor, raw []byte) (*Document, error) {
	var shape struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Manifests     oci.Elements    `json:"manifests"`
		Config        json.RawMessage `json:"config"`
		Layers        oci.Elements    `json:"layers"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrManifest, d.Digest, err)
	}
	if shape.SchemaVersion == 1 || shape.FSLayers != nil {
		return nil, fmt.Errorf("%w: %s: manifest of schema version 1", ErrMediaType, d.Digest)
	}
	if shape.MediaType != "" {
		if d.MediaType != "" && oci.BaseMediaType(d.MediaType) != oci.BaseMediaType(shape.MediaType) {
			return nil, fmt.Errorf("%w: %s says it is %.80q and is listed as %.80q", ErrManifest, d.Digest, shape.MediaType, d.MediaType)
		}
		d.MediaType = shape.MediaType
	}
	many, one := shape.Manifests > 0, shape.Config != nil || shape.Layers > 0
	doc := &Document{Descriptor: d, Raw: raw}
	var err error
	switch {
	case many && one:
		return nil, fmt.Errorf("%w: %s has both manifests and layers", ErrManifest, d.Digest)
	case many && !oci.IsManifest(d.MediaType):
		if d.MediaType == "" {
			doc.Descriptor.MediaType = ocispec.MediaTypeImageIndex
		}
		err = json.Unmarshal(raw, &doc.Index)
	case one && !oci.IsIndex(d.MediaType):
		if d.MediaType == "" {
			doc.Descriptor.MediaType = ocispec.MediaTypeImageManifest
		}
		err = json.Unmarshal(raw, &doc.Manifest)
	default:
		return nil, fmt.Errorf("%w: %s is neither an index nor a manifest", ErrManifest, d.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrManifest, d.Digest, err)
	}
	return doc, nil
}

// Config is an image's configuration.
type Config = ocispec.Image

// ParseConfig decodes the configuration of an image. Errors are ErrManifest and
// layer.LimitError.
func ParseConfig(d Descriptor, raw []byte) (*Config, error) {
	var shape struct {
		RootFS struct {
			DiffIDs oci.Elements `json:"diff_ids"`
		} `json:"rootfs"`
		History oci.Elements `json:"history"`
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
