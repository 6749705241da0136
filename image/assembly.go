package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mullion/mullion/image/internal/oci"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Assembly is an image that is being made. It begins with the documents and layers of another
// image, of which it keeps every member that it does not change, or with nothing. Layers of
// open images are referred to, not copied; new ones are in temporary files. It is used by one
// goroutine at a time. An error leaves it as it was before the call.
type Assembly struct {
	given    []Option
	ref      Reference
	name     string
	src      *assemblySource
	shell    *Image // whose source and options the layers use
	kind     Descriptor
	manifest []byte
	config   []byte
	history  []json.RawMessage
	layers   []*Layer
	all      []*Layer // those that were dropped too
	images   []*Image
	closers  []io.Closer
}

// NewAssembly begins an image with the documents and layers of base; without one it has no
// layers and is for windows/amd64 or the platform of WithPlatform. Options of base that are
// not given hold for the new image too, except WithForce, WithForeign and WithPlatform. The
// caller closes the assembly before base.
func NewAssembly(base *Image, opts ...Option) (*Assembly, error) {
	a := &Assembly{given: opts, src: &assemblySource{content: map[digest.Digest]content{}}}
	o := newOptions(nil)
	if base != nil {
		*o = *base.opts
		o.transports = maps.Clone(base.opts.transports)
		o.force, o.platform = false, nil
	}
	for _, f := range opts {
		f(o)
	}
	a.shell = &Image{src: newDocuments(a.src), opts: o}
	if base == nil {
		return a, a.empty(o.platform)
	}
	if base.config == nil {
		return nil, fmt.Errorf("%w: an artifact is no image", ErrManifest)
	}
	a.ref, a.name = base.ref, base.name
	a.kind, a.manifest, a.config = base.manifest.Descriptor, base.manifest.Raw, base.rawConfig
	a.kind.Digest, a.kind.Size, a.kind.Data, a.kind.Platform = "", 0, nil, nil
	raw, err := member(a.config, "history")
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &a.history)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: history: %w", ErrManifest, err)
	}
	for _, l := range base.layers {
		a.keep(l, l.Descriptor)
	}
	return a, nil
}

// empty makes the documents of an image without layers.
func (a *Assembly) empty(p *Platform) (err error) {
	c := Config{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	if p != nil {
		c.OS, c.Architecture, c.Variant, c.OSVersion, c.OSFeatures = p.OS, p.Architecture, p.Variant, p.OSVersion, p.OSFeatures
	}
	if a.config, err = json.Marshal(c); err != nil {
		return err
	}
	a.kind.MediaType = ocispec.MediaTypeImageManifest
	m := ocispec.Manifest{MediaType: a.kind.MediaType, Config: Descriptor{MediaType: ocispec.MediaTypeImageConfig}, Layers: []Descriptor{}}
	m.SchemaVersion = 2
	a.manifest, err = json.Marshal(m)
	return err
}

// Close ends the temporary files. The images of the assembly cannot be used any more.
func (a *Assembly) Close() error {
	var errs []error
	for _, i := range a.images {
		errs = append(errs, i.Close())
	}
	for _, l := range a.all {
		l.parts.close()
		errs = append(errs, l.forget())
	}
	errs = append(errs, a.src.Close())
	for _, c := range a.closers {
		errs = append(errs, c.Close())
	}
	a.all, a.images, a.closers = nil, nil, nil
	return errors.Join(errs...)
}

// SetConfig sets a member of the configuration, or of the object in it that a path leads to:
//
//	a.SetConfig("os.version", "10.0.20348.2700")
//	a.SetConfig("Env", []string{"A=1"}, "config")
//
// v is encoded as by encoding/json; nil removes the member. Objects of the path that are
// absent are made. The members "rootfs" and "history" follow from the layers and cannot be set.
func (a *Assembly) SetConfig(name string, v any, path ...string) error {
	if first := append(slices.Clone(path), name)[0]; first == "rootfs" || first == "history" {
		return fmt.Errorf("%w: %s of a configuration follows from its layers", ErrManifest, first)
	}
	raw, err := replaceMembers(a.config, map[string]any{name: v}, path...)
	if err == nil {
		_, err = ParseConfig(Descriptor{}, raw)
	}
	if err == nil {
		a.config = raw
	}
	return err
}

// ConfigMember decodes a member of the configuration into v and reports whether there is one.
// The path is that of SetConfig.
func (a *Assembly) ConfigMember(v any, name string, path ...string) (bool, error) {
	raw, err := member(a.config, name, path...)
	if err != nil || raw == nil {
		return false, err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("%w: %s: %v", ErrManifest, name, err)
	}
	return true, nil
}

// Config returns the configuration as it is now. The caller may change what it gets.
func (a *Assembly) Config() (*Config, error) {
	raw, err := a.configuration()
	if err != nil {
		return nil, err
	}
	return ParseConfig(Descriptor{}, raw)
}

// Annotate sets an annotation of the manifest; an empty value removes it.
func (a *Assembly) Annotate(key, value string) error {
	var v any = value
	if value == "" {
		v = nil
	}
	raw, err := replaceMembers(a.manifest, map[string]any{key: v}, "annotations")
	if err == nil {
		a.manifest = raw
	}
	return err
}

// Layers returns the layers so far, base first.
func (a *Assembly) Layers() []*Layer { return slices.Clone(a.layers) }

// configuration returns the configuration with layers and history.
func (a *Assembly) configuration() ([]byte, error) {
	ids := make([]digest.Digest, len(a.layers))
	for n, l := range a.layers {
		ids[n] = l.DiffID
	}
	raw, err := replaceMembers(a.config, map[string]any{"diff_ids": ids}, "rootfs")
	if err != nil || a.history == nil {
		return raw, err
	}
	return replaceMembers(raw, map[string]any{"history": a.history})
}

// Image returns the image as it is now. It can be read like one that was opened, and stays as
// it is when the assembly changes. It ends with the assembly; the caller need not close it.
func (a *Assembly) Image() (*Image, error) {
	config, err := a.configuration()
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(a.manifest, &m); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrManifest, err)
	}
	layers := make([]Descriptor, len(a.layers))
	for n, l := range a.layers {
		layers[n] = l.Descriptor
	}
	c := m.Config
	c.Digest, c.Size, c.Data = digest.FromBytes(config), int64(len(config)), nil
	raw, err := replaceMembers(a.manifest, map[string]any{"config": c, "layers": layers})
	if err != nil {
		return nil, err
	}
	d := a.kind
	d.Digest, d.Size = digest.FromBytes(raw), int64(len(raw))
	if max(d.Size, c.Size) > oci.MaxDocument {
		return nil, fmt.Errorf("%w: a document of %d bytes, more than %d", ErrManifest, max(d.Size, c.Size), oci.MaxDocument)
	}
	doc, err := ParseDocument(d, raw)
	if err != nil {
		return nil, err
	}
	src := newDocuments(a.src)
	src.held[c.Digest], src.held[d.Digest] = config, raw
	i := &Image{ref: a.ref, src: src, opts: a.shell.opts, manifest: doc, name: a.name, rawConfig: config, layers: slices.Clone(a.layers), lent: true}
	if i.config, err = ParseConfig(c, config); err != nil {
		return nil, err
	}
	a.images = append(a.images, i)
	return i, nil
}

// Write writes the image to a reference. What exists there is kept and not written again; see
// Copy. Options are those of NewAssembly and these.
func (a *Assembly) Write(ctx context.Context, to string, opts ...Option) (*Copied, error) {
	p := a.parcel(opts)
	dst, err := p.open(ctx, to)
	if err != nil {
		return nil, err
	}
	return a.write(ctx, dst, p)
}

// CanWrite returns the error that Write of any image to a reference would return at once, so
// that a caller need not do the work first.
func (a *Assembly) CanWrite(ctx context.Context, to string, opts ...Option) error {
	_, err := a.parcel(opts).open(ctx, to)
	return err
}

// parcel begins a parcel. Unlike those for reading, its options are only those that the caller
// has given.
func (a *Assembly) parcel(opts []Option) *Parcel {
	o := newOptions(append(slices.Clone(a.given), opts...))
	return &Parcel{Replace: o.force, Foreign: o.foreign, opts: o}
}

// open opens the destination of a parcel.
func (p *Parcel) open(ctx context.Context, to string) (Destination, error) {
	ref, t, err := p.opts.parse(to)
	if err != nil {
		return nil, err
	}
	dst, err := t.OpenDestination(ctx, ref)
	return dst, ToDestination(ref, err)
}

func (a *Assembly) write(ctx context.Context, dst Destination, p *Parcel) (*Copied, error) {
	i, err := a.Image()
	if err != nil {
		return nil, err
	}
	p.Root, p.Images, p.src = i.manifest, []*Image{i}, i.src
	return dst.Write(ctx, p)
}

// CloseWith has Close close something that the layers are read from.
func (a *Assembly) CloseWith(c io.Closer) { a.closers = append(a.closers, c) }
