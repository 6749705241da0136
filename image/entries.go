package image

import (
	"context"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// Open opens the layer's entries. The end is reported only if digest, size and diff
// ID hold, so that what is committed after it was verified. The caller closes the
// reader.
func (l *Layer) Open(ctx context.Context) (layer.Reader, error) {
	r, err := l.Tar(ctx)
	if err != nil {
		return nil, err
	}
	return wintar.NewBlobReader(r, wintar.Label(l.String()), wintar.WithLimits(l.img.opts.limits)), nil
}

// Source returns the layer as one that can be read more than once.
func (l *Layer) Source(ctx context.Context) layer.Source {
	return layer.SourceFunc(func() (layer.Reader, error) { return l.Open(ctx) })
}

// Union merges the layers to what a container sees. The caller closes the view
// before the image.
func (i *Image) Union(ctx context.Context) (*layer.View, error) {
	sources := make([]layer.Source, len(i.layers))
	for n, l := range i.layers {
		sources[n] = l.Source(ctx)
	}
	return layer.Union(ctx, sources, layer.WithUnionLimits(i.opts.limits))
}
