package wctransport

import (
	"errors"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
)

// Open opens a transport directory. For any other directory the error wraps [ErrNotLayer].
func Open(path string, opts ...Option) (*Reader, error) {
	r, err := open(path, layerdir.NewOptions(opts))
	if err != nil {
		return nil, &layer.Error{Op: "open layer directory", Layer: path, Offset: -1, Err: err}
	}
	return r, nil
}

func open(path string, o layerdir.Options) (*Reader, error) {
	root, release, err := layerdir.OpenLayer(path, layerdir.Transport)
	if err != nil {
		return nil, err
	}
	r, err := newReader(path, root, o)
	if err != nil {
		return nil, errors.Join(err, root.Close(), release())
	}
	r.r.Privileges = release
	return r, nil
}
