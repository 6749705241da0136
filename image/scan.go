package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
)

// Scan reads all layers of the image once, topmost first, and calls fn with each entry; see
// layer.Scan. On the way it takes out the named hives, all five without names, as FindHives
// does; fn is not called with them. A layer that has no index has one afterwards. The caller
// closes the hives.
func (i *Image) Scan(ctx context.Context, fn func(layer.Scanned, layer.Reader) error, names ...hives.Name) (*Hives, error) {
	return ScanLayers(ctx, i.Sources(ctx), i.opts.limits, fn, names...)
}

// ScanLayers is Image.Scan for a chain of layers, base first.
func ScanLayers(ctx context.Context, layers []layer.Source, limits layer.Limits, fn func(layer.Scanned, layer.Reader) error, names ...hives.Name) (*Hives, error) {
	h := newHives(names)
	for range layers {
		h.layers = append(h.layers, hiveLayer{})
	}
	err := layer.Scan(ctx, layers, limits, func(e layer.Scanned, r layer.Reader) error {
		size, err := h.offer(ctx, e.Layer, e.Entry, r)
		if err != nil {
			return fmt.Errorf("layer %d: %w", e.Layer, err)
		}
		if size >= 0 {
			return nil
		}
		return fn(e, r)
	})
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// ReadEntries calls fn with some entries of a layer, by their numbers in ascending order, and
// a reader that is at the entry. Of a layer that has an index only the neighbourhood of the
// entries is read, any other as far as the last of them.
func ReadEntries(ctx context.Context, src layer.Source, numbers []int32, fn func(number int32, e *layer.Entry, r layer.Reader) error) (err error) {
	const near = 256 // entries, over which reading on costs less than starting at an access point
	open := func(n int32, more bool) (layer.Reader, int32, error) {
		r, err := src.Open()
		return r, 0, err
	}
	x, indexed := src.(layer.EntrySource)
	if s, ok := src.(layer.IndexedSource); ok && !indexed {
		x = s.Indexed()
		indexed = x != nil
	}
	if indexed {
		open = func(n int32, more bool) (layer.Reader, int32, error) {
			from, ok := x.(interface {
				OpenFrom(n int32) (layer.Reader, error)
			})
			if ok && more {
				r, err := from.OpenFrom(n)
				return r, n, err
			}
			r, err := x.OpenAt(n)
			return r, n, err
		}
	}
	var r layer.Reader
	closeReader := func() error {
		if r == nil {
			return nil
		}
		old := r
		r = nil
		return old.Close()
	}
	defer func() { err = errors.Join(err, closeReader()) }()
	at := int32(0) // the entry that r yields next
	for i, n := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r != nil && indexed && n-at >= near {
			if err := closeReader(); err != nil {
				return err
			}
		}
		if r == nil {
			if r, at, err = open(n, i+1 < len(numbers) && numbers[i+1]-n < near); err != nil {
				return err
			}
		}
		var e *layer.Entry
		for ; at <= n; at++ {
			if at%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if e, err = r.Next(); err == io.EOF {
				return fmt.Errorf("entry %d: %w", n, io.ErrUnexpectedEOF)
			} else if err != nil {
				return err
			}
		}
		if e == nil {
			return fmt.Errorf("entry %d: %w: the numbers do not ascend", n, layer.ErrCorrupt)
		}
		if err := fn(n, e, r); err != nil {
			return err
		}
	}
	return nil
}
