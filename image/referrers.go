package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrReferrers says that a place cannot hold documents about an image.
var ErrReferrers = errors.New("documents about an image are not kept there")

const (
	// MaxReferrer is the size in bytes of the largest document about an image.
	MaxReferrer = 256 << 20
	// maxReferrers is the number of referrers of one image.
	maxReferrers = 1024
)

// Referrer is a document about an image that is kept beside it (OCI image specification 1.1,
// "Manifest with subject"): a bill of materials, a signature.
type Referrer struct {
	// Descriptor is that of the referrer's manifest. Attach sets it.
	Descriptor Descriptor
	// Type is the media type of the document, "application/vnd.cyclonedx+json".
	Type string
	// Annotations are those of the manifest.
	Annotations map[string]string
	// Content is the document. Referrers leaves it out, see Image.ReadReferrer.
	Content []byte
}

// A ReferrerSource is a Source that knows the referrers of an image.
type ReferrerSource interface {
	// Referrers returns the descriptors of manifests whose subject is d, unverified.
	Referrers(ctx context.Context, d Descriptor) ([]Descriptor, error)
}

// A ReferrerDestination is a Destination that keeps referrers of an image.
type ReferrerDestination interface {
	// WriteReferrer stores blobs and then the manifest that names them and a subject, so
	// that they are found by Referrers of the place. Storing them twice changes nothing.
	WriteReferrer(ctx context.Context, manifest Content, artifactType string, blobs []Content) error
}

// Attach puts a document about an image beside it, into the place that the image was opened
// from. It sets r.Descriptor. Equal documents have equal digests: attaching one twice changes
// nothing. The error is [ErrReferrers] for places that keep none, which are archives and
// containerd, and a [DestinationError] if it cannot be written.
func (i *Image) Attach(ctx context.Context, r *Referrer) error {
	if len(r.Content) > MaxReferrer {
		return &layer.LimitError{Limit: "bytes of a document about an image", Max: MaxReferrer}
	}
	t, err := i.opts.transport(i.ref.Transport)
	if err != nil {
		return err
	}
	dst, err := t.OpenDestination(ctx, i.ref)
	if err != nil {
		return err
	}
	w, ok := dst.(ReferrerDestination)
	if !ok {
		return fmt.Errorf("%w: %s", ErrReferrers, i.ref)
	}
	subject := i.manifest.Descriptor
	content := Descriptor{MediaType: r.Type, Digest: digest.FromBytes(r.Content), Size: int64(len(r.Content))}
	empty := ocispec.DescriptorEmptyJSON
	empty.Data = nil
	raw, err := json.Marshal(&ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: r.Type,
		Config: empty, Layers: []Descriptor{content},
		Subject:     &Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: r.Annotations,
	})
	if err != nil {
		return err
	}
	d := Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	blobs := []Content{{empty, ocispec.DescriptorEmptyJSON.Data}, {content, r.Content}}
	if err := w.WriteReferrer(ctx, Content{d, raw}, r.Type, blobs); err != nil {
		return err
	}
	r.Descriptor = d
	return nil
}

// Referrers lists the documents about an image of a media type, any if it is empty, that the
// place of the image keeps beside it, without their content. The latest comes last, by the
// annotation org.opencontainers.image.created, then by digest. A document that a registry lists
// and does not have any more is left out. The error is [ErrReferrers] for places that keep none.
func (i *Image) Referrers(ctx context.Context, mediaType string) ([]Referrer, error) {
	src, ok := i.src.Source.(ReferrerSource)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrReferrers, i.ref)
	}
	all, err := src.Referrers(ctx, i.manifest.Descriptor)
	if err != nil {
		return nil, err
	}
	if len(all) > maxReferrers {
		return nil, &layer.LimitError{Limit: "documents about an image", Max: maxReferrers}
	}
	var found []Referrer
	for _, d := range all {
		if !oci.IsManifest(d.MediaType) || mediaType != "" && !maybeType(d.ArtifactType, mediaType) {
			continue
		}
		doc, err := i.src.document(ctx, d)
		if errors.Is(err, ErrNotFound) {
			continue // deleted: the index of the Referrers Tag Schema is the clients' to keep
		}
		if err != nil {
			return nil, err
		}
		// The list is the registry's word; the manifest, which has the digest that was
		// asked for, says itself what it refers to.
		m := doc.Manifest
		if m == nil || m.Subject == nil || m.Subject.Digest != i.Digest() {
			continue
		}
		typ := cmp.Or(m.ArtifactType, m.Config.MediaType)
		if mediaType != "" && !sameType(typ, mediaType) {
			continue
		}
		found = append(found, Referrer{Descriptor: doc.Descriptor, Type: typ, Annotations: maps.Clone(m.Annotations)})
	}
	slices.SortFunc(found, func(a, b Referrer) int {
		return cmp.Or(cmp.Compare(a.Annotations[ocispec.AnnotationCreated], b.Annotations[ocispec.AnnotationCreated]),
			cmp.Compare(a.Descriptor.Digest, b.Descriptor.Digest))
	})
	return slices.CompactFunc(found, func(a, b Referrer) bool { return a.Descriptor.Digest == b.Descriptor.Digest }), nil
}

// maybeType reports whether a manifest may be of a type, by the artifact type in its descriptor.
// Some registries leave that out, others put the type of the empty configuration there.
func maybeType(listed, want string) bool {
	return listed == "" || sameType(listed, ocispec.MediaTypeEmptyJSON) || sameType(listed, want)
}

func sameType(a, b string) bool { return oci.BaseMediaType(a) == oci.BaseMediaType(b) }

// ReadReferrer reads the document of a referrer, which is the only layer of its manifest, and
// verifies its digest. Errors are [ErrManifest] for a manifest with another number of layers,
// and layer.LimitError for a document of more than MaxReferrer bytes.
func (i *Image) ReadReferrer(ctx context.Context, r Referrer) ([]byte, error) {
	doc, err := i.src.document(ctx, r.Descriptor)
	if err != nil {
		return nil, err
	}
	if doc.Manifest == nil || len(doc.Manifest.Layers) != 1 {
		return nil, fmt.Errorf("%w: %s is no manifest of one document", ErrManifest, r.Descriptor.Digest)
	}
	d := doc.Manifest.Layers[0]
	if d.Size < 0 {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrManifest, d.Digest, d.Size)
	}
	if d.Size > MaxReferrer {
		return nil, &layer.LimitError{Limit: "bytes of a document about an image", Max: MaxReferrer}
	}
	return i.src.read(ctx, d)
}
