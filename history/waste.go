package history

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Waste is the part of the content of a chain of layers that a container does not see,
// because a layer above replaces or hides it.
//
// Sizes are the logical bytes of all data streams. A file with several hard links counts
// once, and is visible while one of its names is. A delta hive is visible even if a layer
// above has one too: the layers above add to it. Metadata and whiteouts have no size.
type Waste struct {
	Total   int64 // bytes of all layers: the sum of Visible and Wasted
	Visible int64
	Wasted  int64
	Layers  []LayerWaste // base first
	Files   []WastedFile // the most bytes first, then by path
}

// LayerWaste is the part of one layer.
type LayerWaste struct {
	Size   int64 // bytes of the layer
	Wasted int64 // of them, replaced or hidden by layers above
}

// WastedFile is a path at which layers have content that a container does not see.
type WastedFile struct {
	Path   string
	Wasted int64 // bytes
	Copies []Copy
	// Removed is set if the view has nothing at the path.
	Removed bool
}

// Copy is the content that one layer has.
type Copy struct {
	Layer int   // from 0, the base
	Size  int64 // bytes
}

// Efficiency returns the visible part of all bytes, 1 if there are none.
func (w *Waste) Efficiency() float64 {
	if w.Total == 0 {
		return 1
	}
	return float64(w.Visible) / float64(w.Total)
}

// Survey reads a chain of layers, base first, and measures what is wasted. Its memory is
// that of [layer.Union], which limits bound, and eight bytes for each entry.
func Survey(ctx context.Context, layers []layer.Source, limits layer.Limits) (w *Waste, err error) {
	sizes := make([][]int64, len(layers))
	sized := make([]layer.Source, len(layers))
	for i, src := range layers {
		sized[i] = layer.SourceFunc(func() (layer.Reader, error) {
			r, err := src.Open()
			if err != nil {
				return nil, err
			}
			sizes[i] = nil
			return &sizer{r: r, sizes: &sizes[i]}, nil
		})
	}
	view, err := layer.Union(ctx, sized, layer.WithUnionLimits(limits))
	if err != nil {
		return nil, err
	}
	w = &Waste{Layers: make([]LayerWaste, len(layers))}
	at := map[string]int{}
	for o := range view.Objects() {
		size := sizes[o.Layer][o.Entry]
		w.Total += size
		w.Layers[o.Layer].Size += size
		if size == 0 {
			continue
		}
		if _, form, ok := hives.Match(o.Path); o.Names > 0 || ok && form == hives.Delta {
			w.Visible += size
			continue
		}
		w.Wasted += size
		w.Layers[o.Layer].Wasted += size
		i, ok := at[o.Path]
		if !ok {
			i = len(w.Files)
			at[o.Path] = i
			w.Files = append(w.Files, WastedFile{Path: o.Path, Removed: o.Hidden})
		}
		f := &w.Files[i]
		f.Wasted += size
		f.Copies = append(f.Copies, Copy{o.Layer, size})
	}
	slices.SortFunc(w.Files, func(a, b WastedFile) int {
		return cmp.Or(cmp.Compare(b.Wasted, a.Wasted), winfs.CompareFold(a.Path, b.Path))
	})
	return w, view.Close()
}

// sizer notes the size of each entry of a layer while the layer is read for another
// purpose.
type sizer struct {
	r     layer.Reader
	sizes *[]int64
	ended bool // all streams of the entry were met
}

// Next implements layer.Reader. Streams of the last entry that the caller has not asked
// for are measured first.
func (s *sizer) Next() (*layer.Entry, error) {
	for len(*s.sizes) > 0 && !s.ended {
		if _, err := s.NextStream(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	e, err := s.r.Next()
	if err != nil {
		s.ended = true
		return nil, err
	}
	*s.sizes = append(*s.sizes, 0)
	s.ended = e.Kind != layer.File && e.Kind != layer.Dir
	return e, nil
}

// NextStream implements layer.Reader.
func (s *sizer) NextStream() (*layer.Stream, error) {
	st, err := s.r.NextStream()
	switch {
	case err == nil && len(*s.sizes) > 0:
		(*s.sizes)[len(*s.sizes)-1] += st.Size
	case err != nil:
		s.ended = true
	}
	return st, err
}

// Read implements layer.Reader.
func (s *sizer) Read(p []byte) (int, error) { return s.r.Read(p) }

// Close implements layer.Reader.
func (s *sizer) Close() error { return s.r.Close() }
