package image

import (
	"context"
	"errors"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/wintar"
)

// quickLayer checks the entries of one layer and reports whether it could be read to the
// end.
func (c *imageCheck) quickLayer(l *Layer, placed *hivePlaces) (whole bool, err error) {
	r, format, err := l.openQuick(c.ctx)
	if err == nil {
		c.compression(l, format)
		whole, err = c.entries(l, r, placed)
		err = errors.Join(err, r.Close())
	}
	if err == nil || c.stopped {
		return whole, err
	}
	f, ok := BlobFinding(err)
	if !ok {
		return false, err
	}
	placed.spoilt = placed.spoilt || l.Index == 0
	c.report(f.In(l.String()))
	return false, nil
}

// openQuick opens the entries in the index of a layer, or the layer such that reading it
// makes the index.
func (l *Layer) openQuick(ctx context.Context) (layer.Reader, blob.Format, error) {
	if x := l.index(); x != nil {
		r, err := x.Source(ctx, &l.parts, l.String(), wintar.WithLimits(l.img.opts.limits)).Open()
		return r, x.Map().Format, err
	}
	tar, err := l.tar(ctx, blob.WithMap(0))
	if err != nil {
		return nil, 0, err
	}
	return layerindex.Record(wintar.NewBlobReader(tar, l.tarOptions()...), l.keep), tar.Format(), nil
}

func (c *imageCheck) entries(l *Layer, r layer.Reader, placed *hivePlaces) (whole bool, err error) {
	placed.label, placed.base = l.String(), l.Index == 0
	watched := &watchedReader{r, func(e *layer.Entry) error {
		if placed.entry(e); c.stopped {
			return errStopped
		}
		return nil
	}}
	opts := layer.CheckOptions{
		Label: l.String(), Base: l.Index == 0, HasParents: l.Index > 0, Limits: c.limits, Below: &c.below, Quick: true,
		Damage: func(err error) bool { return layer.IsDamage(err) && !isBlobFault(err) },
	}
	whole = true
	for f, err := range layer.Check(c.ctx, watched, opts) {
		if err != nil {
			return false, err
		}
		if f.Rule == layer.RuleUnreadable.ID || f.Rule == layer.RuleLimitExceeded.ID {
			whole = false
			placed.spoilt = placed.spoilt || l.Index == 0
		}
		if c.report(f); c.stopped {
			return false, errStopped
		}
	}
	if c.stopped {
		return false, errStopped
	}
	return whole, nil
}

// isBlobFault reports whether an error is of the blob around the tar.
func isBlobFault(err error) bool {
	var mismatch *blob.MismatchError
	return errors.As(err, &mismatch) || errors.Is(err, blob.ErrCorrupt) || errors.Is(err, blob.ErrCompression)
}

// watchedReader passes each entry to see, whose error ends the reading.
type watchedReader struct {
	layer.Reader
	see func(*layer.Entry) error
}

func (r *watchedReader) Next() (*layer.Entry, error) {
	e, err := r.Reader.Next()
	if err == nil {
		err = r.see(e)
	}
	return e, err
}

// hivePlaces checks where the layers of an image have their registry hives, without reading
// those.
type hivePlaces struct {
	report func(finding.Finding)
	label  string // of the current layer
	base   bool   // it is the base layer
	bottom string // label of the base layer
	seen   map[hives.Name]bool
	spoilt bool // the base layer was not read to its end
}

func (p *hivePlaces) entry(e *layer.Entry) {
	if p.base {
		p.bottom = p.label
	}
	n, form, ok, err := hives.Place(e, p.base)
	if p.seen == nil {
		p.seen = map[hives.Name]bool{}
	}
	switch {
	case !ok:
	case err != nil:
		p.seen[n] = true // nothing more is said of it
		p.report(RuleHivePlace.At(e.Path, -1, "%v", err).In(p.label))
	case form == hives.Config && !p.base:
	default:
		p.seen[n] = p.seen[n] || p.base
		if e.Size == 0 {
			p.report(RuleHiveEmpty.At(e.Path, -1, "the file is empty").In(p.label))
		}
	}
}

// finish reports the hives that the base layer does not have.
func (p *hivePlaces) finish() {
	if p.spoilt || p.bottom == "" {
		return
	}
	for _, n := range hives.All() {
		if !p.seen[n] {
			p.report(layer.RuleHiveMissing.At(n.Path(hives.Config), -1, "a base layer must have this registry hive").In(p.bottom))
		}
	}
}
