package draft

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

const vmFiles = layer.RootUtilityVM + `\Files`

// isDrive reports whether a path is the root of a volume, and inDrive whether it is in one.
// Everything else in a layer has no descriptor (docs/spec/layers.md, "Security descriptors").
func isDrive(path string) bool {
	return winfs.EqualFold(path, layer.RootFiles) || winfs.EqualFold(path, vmFiles)
}

func inDrive(path string) bool {
	return winfs.Under(path, layer.RootFiles) || winfs.Under(path, vmFiles)
}

type inheritKey struct {
	parent string
	owner  winsec.SID
	dir    bool
}

// inherit is winsec.InheritFile, each descriptor computed once and kept once.
func (d *Draft) inherit(parent []byte, owner winsec.SID, dir bool) ([]byte, error) {
	key := inheritKey{string(parent), owner, dir}
	if sd, ok := d.inherited[key]; ok {
		return sd, nil
	}
	sd, err := winsec.InheritFile(parent, owner, winsec.SID{}, dir)
	if err != nil {
		return nil, err
	}
	if len(d.inherited) >= 4096 {
		clear(d.inherited)
	}
	d.inherited[key] = sd
	return sd, nil
}

// directorySecurity returns the descriptor of a directory, the inherited one where layers
// have none. The root of a volume without has that of builders.
func (d *Draft) directorySecurity(p place) ([]byte, error) {
	if sd, ok := d.security[p.path]; ok {
		return sd, nil
	}
	it, err := d.item(p)
	if err != nil {
		return nil, err
	}
	sd := it.Security
	switch {
	case it.Defect != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrDefect, it.Path, it.Defect)
	case sd != nil:
		if _, err := winsec.Parse(sd); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDefect, it.Path, err)
		}
	case !inDrive(p.path):
		sd = winsec.BuilderDirectory()
	default:
		up, _ := winfs.SplitPath(p.path)
		parent, err := d.directorySecurity(d.at(up))
		if err != nil {
			return nil, err
		}
		if sd, err = d.inherit(parent, winsec.SID{}, true); err != nil {
			return nil, err
		}
	}
	if len(d.security) >= 4096 {
		clear(d.security)
	}
	d.security[p.path] = sd
	return sd, nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
