// Package oci knows the documents of images as they are written by different tools: media
// types, names, bounds.
package oci

import (
	"strings"

	"github.com/mullion/mullion/layer"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxDocument is the size in bytes of the largest document that is read. It is the size
// that every registry has to accept for a manifest (OCI distribution specification,
// "Pushing Manifests").
const MaxDocument = 4 << 20

// RefNames are the annotations of an index entry that can hold its tag: that of the
// specification and that of containerd, whose value is a full name.
var RefNames = []string{ocispec.AnnotationRefName, "io.containerd.image.name"}

// Name returns the tag that an index entry carries.
func Name(d ocispec.Descriptor) string {
	for _, key := range RefNames {
		if v := d.Annotations[key]; v != "" {
			return v
		}
	}
	return ""
}

// Media types that the OCI specification does not name.
const (
	DockerList         = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	DockerConfig       = "application/vnd.docker.container.image.v1+json"
	DockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
	DockerLayerGzip    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerLayerZstd    = "application/vnd.docker.image.rootfs.diff.tar.zstd"
	DockerForeign      = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	DockerForeignGzip  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	nondistributable   = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	nondistributableGz = nondistributable + "+gzip"
	nondistributableZs = nondistributable + "+zstd"
)

// LayerType returns the media type of a layer by its compression, "none", "gzip" or "zstd", in
// the words of OCI or of Docker.
func LayerType(compression string, docker, foreign bool) string {
	name, sep := ocispec.MediaTypeImageLayer, "+"
	switch {
	case docker && foreign:
		name, sep = DockerForeign, "."
	case docker:
		name, sep = DockerLayer, "."
	case foreign:
		name = nondistributable
	}
	if compression == "none" {
		return name
	}
	return name + sep + compression
}

// BaseMediaType returns a media type in the form in which they are compared:
// lower case and without parameters, as in RFC 9110, 8.3.1. Registries send both.
func BaseMediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// IsLayer reports whether a media type is that of an image layer. The compression
// that it names is not believed; see package blob.
func IsLayer(mediaType string) bool {
	switch BaseMediaType(mediaType) {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		DockerLayer, DockerLayerGzip, DockerLayerZstd:
		return true
	}
	return IsForeign(mediaType)
}

// IsForeign reports whether a media type is that of a layer which may not be
// distributed to other registries.
func IsForeign(mediaType string) bool {
	switch BaseMediaType(mediaType) {
	case DockerForeign, DockerForeignGzip, nondistributable, nondistributableGz, nondistributableZs:
		return true
	}
	return false
}

func IsIndex(mediaType string) bool {
	mediaType = BaseMediaType(mediaType)
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == DockerList
}

func IsManifest(mediaType string) bool {
	mediaType = BaseMediaType(mediaType)
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == DockerManifest
}

// IsConfig reports whether a media type is that of an image's configuration.
func IsConfig(mediaType string) bool {
	mediaType = BaseMediaType(mediaType)
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == DockerConfig
}

// MaxElements bounds the arrays of a document. A genuine index has a few dozen
// entries, and Windows stacks at most a few hundred layers.
const MaxElements = 4096

// Elements is a JSON array of which only the length is looked at, before it is decoded:
// "{}," is three bytes of a document and a few hundred in memory. It is positive where
// the document has the array, even an empty one.
type Elements int

// UnmarshalJSON counts the elements.
func (e *Elements) UnmarshalJSON(raw []byte) error {
	// The value is valid JSON here, so that its commas outside strings and inner
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
	if n >= MaxElements {
		return &layer.LimitError{Limit: "elements of a document's array", Max: MaxElements}
	}
	*e = Elements(n + 1)
	return nil
}
