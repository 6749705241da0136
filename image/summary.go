package image

import (
	"context"
	"errors"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/wintar"
)

// Summary counts the entries of one layer.
type Summary struct {
	Stored    int64    // bytes of the blob
	Plain     int64    // bytes of the tar
	Files     int64    // with hard links not counted again
	Dirs      int64    //
	Links     int64    // hard links
	Whiteouts int64    // explicit and opaque
	Content   int64    // logical bytes of all streams
	Hives     []string // paths of the registry hives and delta hives
}

// summaryOf returns the counts in an index.
func summaryOf(x *layerindex.Index) (*Summary, error) {
	t := x.Totals()
	s := &Summary{
		Stored: x.StoredSize(), Plain: x.PlainSize(), Files: t.Files, Dirs: t.Dirs, Links: t.Links,
		Whiteouts: t.Whiteouts, Content: t.Content,
	}
	for _, n := range x.Hives() {
		e, err := x.EntryAt(n)
		if err != nil {
			return nil, err
		}
		if e.Kind == layer.File {
			s.Hives = append(s.Hives, e.Path)
		}
	}
	return s, nil
}

// Summarize counts the entries of the layer. A layer that has no index is read to its end,
// which verifies it.
func (l *Layer) Summarize(ctx context.Context) (*Summary, error) {
	if x := l.index(); x != nil {
		return summaryOf(x)
	}
	return l.summarize(ctx, func(*layer.Entry, layer.Reader) (int64, error) { return -1, nil })
}

// Survey counts the entries of every layer of the image and extracts the hives. A layer that
// has no index is read once and to its end. The caller closes the hives.
func (i *Image) Survey(ctx context.Context) ([]*Summary, *Hives, error) {
	h := newHives(nil)
	var all []*Summary
	for n, l := range i.layers {
		h.layers = append(h.layers, hiveLayer{})
		if src, ok := l.Source(ctx).(layer.IndexedSource).Indexed().(*layerindex.Source); ok {
			s, err := summaryOf(src.Index())
			if err == nil {
				err = h.findIndexed(ctx, src, n)
			}
			if err != nil {
				return nil, nil, errors.Join(err, h.Close())
			}
			all = append(all, s)
			continue
		}
		s, err := l.summarize(ctx, func(e *layer.Entry, r layer.Reader) (int64, error) { return h.offer(ctx, n, e, r) })
		if err != nil {
			return nil, nil, errors.Join(err, h.Close())
		}
		all = append(all, s)
	}
	return all, h, nil
}

// summarize offers every entry to take, which returns the size of the main stream if
// it has read it, and -1 otherwise.
func (l *Layer) summarize(ctx context.Context, take func(*layer.Entry, layer.Reader) (int64, error)) (*Summary, error) {
	tar, err := l.tar(ctx, blob.WithMap(0))
	if err != nil {
		return nil, err
	}
	r := layer.LimitReader(layerindex.Record(wintar.NewBlobReader(tar, l.tarOptions()...), l.keep), l.img.opts.limits)
	defer r.Close()
	s := &Summary{}
	for {
		e, err := r.Next()
		if err == io.EOF {
			s.Stored, s.Plain = tar.StoredSize(), tar.Size()
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		switch e.Kind {
		case layer.File:
			s.Files++
			if _, _, ok := hives.Match(e.Path); ok {
				s.Hives = append(s.Hives, e.Path)
			}
		case layer.Dir:
			s.Dirs++
		case layer.Link:
			s.Links++
		case layer.Whiteout, layer.Opaque:
			s.Whiteouts++
		}
		taken, err := take(e, r)
		if err != nil {
			return nil, err
		}
		s.Content += max(taken, 0)
		for {
			stream, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			s.Content += stream.Size
		}
	}
}
