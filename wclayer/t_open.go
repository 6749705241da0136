package wclayer

import (
	"errors"

	"github.com/mullion/mullion/layer"
)

// OpenTransport opens a transport directory. Anything else gives [ErrNotLayer].
func OpenTransport(path string, opts ...Option) (*TransportReader, error) {
	r, err := openTransportLayer(path, newOptions(opts))
	if err != nil {
		return nil, &layer.Error{Op: "open layer directory", Layer: path, Offset: -1, Err: err}
	}
	return r, nil
}

func openTransportLayer(path string, o options) (*TransportReader, error) {
	root, release, err := openLayer(path, shapeTransport)
	if err != nil {
		return nil, err
	}
	r, err := openTransport(path, root, o)
	if err != nil {
		return nil, errors.Join(err, root.close(), release())
	}
	r.r.privileges = release
	return r, nil
}
