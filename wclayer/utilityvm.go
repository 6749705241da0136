package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// bootFiles are the files of a utility VM that base processing on Windows rewrites for
// each layer. They are copied where everything else is linked: upstream compared paths
// relative to the layer with names relative to UtilityVM\Files, linked them after all,
// and so changed the parent's boot configuration with the child's (docs/spec/layers.md,
// "Utility VM").
var bootFiles = []string{"BCD", "BCD.LOG", "BCD.LOG1", "BCD.LOG2"}

const bootDirectory = utilityFiles + `\EFI\Microsoft\Boot`

func isBootFile(path string) bool {
	dir, base := winfs.SplitPath(path)
	if !winfs.EqualFold(dir, bootDirectory) {
		return false
	}
	for _, b := range bootFiles {
		if winfs.EqualFold(base, b) {
			return true
		}
	}
	return false
}

// utility sees to it that the first entry for the utility VM of a layer with
// parents finds the machine that it changes: whatever the nearest parent has.
func (w *Writer) utility(path string) error {
	if w.base || w.cloned || !inUtility(path) {
		return nil
	}
	w.cloned = true
	for _, p := range w.parents {
		if err := p.open(&w.o); err != nil {
			return err
		}
		src, err := enterPath(p.root, utilityName, filesName)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("utility VM of parent %s: %w", p.path, err)
		}
		if err := firstError(w.clone(p, src), src.close()); err != nil {
			return fmt.Errorf("utility VM of parent %s: %w", p.path, err)
		}
		return nil
	}
	return nil
}

// enterPath opens a directory that is not directly below d, refusing anything that
// is not a directory on the way.
func enterPath(d directory, way ...string) (directory, error) {
	cur := d
	for _, name := range way {
		fi, err := cur.stat(name)
		if err == nil && !fi.IsDir() {
			err = fmt.Errorf("%w: %s", layer.ErrNotDirectory, name)
		}
		var next directory
		if err == nil {
			next, err = cur.enter(name)
		}
		if cur != d {
			err = errors.Join(err, cur.close())
		}
		if err != nil {
			return nil, err
		}
		cur = next
	}
	return cur, nil
}

// clone takes over the utility VM of a parent: directories are made, files linked.
func (w *Writer) clone(p *parent, src directory) error {
	if err := w.h.truncate(0); err != nil {
		return err
	}
	vm, err := w.cloneDirectory(w.h.root, 0, utilityName)
	if err != nil {
		return err
	}
	w.h.push(vm, utilityName)
	d, err := w.h.dir(1)
	if err != nil {
		return err
	}
	files, err := w.cloneDirectory(d, vm, filesName)
	if err != nil {
		return err
	}
	w.h.push(files, filesName)
	if d, err = w.h.dir(2); err != nil {
		return err
	}
	return w.cloneTree(p, src, d, files, "")
}

// cloneTree copies the tree src into dst. Both are open; where says how deep.
func (w *Writer) cloneTree(p *parent, src, dst directory, parent nodeID, where string) error {
	list, err := src.list()
	if err != nil {
		return err
	}
	for _, e := range list {
		name, err := p.names.real(e.Name())
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		path := winfs.JoinPath(where, name)
		isDir, regular, reparse, err := entryKind(e)
		if err != nil {
			return err
		}
		switch {
		case isDir:
			err = w.cloneBelow(p, src, dst, parent, e, name, path, reparse)
		case reparse:
			id := w.tree.add(parent, strings.Clone(name), nodeFile|nodeHost|nodeCloned)
			err = w.make(id, func(host string) error { return copyNative(src, e.Name(), dst, host, false) })
		case regular:
			id := w.tree.add(parent, strings.Clone(name), nodeFile|nodeHost|nodeCloned)
			var host string
			if host, err = w.hostNameFor(id); err == nil {
				if isBootFile(winfs.JoinPath(utilityFiles, path)) {
					err = copyFile(src, e.Name(), dst, host)
				} else {
					err = linkOrCopy(src, e.Name(), dst, host)
				}
			}
		default:
			err = ErrHostFile
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (w *Writer) cloneBelow(p *parent, src, dst directory, parent nodeID, e fs.DirEntry, name, path string, reparse bool) error {
	id, err := w.cloneDirectory(dst, parent, name)
	if err != nil {
		return err
	}
	if nativeObjects {
		if err := copyNative(src, e.Name(), dst, w.hostName(id), true); err != nil {
			return err
		}
	}
	if reparse {
		w.tree.at(id).flags |= nodeReparse
		return nil
	}
	fi, err := e.Info()
	if err != nil {
		return err
	}
	m := dirMeta{attributes: uint32(winfs.AttrDirectory)}
	if t, err := winfs.FiletimeFromTime(fi.ModTime()); err == nil {
		m.times = [4]int64{2: int64(t)}
		w.dirs = append(w.dirs, m)
		w.tree.at(id).value = int64(len(w.dirs))
	}
	from, err := src.enter(e.Name())
	if err != nil {
		return err
	}
	to, err := dst.enter(w.hostName(id))
	if err != nil {
		return errors.Join(err, from.close())
	}
	return firstError(w.cloneTree(p, from, to, id, path), from.close(), to.close())
}

func (w *Writer) cloneDirectory(d directory, parent nodeID, name string) (nodeID, error) {
	id := w.tree.find(parent, name)
	if id == noNode {
		id = w.tree.add(parent, strings.Clone(name), 0)
	}
	if w.tree.at(id).flags&nodeHost == 0 {
		if err := w.makeDirectory(d, id); err != nil {
			return 0, err
		}
	}
	w.tree.at(id).flags |= nodeDir | nodeHost | nodeCloned
	return id, nil
}

// removeHidden takes away what whiteouts hide of the parent's utility VM. Entries
// of this layer stay, wherever they stood.
func (w *Writer) removeHidden() error {
	vm, ok := w.tree.findPath(utilityFiles)
	if !ok || !w.cloned {
		return nil
	}
	if err := w.h.truncate(0); err != nil {
		return err
	}
	return w.removeHiddenBelow(vm, w.tree.at(vm).flags&nodeOpaque != 0)
}

func (w *Writer) removeHiddenBelow(id nodeID, all bool) error {
	var failed error
	w.tree.children(id, func(c nodeID) bool {
		f := w.tree.at(c).flags
		hidden := all || f&nodeWhiteout != 0
		if f&nodeDir != 0 && f&nodeHost != 0 {
			failed = w.removeHiddenBelow(c, hidden || f&nodeOpaque != 0)
		}
		if failed == nil && hidden && f&nodeCloned != 0 && !w.occupied(c) {
			var d directory
			var name string
			if d, name, failed = w.directoryOf(c); failed == nil {
				failed = d.removeAll(name)
				w.forget(c)
			}
		}
		return failed == nil
	})
	return failed
}

// backupBCD copies the boot configuration that this layer brings to the root of the
// layer, before anything rewrites it: bcd.bak, bcd.log.bak and so on
// (docs/spec/layers.md, "Transport directory").
func (w *Writer) backupBCD() error {
	for _, b := range bootFiles {
		id, ok := w.tree.findPath(winfs.JoinPath(bootDirectory, b))
		if !ok {
			continue
		}
		if f := w.tree.at(id).flags; f&nodeOwn == 0 || f&nodeFile == 0 {
			continue
		}
		d, name, err := w.directoryOf(id)
		if err != nil {
			return err
		}
		if err := copyContent(d, name, w.stage.root, strings.ToLower(b)+".bak"); err != nil {
			return err
		}
	}
	return nil
}
