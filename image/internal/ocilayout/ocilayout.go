// Package ocilayout reads and writes the files of an OCI image layout, be it in a folder or
// in an archive.
package ocilayout

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tagged reads index.json and returns the entries that carry the tag, all of
// them without one.
func Tagged(raw []byte, tag string) ([]image.Descriptor, error) {
	doc, err := image.ParseDocument(image.Descriptor{Digest: "index.json"}, raw)
	if err != nil {
		return nil, err
	}
	if doc.Index == nil {
		return nil, fmt.Errorf("%w: index.json is not an index", image.ErrManifest)
	}
	if tag == "" {
		return doc.Index.Manifests, nil
	}
	var found []image.Descriptor
	var tags []string
	for _, d := range doc.Index.Manifests {
		name := oci.Name(d)
		for _, key := range oci.RefNames {
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
		return nil, fmt.Errorf("%w: no tag %.200q, there is: %s", image.ErrNotFound, tag, strings.Join(tags[:min(len(tags), 20)], ", "))
	}
	return found, nil
}

// CheckFile reads the oci-layout file.
func CheckFile(raw []byte) error {
	var l ocispec.ImageLayout
	if err := json.Unmarshal(raw, &l); err != nil || !strings.HasPrefix(l.Version, "1.") {
		return fmt.Errorf("%w: oci-layout of version %.20q", image.ErrManifest, l.Version)
	}
	return nil
}

// BlobPath returns where a layout keeps a blob. The digest must have been parsed.
func BlobPath(d digest.Digest) string { return "blobs/" + string(d.Algorithm()) + "/" + d.Encoded() }

// Roots returns the entries of a layout that a tag or a digest selects, all of them without
// either. read returns a document by its name in the layout, and size the size of a blob in
// bytes; see [Root].
func Roots(read func(name string) ([]byte, error), tag string, want digest.Digest, size func(digest.Digest) (int64, error)) ([]image.Descriptor, error) {
	raw, err := read(ocispec.ImageLayoutFile)
	if err != nil {
		return nil, err
	}
	if err := CheckFile(raw); err != nil {
		return nil, err
	}
	if raw, err = read(ocispec.ImageIndexFile); err != nil {
		return nil, err
	}
	tagged, err := Tagged(raw, tag)
	if err != nil {
		return nil, err
	}
	return Root(tagged, tag, want, size)
}

// Root returns the entry of a layout for a digest: one of its index, with the
// index's fields, or any document that the layout holds. size returns the size of a
// blob in bytes, an error if there is none.
func Root(tagged []image.Descriptor, tag string, want digest.Digest, size func(digest.Digest) (int64, error)) ([]image.Descriptor, error) {
	if want == "" {
		return tagged, nil
	}
	for _, d := range tagged {
		if d.Digest == want {
			return []image.Descriptor{d}, nil
		}
	}
	n, err := size(want)
	if tag != "" || errors.Is(err, image.ErrMissingBlob) {
		return nil, fmt.Errorf("%w: no %s under that name", image.ErrNotFound, want)
	}
	if err != nil {
		return nil, err
	}
	return []image.Descriptor{{Digest: want, Size: n}}, nil
}

// File is the content of oci-layout.
var File = []byte(`{"imageLayoutVersion":"1.0.0"}`)

// Entry returns the descriptor under which a layout lists the parcel.
func Entry(p *image.Parcel, tag string) image.Descriptor {
	d := image.Descriptor{MediaType: p.Root.Descriptor.MediaType, Digest: p.Root.Descriptor.Digest, Size: int64(len(p.Root.Raw))}
	if p.Root.Manifest != nil && len(p.Images) == 1 && p.Images[0].Config() != nil {
		platform := p.Images[0].Config().Platform
		d.Platform = &platform
	}
	if tag != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	}
	return d
}

// AddEntry adds an entry to an index. An entry that had the tag loses it; the same
// image under the same tag is not listed twice.
func AddEntry(old *ocispec.Index, d image.Descriptor) *ocispec.Index {
	idx := &ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		ArtifactType: old.ArtifactType, Subject: old.Subject, Annotations: old.Annotations, Manifests: []image.Descriptor{}}
	tag := d.Annotations[ocispec.AnnotationRefName]
	for _, e := range old.Manifests {
		theirs := e.Annotations[ocispec.AnnotationRefName]
		if e.Digest == d.Digest && theirs == tag {
			continue
		}
		if tag != "" && theirs == tag {
			e.Annotations = maps.Clone(e.Annotations)
			delete(e.Annotations, ocispec.AnnotationRefName)
		}
		idx.Manifests = append(idx.Manifests, e)
	}
	idx.Manifests = append(idx.Manifests, d)
	return idx
}

// ParseReference parses PATH[:NAME][@DIGEST], as layouts and archives are named.
func ParseReference(s string) (image.Reference, error) {
	var r image.Reference
	if at := strings.LastIndexByte(s, '@'); at >= 0 && looksLikeDigest(s[at+1:]) {
		s, r.Digest = s[:at], digest.Digest(s[at+1:])
		if err := blob.CheckDigest(r.Digest); err != nil {
			return image.Reference{}, err
		}
	}
	if r.Path, r.Name = cutPath(s); r.Path == "" {
		return image.Reference{}, errNoPath
	}
	return r, nil
}

// CheckTag checks the name under which a new image is listed: none, a tag, or a name of a
// repository with or without one. Existing layouts are read with any name.
//
// Source: OCI Distribution Specification 1.1, "Pulling manifests": a tag matches
// [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.
func CheckTag(name string) error {
	if name == "" {
		return nil
	}
	tag, repository := name, ""
	if at := strings.LastIndexAny(name, ":/"); at >= 0 {
		repository, tag = name[:at+1], name[at+1:]
	}
	if tag == "" || len(tag) > 128 || strings.ContainsFunc(tag, isNotOf("_.-")) || strings.HasPrefix(tag, ".") || strings.HasPrefix(tag, "-") {
		return fmt.Errorf("%w: %.200q: a tag has up to 128 letters, digits, underscores, periods and hyphens and starts with neither of the last two", image.ErrReference, name)
	}
	if strings.ContainsFunc(repository, isNotOf("_.-:/")) {
		return fmt.Errorf("%w: %.200q: a name has letters, digits, underscores, periods, hyphens, slashes and colons", image.ErrReference, name)
	}
	return nil
}

// isNotOf reports of a character whether it is neither an ASCII letter or digit nor listed.
func isNotOf(more string) func(rune) bool {
	return func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(more, r)
	}
}

var errNoPath = errors.New("it has no path")

// looksLikeDigest reports whether the text after an at sign is meant as a digest and not as
// part of a path.
func looksLikeDigest(s string) bool {
	return strings.HasPrefix(s, "sha256:") || strings.HasPrefix(s, "sha512:")
}

// cutPath splits PATH[:NAME] at the first colon that does not belong to a drive.
func cutPath(s string) (path, name string) {
	from := 0
	if len(s) >= 3 && s[1] == ':' && (s[2] == '\\' || s[2] == '/') {
		from = 2
	}
	path, name, _ = strings.Cut(s[from:], ":")
	return s[:from] + path, name
}
