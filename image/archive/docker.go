package archive

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
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
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
	LayerSources map[digest.Digest]image.Descriptor `json:"LayerSources,omitempty"`
}

// dockerSource is an archive written by docker save. It has no manifests; one is made for
// every image, with the digests that the files have.
type dockerSource struct {
	*archive
	name   string
	digest digest.Digest

	once  sync.Once
	err   error
	heads []image.Descriptor
	docs  map[digest.Digest][]byte // manifests that were made, and configurations
	blobs map[digest.Digest]string // layers, by file name
}

func newDockerSource(a *archive, ref image.Reference) *dockerSource {
	return &dockerSource{archive: a, name: ref.Name, digest: ref.Digest,
		docs: map[digest.Digest][]byte{}, blobs: map[digest.Digest]string{}}
}

func (s *dockerSource) Roots(ctx context.Context) ([]image.Descriptor, error) {
	s.once.Do(func() { s.err = s.load(ctx) })
	return s.heads, s.err
}

func (s *dockerSource) load(ctx context.Context) error {
	raw, err := s.read("manifest.json")
	if err != nil {
		return err
	}
	var n oci.Elements
	if err := json.Unmarshal(raw, &n); err != nil {
		return fmt.Errorf("%w: manifest.json: %w", image.ErrManifest, err)
	}
	var images []savedImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return fmt.Errorf("%w: manifest.json: %v", image.ErrManifest, err)
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
		return fmt.Errorf("%w: no image %s", image.ErrNotFound, s.digest)
	}
	if len(s.heads) == 0 {
		return fmt.Errorf("%w: no image %.200q, there is: %s", image.ErrNotFound, s.name, strings.Join(names[:min(len(names), 20)], ", "))
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
func (s *dockerSource) manifest(ctx context.Context, img savedImage) (image.Descriptor, error) {
	raw, err := s.read(img.Config)
	if err != nil {
		return image.Descriptor{}, err
	}
	config := image.Descriptor{MediaType: oci.DockerConfig, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	parsed, err := image.ParseConfig(config, raw)
	if err != nil {
		return image.Descriptor{}, err
	}
	diffIDs := parsed.RootFS.DiffIDs
	if len(diffIDs) != len(img.Layers) {
		return image.Descriptor{}, fmt.Errorf("%w: %d layers and %d diff IDs", image.ErrManifest, len(img.Layers), len(diffIDs))
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.DockerManifest, Config: config, Layers: []image.Descriptor{}}
	for i, name := range img.Layers {
		d, err := s.layer(ctx, name, diffIDs[i], img.LayerSources[diffIDs[i]])
		if err != nil {
			return image.Descriptor{}, err
		}
		m.Layers = append(m.Layers, d)
	}
	made, err := json.Marshal(m)
	if err != nil {
		return image.Descriptor{}, err
	}
	d := image.Descriptor{MediaType: oci.DockerManifest, Digest: digest.FromBytes(made), Size: int64(len(made))}
	if len(img.RepoTags) > 0 {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: img.RepoTags[0]}
	}
	s.docs[config.Digest], s.docs[d.Digest] = raw, made
	return d, nil
}

// layer makes the descriptor of a layer file. A plain one is named by its diff ID;
// a compressed one must be hashed.
func (s *dockerSource) layer(ctx context.Context, name string, diffID digest.Digest, foreign image.Descriptor) (image.Descriptor, error) {
	if err := blob.CheckDigest(diffID); err != nil {
		return image.Descriptor{}, err
	}
	r, err := s.archive.open(name)
	if err != nil {
		if len(foreign.URLs) > 0 {
			return foreign, nil
		}
		return image.Descriptor{}, err
	}
	head := make([]byte, 6)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return image.Descriptor{}, err
	}
	format, err := blob.Detect(head[:n])
	if err != nil {
		return image.Descriptor{}, err
	}
	d := image.Descriptor{MediaType: oci.DockerLayer, Digest: diffID, Size: r.Size()}
	if format != blob.Plain {
		b, err := blob.NewReader(ctx, r, blob.Stored(), blob.WithSums())
		if err != nil {
			return image.Descriptor{}, err
		}
		defer b.Close()
		if err := b.Finish(); err != nil {
			return image.Descriptor{}, err
		}
		d.Digest = digest.Digest(b.Digest())
		d.MediaType = oci.DockerLayerGzip
		if format == blob.Zstd {
			d.MediaType = oci.DockerLayerZstd
		}
	}
	if len(foreign.URLs) > 0 {
		d.URLs = foreign.URLs
		d.MediaType = oci.DockerForeign
		if format != blob.Plain {
			d.MediaType = oci.DockerForeignGzip
		}
	}
	s.blobs[d.Digest] = name
	return d, nil
}

func (s *dockerSource) Open(_ context.Context, d image.Descriptor) (io.ReadCloser, error) {
	if raw, ok := s.docs[d.Digest]; ok {
		return io.NopCloser(bytes.NewReader(raw)), nil
	}
	name, ok := s.blobs[d.Digest]
	if !ok {
		return nil, fmt.Errorf("%w: %s", image.ErrMissingBlob, d.Digest)
	}
	r, err := s.archive.open(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// OpenRange implements image.RangeOpener.
func (s *dockerSource) OpenRange(_ context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	name, ok := s.blobs[d.Digest]
	if !ok {
		return nil, fmt.Errorf("%w: %s", image.ErrMissingBlob, d.Digest)
	}
	return s.openRange(name, off, n)
}

// Local implements image.LocalSource.
func (s *dockerSource) Local(d image.Descriptor) bool { _, ok := s.blobs[d.Digest]; return ok }

func (s *dockerSource) Close() error { return s.close() }
