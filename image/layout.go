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
	"github.com/opencontainers/go-digest"
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
func blobPath(d digest.Digest) string { return "blobs/" + string(d.Algorithm()) + "/" + d.Encoded() }

// layoutRoot returns the entry of a layout for a digest: one of its index, with what
// that says of it, or any document that the layout holds. size returns the size of a
// blob in bytes, an error if there is none.
func layoutRoot(tagged []Descriptor, tag string, want digest.Digest, size func(digest.Digest) (int64, error)) ([]Descriptor, error) {
	if want == "" {
		return tagged, nil
	}
	for _, d := range tagged {
		if d.Digest == want {
			return []Descriptor{d}, nil
		}
	}
	n, err := size(want)
	if tag != "" || errors.Is(err, ErrMissingBlob) {
		return nil, fmt.Errorf("%w: no %s under that name", ErrNotFound, want)
	}
	if err != nil {
		return nil, err
	}
	return []Descriptor{{Digest: want, Size: n}}, nil
}

// layoutSource is an OCI image layout in a folder.
type layoutSource struct {
	root   *os.Root
	tag    string
	digest digest.Digest
}

func openLayout(ref Reference) (source, error) {
	root, err := os.OpenRoot(ref.Path)
	if err != nil {
		return nil, err
	}
	return &layoutSource{root, ref.Name, ref.Digest}, nil
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
	tagged, err := layoutRoots(raw, s.tag)
	if err != nil {
		return nil, err
	}
	return layoutRoot(tagged, s.tag, s.digest, s.size)
}

// read reads a small file of the layout.
func (s *layoutSource) read(name string) ([]byte, error) {
	f, err := openRegular(s.root, name)
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
	if err := blob.CheckDigest(d.Digest); err != nil {
		return nil, err
	}
	f, err := openRegular(s.root, blobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissingBlob, d.Digest)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// size returns the size of a blob in bytes.
func (s *layoutSource) size(d digest.Digest) (int64, error) {
	info, err := s.root.Stat(blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %s", ErrMissingBlob, d)
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *layoutSource) holds(d Descriptor) bool {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return false
	}
	_, err := s.size(d.Digest)
	return err == nil
}

func (s *layoutSource) close() error { return s.root.Close() }

// openRegular opens a regular file of a layout for reading. A pipe in its place, which
// could keep a reader waiting for ever, is refused and not waited for.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a regular file", ErrManifest, name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
