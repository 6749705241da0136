package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// parent is the final directory of a layer below the one that is being written.
type parent struct {
	path   string
	folder *os.Root         // in which path is a name; nil if it is a path of the host
	root   hostfs.Directory // nil until the parent is needed
	hidden *layerdir.Tree   // its whiteouts
	names  layerdir.Names

	// The directory in which a link target was looked up last, because links come in
	// groups. lastDir is nil if the layer does not have the directory. lastList maps the
	// upper-cased names in it to host names; it is read when an exact look-up misses.
	last     string
	lastDir  hostfs.Directory
	lastList map[string]string
}

func (p *parent) openRoot() (hostfs.Directory, error) {
	if p.folder == nil {
		return hostfs.OpenDirectory(p.path)
	}
	return (&hostfs.HostDirectory{Root: p.folder}).Enter(p.path)
}

func (p *parent) open(o *layerdir.Options) error {
	if p.root != nil {
		return nil
	}
	root, err := p.openRoot()
	if err != nil {
		return fmt.Errorf("%w: %w", layer.ErrMissingParent, err)
	}
	store, err := layerdir.OpenStore(root)
	if err != nil {
		return errors.Join(err, root.Close())
	}
	p.hidden, p.names = layerdir.NewTree(), layerdir.Names{}
	if store != nil {
		x, err := layerdir.LoadIndex(store, o.Limits, func(k layerdir.ItemKind) bool { return k == layerdir.ItemWhiteout || k == layerdir.ItemOpaque })
		if err == nil {
			p.hidden, p.names = x.Tree, x.Names
			err = x.Close()
		}
		if err := hostfs.FirstError(err, store.Close()); err != nil {
			return errors.Join(fmt.Errorf("parent %s: %w", p.path, err), root.Close())
		}
	}
	p.root = root
	return nil
}

// find looks for the file at path.
func (p *parent) find(path string, o *layerdir.Options) (layerdir.ParentFile, error) {
	if err := p.open(o); err != nil {
		return layerdir.ParentFile{}, err
	}
	dir, base := winfs.SplitPath(path)
	if p.last == "" || !winfs.EqualFold(p.last, dir) {
		if err := p.enter(dir); err != nil {
			return layerdir.ParentFile{}, err
		}
	}
	if p.lastDir != nil {
		name, fi, err := p.lookup(base)
		if err != nil {
			return layerdir.ParentFile{}, err
		}
		if fi != nil {
			if !fi.Mode().IsRegular() {
				return layerdir.ParentFile{}, fmt.Errorf("%w: in parent %s it is not a file", layer.ErrLinkTarget, p.path)
			}
			return layerdir.ParentFile{Dir: p.lastDir, Name: name}, nil
		}
	}
	return layerdir.ParentFile{Hidden: p.hides(path)}, nil
}

// hides reports whether a whiteout of this layer covers the path.
func (p *parent) hides(path string) bool {
	id := layerdir.NodeID(0)
	for path != "" {
		var c string
		c, path, _ = strings.Cut(path, `\`)
		if p.hidden.At(id).Flags&layerdir.NodeOpaque != 0 {
			return true
		}
		if id = p.hidden.Find(id, c); id == layerdir.NoNode {
			return false
		}
		if p.hidden.At(id).Flags&layerdir.NodeWhiteout != 0 {
			return true
		}
	}
	return false
}

// enter makes dir the last directory.
func (p *parent) enter(dir string) error {
	if err := p.leave(); err != nil {
		return err
	}
	p.last = strings.Clone(dir)
	d, err := p.root.Enter(".")
	for rest := dir; err == nil && rest != ""; {
		var c string
		c, rest, _ = strings.Cut(rest, `\`)
		p.lastDir = d
		name, fi, lookErr := p.lookup(c)
		p.lastDir, p.lastList = nil, nil
		if lookErr != nil || fi == nil || !fi.IsDir() {
			return errors.Join(lookErr, d.Close())
		}
		var next hostfs.Directory
		if next, err = d.Enter(name); err == nil {
			err = d.Close()
			d = next
		} else {
			err = errors.Join(err, d.Close())
		}
	}
	if err != nil {
		return err
	}
	p.lastDir = d
	return nil
}

// lookup finds a name in the last directory, first in its exact case.
func (p *parent) lookup(c string) (string, fs.FileInfo, error) {
	for _, name := range []string{c, layerdir.Spell(c)} {
		fi, err := p.lastDir.Stat(name)
		if err == nil {
			return name, fi, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfs.ErrNameTooLong) {
			return "", nil, err
		}
	}
	if p.lastList == nil {
		list, err := p.lastDir.List()
		if err != nil {
			return "", nil, err
		}
		p.lastList = make(map[string]string, len(list))
		for _, e := range list {
			if name, err := p.names.Real(e.Name()); err == nil {
				p.lastList[winfs.Fold(name)] = e.Name()
			}
		}
	}
	name, ok := p.lastList[winfs.Fold(c)]
	if !ok {
		return "", nil, nil
	}
	fi, err := p.lastDir.Stat(name)
	return name, fi, err
}

func (p *parent) leave() error {
	d := p.lastDir
	p.last, p.lastDir, p.lastList = "", nil, nil
	if d == nil {
		return nil
	}
	return d.Close()
}

func (p *parent) close() error {
	err := p.leave()
	if p.root != nil {
		err = errors.Join(err, p.root.Close())
		p.root = nil
	}
	return err
}

// FindBelow looks for a file in the parents from the top down. In the utility VM there is
// nothing to look for: the parent's files are all here.
func (w *writer) FindBelow(target string) (layerdir.ParentFile, error) {
	if w.Cloned && winfs.Under(target, layerdir.UtilityFiles) {
		return layerdir.ParentFile{}, nil
	}
	for _, p := range w.parents {
		found, err := p.find(target, &w.Options)
		if err != nil {
			return layerdir.ParentFile{}, err
		}
		if found.Hidden {
			break
		}
		if found.Dir != nil {
			return found, nil
		}
	}
	return layerdir.ParentFile{}, nil
}
