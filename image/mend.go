package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
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
	a, err := NewAssembly(i, opts...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	p := a.parcel(nil)
	dst, err := p.open(ctx, to) // before the work
	if err != nil {
		return nil, err
	}
	w := &mender{ctx: ctx, img: i, below: &layer.Below{}, out: a}
	m = &Mended{}
	a.layers = nil // the history stays
	for _, l := range i.layers {
		broken, err := w.broken(l)
		if err != nil {
			return nil, err
		}
		if !broken {
			a.keep(l, l.Descriptor)
			continue
		}
		if err := w.layer(l); err != nil {
			return nil, fmt.Errorf("mend %v: %w", l, err)
		}
		m.Layers = append(m.Layers, l.Index)
	}
	done, err := a.write(ctx, dst, p)
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
	out   *Assembly
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
func (w *mender) layer(l *Layer) error {
	plan, err := w.plan(l)
	if err != nil {
		return err
	}
	src, err := l.Tar(w.ctx)
	if err != nil {
		return err
	}
	r := plan.Reader(wintar.NewBlobReader(src, wintar.Label(l.String()), wintar.WithLimits(w.img.opts.limits)))
	mended, err := w.out.AddLayer(w.ctx, r, src.Format(), nil)
	if err != nil {
		return err
	}
	mended.Descriptor.MediaType, mended.Descriptor.Annotations = l.Descriptor.MediaType, l.Descriptor.Annotations
	return w.learn(mended)
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
func (w *mender) learn(l *Layer) (err error) {
	r, err := l.Open(w.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, err := range layer.Check(w.ctx, r, layer.CheckOptions{Base: l.Index == 0, HasParents: l.Index > 0, Limits: w.img.opts.limits, Below: w.below, Quick: true}) {
		if err != nil {
			return err
		}
	}
	return nil
}
