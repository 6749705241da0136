package cli

import (
	"context"
	"errors"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// withLinked returns a layer as two: below, the files of the layers under it that its hard
// links name, each at the path of the first link to it, and the layer with the other links
// referring to those. No name is added to the layer, so that what is shown is the layer
// alone. The layer is read twice to find the links. The view is closed by the caller, after the
// layers.
func withLinked(ctx context.Context, part layer.Source, below []layer.Source, limits layer.Limits) ([]layer.Source, *layer.View, error) {
	names := map[string]string{} // of the first link, by the folded path of the file
	var order []string
	if err := eachEntry(ctx, part, func(e *layer.Entry) {
		if key := winfs.Fold(e.Target); e.Kind == layer.Link && names[key] == "" {
			names[key] = e.Path
			order = append(order, e.Target)
		}
	}); err != nil {
		return nil, nil, err
	}
	if err := eachEntry(ctx, part, func(e *layer.Entry) {
		if e.Kind == layer.File || e.Kind == layer.Link {
			delete(names, winfs.Fold(e.Path))
		}
	}); err != nil {
		return nil, nil, err
	}
	var paths []string
	for _, target := range order {
		if names[winfs.Fold(target)] != "" {
			paths = append(paths, target)
		}
	}
	view, err := layer.Union(ctx, below, layer.WithUnionLimits(limits))
	if err != nil {
		return nil, nil, err
	}
	files := layer.SourceFunc(func() (layer.Reader, error) {
		r, err := view.Select(paths...)
		if err != nil {
			return nil, err
		}
		return &linkedReader{Reader: r, names: names}, nil
	})
	rest := layer.SourceFunc(func() (layer.Reader, error) {
		r, err := part.Open()
		if err != nil {
			return nil, err
		}
		return &linkingReader{Reader: r, names: names}, nil
	})
	return []layer.Source{files, rest}, view, nil
}

// eachEntry calls fn with the entries of a layer.
func eachEntry(ctx context.Context, source layer.Source, fn func(*layer.Entry)) error {
	r, err := source.Open()
	if err != nil {
		return err
	}
	for {
		e, err := r.Next()
		if err == nil {
			err = ctx.Err()
		}
		if err == io.EOF {
			return r.Close()
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		fn(e)
	}
}

// linkedReader yields files under the names of the links to them.
type linkedReader struct {
	layer.Reader
	names map[string]string
}

func (r *linkedReader) Next() (*layer.Entry, error) {
	for {
		e, err := r.Reader.Next()
		if err != nil {
			return nil, err
		}
		if e.Kind == layer.Dir {
			continue
		}
		named := *e
		named.Path = r.names[winfs.Fold(e.Path)]
		if e.Kind == layer.Link {
			named.Target = r.names[winfs.Fold(e.Target)]
		}
		return &named, nil
	}
}

// linkingReader yields a layer without the links that a linkedReader has as files; other
// links to those refer to them.
type linkingReader struct {
	layer.Reader
	names map[string]string
}

func (r *linkingReader) Next() (*layer.Entry, error) {
	for {
		e, err := r.Reader.Next()
		if err != nil {
			return nil, err
		}
		first := ""
		if e.Kind == layer.Link {
			first = r.names[winfs.Fold(e.Target)]
		}
		if first == "" {
			return e, nil
		}
		if winfs.EqualFold(e.Path, first) {
			continue
		}
		linked := *e
		linked.Target = first
		return &linked, nil
	}
}
