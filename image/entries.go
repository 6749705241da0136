package image

import (
	"context"
	"errors"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wintar"
)

// Open returns a reader of the layer's entries. Next reports io.EOF only if digest, size
// and diff ID are verified, so a writer that commits at io.EOF has verified content. The
// caller closes the reader.
func (l *Layer) Open(ctx context.Context) (layer.Reader, error) {
	r, err := l.Tar(ctx)
	if err != nil {
		return nil, err
	}
	return wintar.NewBlobReader(r, wintar.Label(l.String()), wintar.WithLimits(l.img.opts.limits)), nil
}

// Source returns the layer as a source that can be read more than once.
func (l *Layer) Source(ctx context.Context) layer.Source {
	return layer.SourceFunc(func() (layer.Reader, error) { return l.Open(ctx) })
}

// Sources returns the layers as sources that can be read more than once, base first.
func (i *Image) Sources(ctx context.Context) []layer.Source {
	sources := make([]layer.Source, len(i.layers))
	for n, l := range i.layers {
		sources[n] = l.Source(ctx)
	}
	return sources
}

// Union merges the layers to the view of a container. The caller closes the view
// before the image.
func (i *Image) Union(ctx context.Context) (*layer.View, error) {
	return layer.Union(ctx, i.Sources(ctx), layer.WithUnionLimits(i.opts.limits))
}

// Hive returns a registry hive as a container sees it, the deltas of all layers merged. Every
// layer is read, the base as far as the hive; FindHives takes several hives in one reading.
// The error is hives.ErrNoBase if the base layer has no such hive. The caller closes the hive
// before the image, which until then keeps the hives of the layers in temporary files.
func (i *Image) Hive(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	found, err := FindHives(ctx, i.Sources(ctx), n)
	if err != nil {
		return nil, err
	}
	h, err := found.Open(ctx, n)
	if err != nil {
		return nil, errors.Join(err, found.Close())
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hives = append(i.hives, found)
	return h, nil
}
