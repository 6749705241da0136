package image

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mullion/mullion/blob"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Candidate is an image that a reference can mean.
type Candidate struct {
	Descriptor Descriptor
	Platform   Platform
	Name       string // tag in a layout or archive, if any
}

// Image is one image: a manifest, a configuration and a chain of layers. It is safe
// for concurrent use.
type Image struct {
	ref       Reference
	src       source
	opts      *options
	manifest  *document
	rawConfig []byte
	config    *Config
	name      string
	layers    []*Layer
	once      sync.Once
	closeErr  error
}

// Open opens the image that a reference names. Of several it takes the one for
// Windows, or the one that WithPlatform asks for; an AmbiguousError lists them if
// there is more than one. The caller closes the image after everything that was
// opened from it.
func Open(ctx context.Context, reference string, opts ...Option) (*Image, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	o := newOptions(opts)
	src, err := openSource(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	img, err := open(ctx, ref, src, o)
	if err != nil {
		src.close()
		return nil, err
	}
	return img, nil
}

func open(ctx context.Context, ref Reference, src source, o *options) (*Image, error) {
	all, err := candidates(ctx, src)
	if err != nil {
		return nil, err
	}
	c, err := choose(all, o.platform)
	if err != nil {
		return nil, err
	}
	doc, err := fetchDocument(ctx, src, c.Descriptor)
	if err != nil {
		return nil, err
	}
	img := &Image{ref: ref, src: src, opts: o, manifest: doc, name: c.Name}
	return img, img.load(ctx)
}

// load reads the configuration and pairs layers with diff IDs.
func (i *Image) load(ctx context.Context) error {
	m := i.manifest.manifest
	var err error
	if i.rawConfig, err = fetch(ctx, i.src, m.Config); err != nil {
		return err
	}
	if i.config, err = parseConfig(m.Config, i.rawConfig); err != nil {
		return err
	}
	ids := i.config.RootFS.DiffIDs
	if len(ids) != len(m.Layers) {
		return fmt.Errorf("%w: %s has %d layers and its configuration %d diff IDs", ErrManifest, i.manifest.desc.Digest, len(m.Layers), len(ids))
	}
	chain := blob.Digest("")
	for n, d := range m.Layers {
		id, err := blob.ParseDigest(string(ids[n]))
		if err != nil {
			return err
		}
		if _, err := blob.ParseDigest(string(d.Digest)); err != nil {
			return err
		}
		// The chain ID names a layer together with those below it (OCI image
		// specification, "Layer ChainID").
		if chain == "" {
			chain = id
		} else {
			chain = blob.Sum([]byte(string(chain) + " " + string(id)))
		}
		i.layers = append(i.layers, &Layer{img: i, Index: n, Descriptor: d, DiffID: id, ChainID: chain})
	}
	return nil
}

// Close releases the image. Closing twice is allowed.
func (i *Image) Close() error {
	i.once.Do(func() { i.closeErr = i.src.close() })
	return i.closeErr
}

// Reference returns the reference that the image was opened by.
func (i *Image) Reference() Reference { return i.ref }

// Name returns the tag that a layout or archive has for the image, "" if none.
func (i *Image) Name() string { return i.name }

// Digest returns the digest of the manifest. For a docker archive, which has none,
// it is that of the manifest that was made for it.
func (i *Image) Digest() blob.Digest { return blob.Digest(i.manifest.desc.Digest) }

// Descriptor returns the descriptor of the manifest.
func (i *Image) Descriptor() Descriptor { return i.manifest.desc }

// Manifest returns the manifest.
func (i *Image) Manifest() *ocispec.Manifest { return i.manifest.manifest }

// Config returns the configuration.
func (i *Image) Config() *Config { return i.config }

// RawConfig returns the configuration as it was stored.
func (i *Image) RawConfig() []byte { return i.rawConfig }

// Platform returns for what the configuration says the image was built.
func (i *Image) Platform() Platform { return platformOf(&i.config.Platform) }

// Layers returns the layers, base first.
func (i *Image) Layers() []*Layer { return i.layers }

// Limits of what an index may hold.
const (
	maxIndexDepth = 4
	maxCandidates = 1024
)

// candidates returns all images that a source offers, in order.
func candidates(ctx context.Context, src source) ([]Candidate, error) {
	roots, err := src.roots(ctx)
	if err != nil {
		return nil, err
	}
	var all []Candidate
	return all, expand(ctx, src, roots, "", 0, &all)
}

// expand appends the images below some descriptors.
func expand(ctx context.Context, src source, ds []Descriptor, name string, depth int, all *[]Candidate) error {
	if depth > maxIndexDepth {
		return fmt.Errorf("%w: indexes nested deeper than %d", ErrManifest, maxIndexDepth)
	}
	for _, d := range ds {
		own := descriptorName(d)
		if own == "" || depth > 0 {
			own = name
		}
		if attestation(d) {
			continue
		}
		if isManifest(d.MediaType) && d.Platform != nil {
			if err := addCandidate(all, Candidate{d, platformOf(d.Platform), own}); err != nil {
				return err
			}
			continue
		}
		if d.MediaType != "" && !isManifest(d.MediaType) && !isIndex(d.MediaType) {
			continue // an artifact of some other kind
		}
		doc, err := fetchDocument(ctx, src, d)
		if err != nil {
			return err
		}
		if doc.index != nil {
			if err := expand(ctx, src, doc.index.Manifests, own, depth+1, all); err != nil {
				return err
			}
			continue
		}
		if t := doc.manifest.Config.MediaType; t != ocispec.MediaTypeImageConfig && t != dockerConfig {
			continue
		}
		raw, err := fetch(ctx, src, doc.manifest.Config)
		if err != nil {
			return err
		}
		config, err := parseConfig(doc.manifest.Config, raw)
		if err != nil {
			return err
		}
		if err := addCandidate(all, Candidate{doc.desc, platformOf(&config.Platform), own}); err != nil {
			return err
		}
	}
	return nil
}

// addCandidate appends a candidate unless the same image is there already, as an
// image with two tags is.
func addCandidate(all *[]Candidate, c Candidate) error {
	if slices.ContainsFunc(*all, func(o Candidate) bool { return o.Descriptor.Digest == c.Descriptor.Digest }) {
		return nil
	}
	if len(*all) >= maxCandidates {
		return fmt.Errorf("%w: more than %d images", ErrManifest, maxCandidates)
	}
	*all = append(*all, c)
	return nil
}

// attestation reports whether an index entry is BuildKit's statement about another
// one, which is dressed as an image for an unknown platform.
func attestation(d Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

// choose picks one candidate.
func choose(all []Candidate, want *Platform) (Candidate, error) {
	host := Platform{OS: "windows"}
	if want != nil {
		host = *want
	}
	var match []Candidate
	for _, c := range all {
		if host.Runs(c.Platform) {
			match = append(match, c)
		}
	}
	if len(match) == 0 {
		e := &NoMatchError{Available: all}
		if want != nil {
			e.Want = want.String()
		}
		return Candidate{}, e
	}
	if host.OSVersion != "" { // the newest that the host runs
		best := slices.MaxFunc(match, func(a, b Candidate) int {
			return compareVersions(a.Platform.OSVersion, b.Platform.OSVersion)
		})
		match = slices.DeleteFunc(match, func(c Candidate) bool {
			return compareVersions(c.Platform.OSVersion, best.Platform.OSVersion) != 0
		})
	}
	if len(match) > 1 {
		return Candidate{}, &AmbiguousError{match}
	}
	return match[0], nil
}
