package wclayer

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/layer"
)

// Open opens the layer in a directory, whatever its shape: [*Reader] for a final
// directory, [*TransportReader] for a transport directory.
//
// A transport directory is known by Files.$wcidirs$ or Hives.$wcidirs$, which
// every one has since Windows Server 2016, or by tombstones.txt; a final one by
// Files. Where this package has left its index, that says what the directory is.
// Anything else gives [ErrNotLayer].
func Open(path string, opts ...Option) (layer.Reader, error) {
	r, err := open(path, newOptions(opts))
	if err != nil {
		return nil, &layer.Error{Op: "open layer directory", Layer: path, Offset: -1, Err: err}
	}
	return r, nil
}

func open(path string, o options) (layer.Reader, error) {
	release, err := holdPrivileges()
	if err != nil {
		return nil, err
	}
	r, err := openHolding(path, o, release)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return r, nil
}

// openHolding opens a layer whose reader gives the privileges back.
func openHolding(path string, o options, release func() error) (layer.Reader, error) {
	root, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	s, err := shapeOf(root)
	if err != nil {
		return nil, errors.Join(err, root.close())
	}
	if s == shapeTransport {
		r, err := openTransport(path, root, o)
		if err != nil {
			return nil, errors.Join(err, root.close())
		}
		r.privileges = release
		return r, nil
	}
	r, err := openFinal(path, root, o)
	if err != nil {
		return nil, errors.Join(err, root.close())
	}
	r.privileges = release
	return r, nil
}

type shape uint8

const (
	shapeFinal shape = iota + 1
	shapeTransport
)

// shapeOf tells the shapes apart by what is there.
func shapeOf(root directory) (shape, error) {
	has := func(name string) (bool, error) {
		_, err := root.stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	// The index knows, where there is one: a layer may have files with any of the names
	// below at its root.
	if f, ok, err := indexFlagsOf(root); err != nil || ok {
		if f&indexTransport != 0 {
			return shapeTransport, err
		}
		return shapeFinal, err
	}
	for _, m := range []struct {
		name  string
		shape shape
	}{
		{filesName + metaSuffix, shapeTransport},
		{hivesName + metaSuffix, shapeTransport},
		{tombstoneName, shapeTransport},
		{storeName, shapeFinal},
		{filesName, shapeFinal},
	} {
		if ok, err := has(m.name); err != nil {
			return 0, err
		} else if ok {
			return m.shape, nil
		}
	}
	return 0, fmt.Errorf("%w: there is no Files in it", ErrNotLayer)
}
