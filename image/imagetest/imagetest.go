// Package imagetest makes small Windows images for tests and examples. Equal images have
// equal bytes.
package imagetest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/blob"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layer is one layer of an image to be made.
type Layer struct {
	Tar       []byte      // plain tar
	Format    blob.Format // how it is stored
	MediaType string      // "" for the OCI media type of the format
	URLs      []string
	Absent    bool // name the blob without storing it
}

// Image is an image to be made.
type Image struct {
	Config ocispec.Image // RootFS is filled in; the platform is copied to the index
	Layers []Layer       // base first
	Tag    string        // "" for none
}

// WriteLayout makes an OCI image layout with these images in dir, which must not
// exist or be empty.
func WriteLayout(dir string, images ...Image) error {
	l := layout{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	for _, img := range images {
		d, err := l.image(img)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, d)
	}
	if err := l.file(ocispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return l.file(ocispec.ImageIndexFile, raw)
}

type layout struct{ dir string }

func (l layout) file(name string, raw []byte) error {
	return os.WriteFile(filepath.Join(l.dir, filepath.FromSlash(name)), raw, 0o644)
}

// put stores a blob and returns its descriptor.
func (l layout) put(mediaType string, raw []byte, absent bool) (ocispec.Descriptor, error) {
	d := digest.FromBytes(raw)
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(d), Size: int64(len(raw))}
	if absent {
		return desc, nil
	}
	return desc, l.file("blobs/sha256/"+d.Encoded(), raw)
}

func (l layout) image(img Image) (ocispec.Descriptor, error) {
	config := img.Config
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{}}
	for _, spec := range img.Layers {
		d, err := l.layer(spec)
		if err != nil {
			return d, err
		}
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(spec.Tar))
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if m.Config, err = l.put(ocispec.MediaTypeImageConfig, raw, false); err != nil {
		return ocispec.Descriptor{}, err
	}
	if raw, err = json.Marshal(m); err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := l.put(ocispec.MediaTypeImageManifest, raw, false)
	platform := config.Platform
	d.Platform = &platform
	if img.Tag != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: img.Tag}
	}
	return d, err
}

func (l layout) layer(spec Layer) (ocispec.Descriptor, error) {
	var stored bytes.Buffer
	w, err := blob.NewWriter(&stored, spec.Format)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := w.Write(spec.Tar); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := w.Close(); err != nil {
		return ocispec.Descriptor{}, err
	}
	mediaType := spec.MediaType
	if mediaType == "" {
		mediaType = ocispec.MediaTypeImageLayer
		if spec.Format != blob.Plain {
			mediaType += "+" + spec.Format.String()
		}
	}
	d, err := l.put(mediaType, stored.Bytes(), spec.Absent)
	d.URLs = spec.URLs
	return d, err
}
