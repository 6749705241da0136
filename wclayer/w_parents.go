package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// parent is the final directory of a layer below the one that is being written.
type parent struct {
	path   string
	folder *os.Root  // in which path is a name; nil if it is a path of the host
	root   directory // nil until the parent is needed
	hidden *tree     // its whiteouts
	names  names

	// The directory in which a link target was looked for last, since links come in
	// groups: open if the layer has it, with the host names of what is in it by
	// their upper-cased names, listed when an exact look-up missed.
	last     string
	lastDir  directory
	lastList map[string]string
}

func (p *parent) openRoot() (directory, error) {
	if p.folder == nil {
		return openDirectory(p.path)
	}
	return (&hostDirectory{root: p.folder}).enter(p.path)
}

func (p *parent) open(o *options) error {
	if p.root != nil {
		return nil
	}
	root, err := p.openRoot()
	if err != nil {
		return fmt.Errorf("%w: %w", layer.ErrMissingParent, err)
	}
	store, err := openStore(root)
	if err != nil {
		return errors.Join(err, root.close())
	}
	p.hidden, p.names = newTree(), names{}
	if store != nil {
		x, err := loadIndex(store, o.limits, func(k itemKind) bool { return k == itemWhiteout || k == itemOpaque })
		if err == nil {
			p.hidden, p.names = x.tree, x.names
			err = x.close()
		}
		if err := firstError(err, store.close()); err != nil {
			return errors.Join(fmt.Errorf("parent %s: %w", p.path, err), root.close())
		}
	}
	p.root = root
	return nil
}

// find looks for the file at path.
func (p *parent) find(path string, o *options) (parentFile, error) {
	if err := p.open(o); err != nil {
		return parentFile{}, err
	}
	dir, base := winfs.SplitPath(path)
	if p.last == "" || !winfs.EqualFold(p.last, dir) {
		if err := p.enter(dir); err != nil {
			return parentFile{}, err
		}
	}
	if p.lastDir != nil {
		name, fi, err := p.lookup(base)
		if err != nil {
			return parentFile{}, err
		}
		if fi != nil {
			if !fi.Mode().IsRegular() {
				return parentFile{}, fmt.Errorf("%w: in parent %s it is not a file", layer.ErrLinkTarget, p.path)
			}
			return parentFile{dir: p.lastDir, name: name}, nil
		}
	}
	return parentFile{hidden: p.hides(path)}, nil
}

// hides reports whether a whiteout of this layer covers the path.
func (p *parent) hides(path string) bool {
	id := nodeID(0)
	for path != "" {
		var c string
		c, path, _ = strings.Cut(path, `\`)
		if p.hidden.at(id).flags&nodeOpaque != 0 {
			return true
		}
		if id = p.hidden.find(id, c); id == noNode {
			return false
		}
		if p.hidden.at(id).flags&nodeWhiteout != 0 {
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
	d, err := p.root.enter(".")
	for rest := dir; err == nil && rest != ""; {
		var c string
		c, rest, _ = strings.Cut(rest, `\`)
		p.lastDir = d
		name, fi, lookErr := p.lookup(c)
		p.lastDir, p.lastList = nil, nil
		if lookErr != nil || fi == nil || !fi.IsDir() {
			return errors.Join(lookErr, d.close())
		}
		var next directory
		if next, err = d.enter(name); err == nil {
			err = d.close()
			d = next
		} else {
			err = errors.Join(err, d.close())
		}
	}
	if err != nil {
		return err
	}
	p.lastDir = d
	return nil
}

// lookup finds a name in the last directory, in the given case first.
func (p *parent) lookup(c string) (string, fs.FileInfo, error) {
	for _, name := range []string{c, spell(c)} {
		fi, err := p.lastDir.stat(name)
		if err == nil {
			return name, fi, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNameTooLong) {
			return "", nil, err
		}
	}
	if p.lastList == nil {
		list, err := p.lastDir.list()
		if err != nil {
			return "", nil, err
		}
		p.lastList = make(map[string]string, len(list))
		for _, e := range list {
			if name, err := p.names.real(e.Name()); err == nil {
				p.lastList[winfs.Fold(name)] = e.Name()
			}
		}
	}
	name, ok := p.lastList[winfs.Fold(c)]
	if !ok {
		return "", nil, nil
	}
	fi, err := p.lastDir.stat(name)
	return name, fi, err
}

func (p *parent) leave() error {
	d := p.lastDir
	p.last, p.lastDir, p.lastList = "", nil, nil
	if d == nil {
		return nil
	}
	return d.close()
}

func (p *parent) close() error {
	err := p.leave()
	if p.root != nil {
		err = errors.Join(err, p.root.close())
		p.root = nil
	}
	return err
}
