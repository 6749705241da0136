package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/mullion/mullion/blob"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// refNames are the annotations of an index entry that can hold its tag: that of the
// specification and that of containerd, whose value is a full name.
var refNames = []string{ocispec.AnnotationRefName, "io.containerd.image.name"}

// layoutRoots reads index.json and returns the entries that carry the tag, all of
// them without one.
func layoutRoots(raw []byte, tag string) ([]Descriptor, error) {
	doc, err := parseDocument(Descriptor{Digest: "index.json"}, raw)
	if err != nil {
		return nil, err
	}
	if doc.index == nil {
		return nil, fmt.Errorf("%w: index.json is not an index", ErrManifest)
	}
	if tag == "" {
		return doc.index.Manifests, nil
	}
	var found []Descriptor
	var tags []string
	for _, d := range doc.index.Manifests {
		name := descriptorName(d)
		for _, key := range refNames {
			if v := d.Annotations[key]; v != "" && (v == tag || strings.HasSuffix(v, ":"+tag)) {
				found = append(found, d)
				break
			}
		}
		if name != "" {
			tags = append(tags, name)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: no tag %.200q, there is: %s", ErrNotFound, tag, strings.Join(tags[:min(len(tags), 20)], ", "))
	}
	return found, nil
}

// descriptorName returns the tag that an index entry carries.
func descriptorName(d Descriptor) string {
	for _, key := range refNames {
		if v := d.Annotations[key]; v != "" {
			return v
		}
	}
	return ""
}

// checkLayoutFile reads the oci-layout file.
func checkLayoutFile(raw []byte) error {
	var l ocispec.ImageLayout
	if err := json.Unmarshal(raw, &l); err != nil || !strings.HasPrefix(l.Version, "1.") {
		return fmt.Errorf("%w: oci-layout of version %.20q", ErrManifest, l.Version)
	}
	return nil
}

// blobPath returns where a layout keeps a blob. The digest must have been parsed.
func blobPath(d blob.Digest) string { return "blobs/" + d.Algorithm() + "/" + d.Hex() }

// layoutSource is an OCI image layout in a folder.
type layoutSource struct {
	root *os.Root
	tag  string
}

func openLayout(ref Reference) (source, error) {
	root, err := os.OpenRoot(ref.Path)
	if err != nil {
		return nil, err
	}
	return &layoutSource{root, ref.Name}, nil
}

func (s *layoutSource) roots(context.Context) ([]Descriptor, error) {
	raw, err := s.read(ocispec.ImageLayoutFile)
	if err != nil {
		return nil, err
	}
	if err := checkLayoutFile(raw); err != nil {
		return nil, err
	}
	if raw, err = s.read(ocispec.ImageIndexFile); err != nil {
		return nil, err
	}
	return layoutRoots(raw, s.tag)
}

// read reads a small file of the layout.
func (s *layoutSource) read(name string) ([]byte, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(raw) > maxDocument {
		err = fmt.Errorf("%w: %s is larger than %d bytes", ErrManifest, name, maxDocument)
	}
	return raw, err
}

func (s *layoutSource) open(_ context.Context, d Descriptor) (io.ReadCloser, error) {
	digest, err := blob.ParseDigest(string(d.Digest))
	if err != nil {
		return nil, err
	}
	f, err := s.root.Open(blobPath(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissingBlob, d.Digest)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (s *layoutSource) close() error { return s.root.Close() }
