package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Candidate is one of the images that a reference can refer to.
type Candidate struct {
	Descriptor Descriptor
	Platform   Platform
	Name       string // tag in a layout or archive, if any
	// Absent is set if the index names the image and the layout or archive does not
	// hold it, as where "docker save" has written one platform of several.
	Absent bool
}

// Image is one image: a manifest, a configuration and a chain of layers. It is safe
// for concurrent use.
type Image struct {
	ref       Reference
	src       *documents
	opts      *options
	manifest  *Document
	rawConfig []byte
	config    *Config
	name      string
	layers    []*Layer
	once      sync.Once
	closeErr  error
	mu        sync.Mutex // guards hives
	hives     []*Hives   // that Hive has taken out
	lent      bool       // the layers and the source are those of an Assembly
}

// Open opens the image that a reference names. The package that reads such references must
// be linked into the program, otherwise the error is an [UnlinkedError]. An index or archive
// of several images resolves to the one for Windows, or for the platform of WithPlatform; if
// more than one matches, the error is an [AmbiguousError] that lists them. The caller closes
// the image, after everything that was opened from it.
func Open(ctx context.Context, reference string, opts ...Option) (*Image, error) {
	o := newOptions(opts)
	ref, src, err := o.openSource(ctx, reference)
	if err != nil {
		return nil, err
	}
	img, err := open(ctx, ref, src, o)
	if err != nil {
		src.Close()
		return nil, err
	}
	return img, nil
}

// Root returns the document that a reference names, as it is stored: an index, from which
// no image is chosen, or a manifest. Where a layout or archive has several, it is the
// manifest of the image that Open chooses. A docker archive has no manifest; it is the one
// that was made for it.
func Root(ctx context.Context, reference string, opts ...Option) (*Document, error) {
	o := newOptions(opts)
	ref, src, err := o.openSource(ctx, reference)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	roots, err := src.Roots(ctx)
	if err != nil {
		return nil, err
	}
	if len(roots) == 1 {
		return src.document(ctx, roots[0])
	}
	img, err := open(ctx, ref, src, o)
	if err != nil {
		return nil, err
	}
	return img.manifest, nil
}

func open(ctx context.Context, ref Reference, src *documents, o *options) (*Image, error) {
	all, err := candidates(ctx, src)
	if err != nil {
		return nil, err
	}
	if err := completeVersions(ctx, src, all, o.platform); err != nil {
		return nil, err
	}
	c, err := choose(all, o.platform)
	if err != nil {
		return nil, err
	}
	doc, err := src.document(ctx, c.Descriptor)
	if err != nil {
		return nil, err
	}
	img := &Image{ref: ref, src: src, opts: o, manifest: doc, name: c.Name}
	return img, img.load(ctx)
}

// load reads the configuration and pairs layers with diff IDs.
func (i *Image) load(ctx context.Context) error {
	m := i.manifest.Manifest
	var err error
	if i.rawConfig, i.config, err = i.src.config(ctx, m.Config); err != nil {
		return err
	}
	ids := i.config.RootFS.DiffIDs
	if len(ids) != len(m.Layers) {
		return fmt.Errorf("%w: %s has %d layers and its configuration %d diff IDs", ErrManifest, i.manifest.Descriptor.Digest, len(m.Layers), len(ids))
	}
	chain := digest.Digest("")
	for n, d := range m.Layers {
		id := ids[n]
		if err := blob.CheckDigest(id); err != nil {
			return err
		}
		if err := blob.CheckDigest(d.Digest); err != nil {
			return err
		}
		if chain == "" {
			chain = id
		} else {
			chain = chainID(chain, id)
		}
		l := &Layer{img: i, Index: n, Descriptor: d, DiffID: id, ChainID: chain}
		l.parts.l = l
		i.layers = append(i.layers, l)
	}
	return nil
}

// chainID names a layer together with those below it (OCI image specification, "Layer
// ChainID").
func chainID(below, id digest.Digest) digest.Digest {
	return digest.FromString(string(below) + " " + string(id))
}

// Close releases the image. Closing twice is allowed.
func (i *Image) Close() error {
	i.once.Do(func() {
		if !i.lent {
			for _, l := range i.layers {
				l.parts.close()
				i.closeErr = errors.Join(i.closeErr, l.forget())
			}
			i.closeErr = errors.Join(i.closeErr, i.src.Close())
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, h := range i.hives {
			i.closeErr = errors.Join(i.closeErr, h.Close())
		}
	})
	return i.closeErr
}

// Reference returns the reference that the image was opened by.
func (i *Image) Reference() Reference { return i.ref }

// Name returns the tag that a layout or archive has for the image, "" if none.
func (i *Image) Name() string { return i.name }

// Digest returns the digest of the manifest. For a docker archive, which has none,
// it is that of the manifest that was made for it.
func (i *Image) Digest() digest.Digest { return i.manifest.Descriptor.Digest }

// Descriptor returns the descriptor of the manifest.
func (i *Image) Descriptor() Descriptor { return i.manifest.Descriptor }

// Document returns the manifest together with its descriptor and its bytes.
func (i *Image) Document() *Document { return i.manifest }

// Manifest returns the manifest.
func (i *Image) Manifest() *ocispec.Manifest { return i.manifest.Manifest }

// Config returns the configuration, nil for an artifact that is copied with WithAll.
func (i *Image) Config() *Config { return i.config }

// RawConfig returns the configuration as it was stored.
func (i *Image) RawConfig() []byte { return i.rawConfig }

// Platform returns the platform in the image's configuration.
func (i *Image) Platform() Platform { return platformOf(&i.config.Platform) }

// Layers returns the layers, base first.
func (i *Image) Layers() []*Layer { return i.layers }

// Limits of an index.
const (
	maxIndexDepth = 4
	maxCandidates = 1024
)

// candidates returns all images that a source offers, in order.
func candidates(ctx context.Context, src *documents) ([]Candidate, error) {
	roots, err := src.Roots(ctx)
	if err != nil {
		return nil, err
	}
	e := expansion{src: src, seen: map[digest.Digest]bool{}}
	return e.found, e.expand(ctx, roots, "", 0)
}

// expansion looks for the images below some descriptors.
type expansion struct {
	src   *documents
	seen  map[digest.Digest]bool // documents that were looked at
	found []Candidate
}

func (e *expansion) expand(ctx context.Context, ds []Descriptor, name string, depth int) error {
	if depth > maxIndexDepth {
		return fmt.Errorf("%w: indexes nested deeper than %d", ErrManifest, maxIndexDepth)
	}
	for _, d := range ds {
		own := oci.Name(d)
		if own == "" || depth > 0 {
			own = name
		}
		// The first name of an image that has several is the one that is shown.
		if attestation(d) || e.seen[d.Digest] {
			continue
		}
		e.seen[d.Digest] = true
		if err := e.descriptor(ctx, d, own, depth); err != nil {
			return err
		}
	}
	return nil
}

func (e *expansion) descriptor(ctx context.Context, d Descriptor, name string, depth int) error {
	if d.MediaType != "" && !oci.IsManifest(d.MediaType) && !oci.IsIndex(d.MediaType) {
		return nil // an artifact of some other kind
	}
	if oci.IsManifest(d.MediaType) && d.Platform != nil {
		absent := false
		if h, ok := e.src.Source.(Holder); ok {
			absent = !h.Holds(d)
		}
		return e.add(Candidate{d, platformOf(d.Platform), name, absent})
	}
	doc, err := e.src.document(ctx, d)
	if err != nil {
		return err
	}
	if doc.Index != nil {
		return e.expand(ctx, doc.Index.Manifests, name, depth+1)
	}
	if !oci.IsConfig(doc.Manifest.Config.MediaType) {
		return nil
	}
	_, config, err := e.src.config(ctx, doc.Manifest.Config)
	if err != nil {
		return err
	}
	return e.add(Candidate{doc.Descriptor, platformOf(&config.Platform), name, false})
}

func (e *expansion) add(c Candidate) error {
	if len(e.found) >= maxCandidates {
		return fmt.Errorf("%w: more than %d images", ErrManifest, maxCandidates)
	}
	e.found = append(e.found, c)
	return nil
}

// completeVersions reads the configurations of Windows images whose index entry has no
// OS version, where the version decides between several images.
func completeVersions(ctx context.Context, src *documents, all []Candidate, want *Platform) error {
	host := Platform{OS: "windows"}
	if want != nil {
		host = *want
	}
	var unknown []*Candidate
	matching := 0
	for i := range all {
		c := &all[i]
		if !host.Runs(c.Platform) {
			continue
		}
		matching++
		if c.Platform.OS == "windows" && c.Platform.OSVersion == "" && !c.Absent {
			unknown = append(unknown, c)
		}
	}
	if matching < 2 && host.OSVersion == "" {
		return nil
	}
	for _, c := range unknown {
		doc, err := src.document(ctx, c.Descriptor)
		if err != nil {
			return err
		}
		if doc.Manifest == nil || !oci.IsConfig(doc.Manifest.Config.MediaType) {
			continue
		}
		_, config, err := src.config(ctx, doc.Manifest.Config)
		if err != nil {
			return err
		}
		c.Platform.OSVersion, c.Platform.OSFeatures = config.OSVersion, config.OSFeatures
	}
	return nil
}

// attestation reports whether an index entry is a BuildKit attestation of another entry,
// which is stored as an image for an unknown platform.
func attestation(d Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

// choose returns the one candidate that matches the options.
func choose(all []Candidate, want *Platform) (Candidate, error) {
	host := Platform{OS: "windows"}
	if want != nil {
		host = *want
	}
	var match []Candidate
	for _, c := range all {
		if host.Runs(c.Platform) && !c.Absent {
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
