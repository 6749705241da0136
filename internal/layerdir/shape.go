package layerdir

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/internal/hostfs"
)

// OpenLayer opens the directory of a layer, which has to be of the wanted kind, and
// enables the privileges that its reader needs. The reader calls release when it is
// closed.
func OpenLayer(path string, want shape) (root hostfs.Directory, release func() error, err error) {
	if release, err = hostfs.HoldPrivileges(); err != nil {
		return nil, nil, err
	}
	if root, err = hostfs.OpenDirectory(path); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	s, err := shapeOf(root)
	if err == nil && s != want {
		err = fmt.Errorf("%w of that kind: it is %v", ErrNotLayer, s)
	}
	if err != nil {
		return nil, nil, errors.Join(err, root.Close(), release())
	}
	return root, release, nil
}

// shape is one of the two forms of a layer directory.
type shape uint8

func (s shape) String() string {
	if s == Transport {
		return "a transport directory"
	}
	return "a final directory"
}

const (
	Final shape = iota + 1
	Transport
)

// ShapeAt returns the shape of the layer in the directory at path.
func ShapeAt(path string) (shape, error) {
	release, err := hostfs.HoldPrivileges()
	if err != nil {
		return 0, err
	}
	root, err := hostfs.OpenDirectory(path)
	if err != nil {
		return 0, errors.Join(err, release())
	}
	s, err := shapeOf(root)
	return s, errors.Join(err, root.Close(), release())
}

// shapeOf detects the kind of a layer directory by the files in it.
func shapeOf(root hostfs.Directory) (shape, error) {
	has := func(name string) (bool, error) {
		_, err := root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	// The index knows, where there is one: a layer may have files with any of the names
	// below at its root.
	if f, ok, err := indexFlagsOf(root); err != nil || ok {
		if f&IndexTransport != 0 {
			return Transport, err
		}
		return Final, err
	}
	for _, m := range []struct {
		name  string
		shape shape
	}{
		{FilesName + MetaSuffix, Transport},
		{HivesName + MetaSuffix, Transport},
		{TombstoneName, Transport},
		{StoreName, Final},
		{FilesName, Final},
	} {
		if ok, err := has(m.name); err != nil {
			return 0, err
		} else if ok {
			return m.shape, nil
		}
	}
	return 0, fmt.Errorf("%w: there is no Files in it", ErrNotLayer)
}
