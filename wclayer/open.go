package wclayer

import (
	"errors"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wctransport"
)

// Open opens the layer in a directory of either kind. It returns a [*Reader] for a final
// directory and a [*wctransport.Reader] for a transport directory.
//
// The index of this module, where there is one, records the kind. Otherwise a directory
// with Files.$wcidirs$ or Hives.$wcidirs$, which every transport directory has had since
// Windows Server 2016, or with tombstones.txt is a transport directory, and one with Files
// is a final directory. For any other directory the error wraps [ErrNotLayer].
func Open(path string, opts ...Option) (layer.Reader, error) {
	s, err := layerdir.ShapeAt(path)
	if err == nil && s == layerdir.Transport {
		return wctransport.Open(path, opts...)
	}
	var r *Reader
	if err == nil {
		r, err = open(path, layerdir.NewOptions(opts))
	}
	if err != nil {
		return nil, &layer.Error{Op: "open layer directory", Layer: path, Offset: -1, Err: err}
	}
	return r, nil
}

func open(path string, o layerdir.Options) (*Reader, error) {
	root, release, err := layerdir.OpenLayer(path, layerdir.Final)
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
