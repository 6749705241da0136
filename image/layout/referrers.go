package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/publish"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Referrers returns the entries of index.json that are artifacts. Which of them refer to d is
// in their manifests, that the caller reads.
func (s *source) Referrers(context.Context, image.Descriptor) ([]image.Descriptor, error) {
	raw, err := s.read(ocispec.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	all, err := ocilayout.Tagged(raw, "")
	if err != nil {
		return nil, err
	}
	var found []image.Descriptor
	for _, d := range all {
		if d.ArtifactType != "" && oci.IsManifest(d.MediaType) {
			found = append(found, d)
		}
	}
	return found, nil
}

// WriteReferrer adds an artifact to a layout: its blobs, and an entry of index.json without a
// name. The index is replaced last, and its lock keeps other writers away.
func (d *destination) WriteReferrer(ctx context.Context, manifest image.Content, artifactType string, blobs []image.Content) error {
	return image.ToDestination(d.ref, d.writeReferrer(ctx, manifest, artifactType, blobs))
}

func (d *destination) writeReferrer(ctx context.Context, manifest image.Content, artifactType string, blobs []image.Content) error {
	root, err := openfile.Root(d.ref.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	index, err := publish.CreateIn(root, ocispec.ImageIndexFile, publish.Options{Replace: true})
	if err != nil {
		return err
	}
	defer index.Close()
	raw, err := (&source{root: root}).read(ocispec.ImageIndexFile)
	if err != nil {
		return err
	}
	var old ocispec.Index
	if err := json.Unmarshal(raw, &old); err != nil {
		return fmt.Errorf("%w: index.json: %v", image.ErrManifest, err)
	}
	for _, b := range append(blobs, manifest) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := putFile(root, b.Descriptor, bytes.NewReader(b.Raw)); err != nil {
			return err
		}
	}
	entry := manifest.Descriptor
	entry.ArtifactType = artifactType
	if raw, err = json.Marshal(ocilayout.AddEntry(&old, entry)); err != nil {
		return err
	}
	if _, err := index.Write(raw); err != nil {
		return err
	}
	return index.Commit()
}

var (
	_ image.ReferrerSource      = (*source)(nil)
	_ image.ReferrerDestination = (*destination)(nil)
)
