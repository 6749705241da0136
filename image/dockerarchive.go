package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mullion/mullion/blob"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// savedImage is an entry of manifest.json, which docker save writes.
type savedImage struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
	// LayerSources holds, by diff ID, the descriptors of foreign layers.
	LayerSources map[digest.Digest]Descriptor `json:"LayerSources,omitempty"`
}

// dockerSource is what docker save writes. It has no manifests; one is made for
// every image, with the digests that the files have.
type dockerSource struct {
	*archive
	name   string
	digest digest.Digest

	once  sync.Once
	err   error
	heads []Descriptor
	docs  map[digest.Digest][]byte // manifests that were made, and configurations
	blobs map[digest.Digest]string // layers, by file name
}

func openDockerArchive(ctx context.Context, ref Reference, o *options) (source, error) {
	a, err := openArchive(ctx, ref.Path, o.limits)
	if err != nil {
		return nil, err
	}
	return &dockerSource{archive: a, name: ref.Name, digest: ref.Digest,
		docs: map[digest.Digest][]byte{}, blobs: map[digest.Digest]string{}}, nil
}

func (s *dockerSource) roots(ctx context.Context) ([]Descriptor, error) {
	s.once.Do(func() { s.err = s.load(ctx) })
	return s.heads, s.err
}

func (s *dockerSource) load(ctx context.Context) error {
	raw, err := s.read("manifest.json")
	if err != nil {
		return err
	}
	var n elements
	if err := json.Unmarshal(raw, &n); err != nil {
		return fmt.Errorf("%w: manifest.json: %w", ErrManifest, err)
	}
	var images []savedImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return fmt.Errorf("%w: manifest.json: %v", ErrManifest, err)
	}
	var names []string
	for _, img := range images {
		names = append(names, img.RepoTags...)
		if s.name != "" && !slices.ContainsFunc(img.RepoTags, func(tag string) bool { return sameName(tag, s.name) }) {
			continue
		}
		d, err := s.manifest(ctx, img)
		if err != nil {
			return err
		}
		if s.digest != "" && string(s.digest) != string(d.Digest) {
			continue
		}
		s.heads = append(s.heads, d)
	}
	if len(s.heads) == 0 && s.digest != "" {
		return fmt.Errorf("%w: no image %s", ErrNotFound, s.digest)
	}
	if len(s.heads) == 0 {
		return fmt.Errorf("%w: no image %.200q, there is: %s", ErrNotFound, s.name, strings.Join(names[:min(len(names), 20)], ", "))
	}
	return nil
}

// sameName compares a saved name with one that was asked for, which may lack the
// tag or the default registry.
func sameName(saved, asked string) bool {
	trim := func(s string) string {
		s = strings.TrimPrefix(s, "docker.io/")
		s = strings.TrimPrefix(s, "library/")
		return strings.TrimSuffix(s, ":latest")
	}
	return trim(saved) == trim(asked)
}

// manifest makes the manifest of one saved image.
func (s *dockerSource) manifest(ctx context.Context, img savedImage) (Descriptor, error) {
	raw, err := s.read(img.Config)
	if err != nil {
		return Descriptor{}, err
	}
	config := Descriptor{MediaType: dockerConfig, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	parsed, err := parseConfig(config, raw)
	if err != nil {
		return Descriptor{}, err
	}
	diffIDs := parsed.RootFS.DiffIDs
	if len(diffIDs) != len(img.Layers) {
		return Descriptor{}, fmt.Errorf("%w: %d layers and %d diff IDs", ErrManifest, len(img.Layers), len(diffIDs))
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerManifest, Config: config, Layers: []Descriptor{}}
	for i, name := range img.Layers {
		d, err := s.layer(ctx, name, diffIDs[i], img.LayerSources[diffIDs[i]])
		if err != nil {
			return Descriptor{}, err
		}
		m.Layers = append(m.Layers, d)
	}
	made, err := json.Marshal(m)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{MediaType: dockerManifest, Digest: digest.FromBytes(made), Size: int64(len(made))}
	if len(img.RepoTags) > 0 {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: img.RepoTags[0]}
	}
	s.docs[config.Digest], s.docs[d.Digest] = raw, made
	return d, nil
}

// layer makes the descriptor of a layer file. A plain one is named by its diff ID;
// a compressed one must be hashed.
func (s *dockerSource) layer(ctx context.Context, name string, diffID digest.Digest, foreign Descriptor) (Descriptor, error) {
	if err := blob.CheckDigest(diffID); err != nil {
		return Descriptor{}, err
	}
	r, err := s.archive.open(name)
	if err != nil {
		if len(foreign.URLs) > 0 {
			return foreign, nil
		}
		return Descriptor{}, err
	}
	head := make([]byte, 6)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return Descriptor{}, err
	}
	format, err := blob.Detect(head[:n])
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{MediaType: dockerLayer, Digest: diffID, Size: r.Size()}
	if format != blob.Plain {
		b, err := blob.NewReader(ctx, r, blob.Stored(), blob.WithSums())
		if err != nil {
			return Descriptor{}, err
		}
		defer b.Close()
		if err := b.Finish(); err != nil {
			return Descriptor{}, err
		}
		d.Digest = digest.Digest(b.Digest())
		d.MediaType = dockerLayerGzip
		if format == blob.Zstd {
			d.MediaType = dockerLayerZstd
		}
	}
	if len(foreign.URLs) > 0 {
		d.URLs = foreign.URLs
		d.MediaType = dockerForeign
		if format != blob.Plain {
			d.MediaType = dockerForeignGzip
		}
	}
	s.blobs[d.Digest] = name
	return d, nil
}

func (s *dockerSource) open(_ context.Context, d Descriptor) (io.ReadCloser, error) {
	if raw, ok := s.docs[d.Digest]; ok {
		return io.NopCloser(bytes.NewReader(raw)), nil
	}
	name, ok := s.blobs[d.Digest]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrMissingBlob, d.Digest)
	}
	r, err := s.archive.open(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}
