package build

import (
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// whiteout queues that a name of the layers below is hidden. Where the source has the name
// too, that hides it: only the content of a directory is not.
func (c *converter) whiteout(path string) error {
	if is, ok := c.plan.find(path); ok {
		if is.kind == layer.Dir {
			return c.hideChildren(path)
		}
		return nil
	}
	it, err := c.lookup(winfs.JoinPath(layer.RootFiles, path))
	if err != nil || it == nil {
		return err // nothing is there to be hidden
	}
	return c.hide(path)
}

// hide queues the whiteout of a name that the layers below have.
func (c *converter) hide(path string) error {
	dir, name := winfs.SplitPath(path)
	d, err := c.directory(dir, winfs.Times{})
	if err != nil {
		return err
	}
	full := winfs.JoinPath(d.path, name)
	if it, err := c.lookup(full); err != nil {
		return err
	} else if it != nil {
		full = it.Path
	}
	c.queue = append(c.queue, layer.Entry{Path: full, Kind: layer.Whiteout})
	return nil
}

// hideChildren queues whiteouts for everything that the layers below have in a directory and
// the source does not. Windows knows no opaque whiteout.
func (c *converter) hideChildren(path string) error {
	full := winfs.JoinPath(layer.RootFiles, path)
	it, err := c.lookup(full)
	if err != nil || it == nil || it.Kind != layer.Dir || it.Reparse != nil {
		return err
	}
	if _, err := c.directory(path, it.Times); err != nil {
		return err
	}
	for child, err := range c.tree.Children(full) {
		if err == nil {
			err = c.ctx.Err()
		}
		if err != nil {
			return err
		}
		_, name := winfs.SplitPath(child.Path)
		below := winfs.JoinPath(path, name)
		is, ok := c.plan.find(below)
		switch {
		case !ok:
			err = c.hide(below)
		case is.kind == layer.Dir:
			err = c.hideChildren(below)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
