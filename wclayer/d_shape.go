package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
)

// openLayer opens the directory of a layer, which has to be of a shape, with the
// privileges that its reader needs. The reader gives them back.
func openLayer(path string, want shape) (root directory, release func() error, err error) {
	if release, err = holdPrivileges(); err != nil {
		return nil, nil, err
	}
	if root, err = openDirectory(path); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	s, err := shapeOf(root)
	if err == nil && s != want {
		err = fmt.Errorf("%w of that kind: it is %v", ErrNotLayer, s)
	}
	if err != nil {
		return nil, nil, errors.Join(err, root.close(), release())
	}
	return root, release, nil
}

// shape is one of the two forms of a layer directory.
type shape uint8

func (s shape) String() string {
	if s == shapeTransport {
		return "a transport directory"
	}
	return "a final directory"
}

const (
	shapeFinal shape = iota + 1
	shapeTransport
)

// shapeAt returns the shape of the layer in the directory at path.
func shapeAt(path string) (shape, error) {
	release, err := holdPrivileges()
	if err != nil {
		return 0, err
	}
	root, err := openDirectory(path)
	if err != nil {
		return 0, errors.Join(err, release())
	}
	s, err := shapeOf(root)
	return s, errors.Join(err, root.close(), release())
}

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
