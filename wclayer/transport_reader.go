package wclayer

import "github.com/mullion/mullion/layer"

func openTransport(path string, root directory, o options) (layer.Reader, error) {
	return nil, ErrNotLayer
}
