package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
)

// Mended is the result of [Image.Mend].
type Mended struct {
	Copied
	Layers []int // indexes of the layers that were written anew, base first
}

// mendable lists the rules for which a layer is written anew: those that package mend
// corrects, and those of headers that a tar in canonical form keeps.
var mendable = func() map[string]bool {
	m := map[string]bool{}
	for _, id := range append(mend.Rules(), wintar.Rewritten()...) {
		m[id] = true
	}
	return m
}()

// Mend copies the image to another reference and corrects the faults of its layers for
// which that is no guess, see package mend. A layer without such a fault keeps its blob; the
// others get new blobs of the same compression, and the configuration and the manifest are
// changed to name them, and otherwise keep their members. A layer is read once to find its
// faults and once more to write it anew; one with invalid metadata, of which there is no
// index, up to four times. Foreign layers stay as they are.
//
// Blobs are verified while they are read. The new ones are in temporary files until all is
// written. The error is layer.ErrCorrupt or the like for a layer that cannot be read or
// written to its end.
func (i *Image) Mend(ctx context.Context, to string, opts ...Option) (m *Mended, err error) {
	o := newOptions(opts)
	ref, t, err := o.parse(to)
	if err != nil {
		return nil, err
	}
	dst, err := t.OpenDestination(ctx, ref)
	if err != nil {
		return nil, err
	}
	w := &mender{ctx: ctx, img: i, below: &layer.Below{}, made: map[digest.Digest]*tempfile.File{}}
	defer func() { err = errors.Join(err, w.close()) }()
	m = &Mended{}
	var layers []Descriptor
	var ids []digest.Digest
	for _, l := range i.layers {
		d, id := l.Descriptor, l.DiffID
		broken, err := w.broken(l)
		if err != nil {
			return nil, err
		}
		if broken {
			if d, id, err = w.layer(l); err != nil {
				return nil, fmt.Errorf("mend %v: %w", l, err)
			}
			m.Layers = append(m.Layers, l.Index)
		}
		layers, ids = append(layers, d), append(ids, id)
	}
	p, err := w.parcel(layers, ids)
	if err != nil {
		return nil, err
	}
	p.Replace, p.Foreign = o.force, o.foreign
	done, err := dst.Write(ctx, p)
	if err != nil {
		return nil, err
	}
	m.Copied = *done
	return m, nil
}

// mender writes layers anew.
type mender struct {
	ctx   context.Context
	img   *Image
	below *layer.Below // of the corrected layers
	made  map[digest.Digest]*tempfile.File
}

func (w *mender) close() error {
	var errs []error
	for _, f := range w.made {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// options says what is known of a layer.
func (w *mender) options(l *Layer) mend.Options {
	return mend.Options{Base: l.Index == 0, HasParents: l.Index > 0, Below: w.below, FileAttributes: winfs.AttrArchive, Limits: w.img.opts.limits}
}

// broken reports whether a layer has a fault that is corrected. If it has none, it becomes
// part of those below the next one.
func (w *mender) broken(l *Layer) (bool, error) {
	r, err := l.tarCheck(w.ctx, true)
	if errors.Is(err, ErrForeign) {
		return false, nil // it stays where it is
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	below := w.below.Clone()
	broken := false
	for f, err := range wintar.Check(w.ctx, r, append(append(w.place(l), r.options()...), wintar.Below(below))...) {
		if err != nil {
			return false, errors.Join(r.Finish(), err)
		}
		broken = broken || mendable[f.Rule] && !l.Foreign()
	}
	if err := r.Finish(); err != nil {
		return false, err
	}
	if !broken {
		w.below = below
	}
	return broken, nil
}

func (w *mender) place(l *Layer) []wintar.Option {
	opts := []wintar.Option{wintar.WithLimits(w.img.opts.limits), wintar.Base()}
	if l.Index > 0 {
		opts[1] = wintar.HasParents()
	}
	return opts
}

// layer writes a layer anew.
func (w *mender) layer(l *Layer) (d Descriptor, id digest.Digest, err error) {
	plan, err := w.plan(l)
	if err != nil {
		return d, "", err
	}
	src, err := l.Tar(w.ctx)
	if err != nil {
		return d, "", err
	}
	r := plan.Reader(wintar.NewBlobReader(src, wintar.Label(l.String()), wintar.WithLimits(w.img.opts.limits)))
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := tempfile.Create("", "mullion-layer-")
	if err != nil {
		return d, "", err
	}
	out, err := blob.NewWriter(f, src.Format())
	if err != nil {
		return d, "", errors.Join(err, f.Close())
	}
	tar := wintar.NewWriter(out)
	_, err = layer.Copy(w.ctx, tar, r, layer.WithLimits(w.img.opts.limits))
	if err == nil {
		err = tar.Commit()
	}
	err = errors.Join(err, tar.Close(), out.Close())
	if err != nil {
		return d, "", errors.Join(err, f.Close())
	}
	d = l.Descriptor
	d.Digest, d.Size, d.URLs, d.Data = digest.Digest(out.Digest()), out.StoredSize(), nil, nil
	if old := w.made[d.Digest]; old != nil {
		err = old.Close()
	}
	w.made[d.Digest] = f
	if err != nil {
		return d, "", err
	}
	return d, digest.Digest(out.DiffID()), w.learn(f, d.Size, l)
}

// plan learns a layer. Directories that it lacks get the metadata that they have in the
// layers below.
func (w *mender) plan(l *Layer) (p *mend.Plan, err error) {
	r, err := l.Source(w.ctx).Open()
	if err != nil {
		return nil, err
	}
	p, err = mend.Learn(w.ctx, r, w.options(l))
	if err = errors.Join(err, r.Close()); err != nil || len(p.Missing()) == 0 {
		return p, err
	}
	wanted := map[string]bool{}
	for _, dir := range p.Missing() {
		wanted[winfs.Fold(dir)] = true
	}
	for _, under := range w.img.layers[:l.Index] {
		if err := w.provide(p, under, wanted); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (w *mender) provide(p *mend.Plan, under *Layer, wanted map[string]bool) (err error) {
	r, err := under.Source(w.ctx).Open()
	if errors.Is(err, ErrForeign) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		e, err := r.Next()
		if err == nil {
			err = w.ctx.Err()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Kind == layer.Dir && e.Defect == nil && wanted[winfs.Fold(e.Path)] && w.below.Find(e.Path) == layer.Dir {
			p.Provide(e.Path, e)
		}
	}
}

// learn adds a corrected layer to those below the next one.
func (w *mender) learn(f *tempfile.File, size int64, l *Layer) (err error) {
	b, err := blob.NewReader(w.ctx, io.NewSectionReader(f, 0, size), blob.WithLimits(w.img.opts.limits))
	if err != nil {
		return err
	}
	r := wintar.NewBlobReader(b, wintar.WithLimits(w.img.opts.limits))
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, err := range layer.Check(w.ctx, r, layer.CheckOptions{Base: l.Index == 0, HasParents: l.Index > 0, Limits: w.img.opts.limits, Below: w.below, Quick: true}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// parcel makes the documents of the image with other layers.
func (w *mender) parcel(layers []Descriptor, ids []digest.Digest) (*Parcel, error) {
	config, err := replaceMembers(w.img.rawConfig, map[string]any{"diff_ids": ids}, "rootfs")
	if err != nil {
		return nil, err
	}
	c := w.img.manifest.Manifest.Config
	c.Digest, c.Size, c.Data = digest.FromBytes(config), int64(len(config)), nil
	manifest, err := replaceMembers(w.img.manifest.Raw, map[string]any{"config": c, "layers": layers})
	if err != nil {
		return nil, err
	}
	d := w.img.manifest.Descriptor
	d.Digest, d.Size, d.Data = digest.FromBytes(manifest), int64(len(manifest)), nil
	src := newDocuments(&mendedSource{Source: w.img.src, made: w.made})
	doc, err := ParseDocument(d, manifest)
	if err != nil {
		return nil, err
	}
	src.held[c.Digest], src.held[d.Digest] = config, manifest
	img := &Image{ref: w.img.ref, src: src, opts: w.img.opts, manifest: doc, name: w.img.name}
	if err := img.load(w.ctx); err != nil {
		return nil, err
	}
	return &Parcel{Root: doc, Images: []*Image{img}, src: src, opts: w.img.opts}, nil
}

// mendedSource is the source of an image with some layers replaced.
type mendedSource struct {
	Source
	made map[digest.Digest]*tempfile.File
}

func (s *mendedSource) Open(ctx context.Context, d Descriptor) (io.ReadCloser, error) {
	if f, ok := s.made[d.Digest]; ok {
		return io.NopCloser(io.NewSectionReader(f, 0, d.Size)), nil
	}
	return s.Source.Open(ctx, d)
}
