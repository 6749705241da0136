package image

import (
	"context"
	"io"

	"github.com/mullion/mullion/blob"
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
	return OpenTar(r, wintar.Label(l.String()), wintar.WithLimits(l.img.opts.limits)), nil
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

// OpenTar reads the entries of a tar in a blob. The reader reports its end only if
// all that was expected of the blob holds, and closes the blob.
func OpenTar(b *blob.Reader, opts ...wintar.Option) layer.Reader {
	return &tarReader{wintar.NewReader(b, opts...), b}
}

type tarReader struct {
	*wintar.Reader
	blob *blob.Reader
}

func (r *tarReader) Next() (*layer.Entry, error) {
	e, err := r.Reader.Next()
	if err == io.EOF {
		if err := r.blob.Finish(); err != nil {
			return nil, err
		}
	}
	return e, err
}

func (r *tarReader) Close() error {
	err := r.Reader.Close()
	if berr := r.blob.Close(); err == nil {
		err = berr
	}
	return err
}
