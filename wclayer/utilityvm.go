package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/winfs"
)

// bootFiles are the files of a utility VM that base processing on Windows rewrites for
// each layer. They are copied where everything else is linked: upstream compared paths
// relative to the layer with names relative to UtilityVM\Files, linked them after all,
// and so changed the parent's boot configuration with the child's (docs/spec/layers.md,
// "Utility VM").
var bootFiles = []string{"BCD", "BCD.LOG", "BCD.LOG1", "BCD.LOG2"}

const bootDirectory = layerdir.UtilityFiles + `\EFI\Microsoft\Boot`

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

// utility clones the utility VM of the nearest parent that has one before the first entry
// in the utility VM of this layer.
func (w *writer) utility(path string) error {
	if w.base || w.Cloned || !layerdir.InUtility(path) {
		return nil
	}
	w.Cloned = true
	for _, p := range w.parents {
		if err := p.open(&w.Options); err != nil {
			return err
		}
		src, err := hostfs.EnterPath(p.root, layerdir.UtilityName, layerdir.FilesName)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("utility VM of parent %s: %w", p.path, err)
		}
		if err := hostfs.FirstError(w.clone(p, src), src.Close()); err != nil {
			return fmt.Errorf("utility VM of parent %s: %w", p.path, err)
		}
		return nil
	}
	return nil
}

// clone takes over the utility VM of a parent: directories are made, files linked.
func (w *writer) clone(p *parent, src hostfs.Directory) error {
	if err := w.Handles.Truncate(0); err != nil {
		return err
	}
	vm, err := w.cloneDirectory(w.Handles.Root, 0, layerdir.UtilityName)
	if err != nil {
		return err
	}
	w.Handles.Push(vm, layerdir.UtilityName)
	d, err := w.Handles.Dir(1)
	if err != nil {
		return err
	}
	files, err := w.cloneDirectory(d, vm, layerdir.FilesName)
	if err != nil {
		return err
	}
	w.Handles.Push(files, layerdir.FilesName)
	if d, err = w.Handles.Dir(2); err != nil {
		return err
	}
	return w.cloneTree(p, src, d, files, "")
}

// cloneTree copies the tree src into dst. Both are open; where says how deep.
func (w *writer) cloneTree(p *parent, src, dst hostfs.Directory, parent layerdir.NodeID, where string) error {
	list, err := src.List()
	if err != nil {
		return err
	}
	for _, e := range list {
		name, err := p.names.Real(e.Name())
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		path := winfs.JoinPath(where, name)
		isDir, regular, reparse, err := hostfs.EntryKind(e)
		if err != nil {
			return err
		}
		switch {
		case isDir:
			err = w.cloneBelow(p, src, dst, parent, e, name, path, reparse)
		case reparse:
			id := w.Tree.Add(parent, strings.Clone(name), layerdir.NodeFile|layerdir.NodeHost|layerdir.NodeCloned)
			err = w.Make(id, func(host string) error { return hostfs.CopyNative(src, e.Name(), dst, host, false) })
		case regular:
			id := w.Tree.Add(parent, strings.Clone(name), layerdir.NodeFile|layerdir.NodeHost|layerdir.NodeCloned)
			var host string
			if host, err = w.HostNameFor(id); err == nil {
				if isBootFile(winfs.JoinPath(layerdir.UtilityFiles, path)) {
					err = hostfs.CopyFile(src, e.Name(), dst, host)
				} else {
					err = hostfs.LinkOrCopy(src, e.Name(), dst, host)
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

func (w *writer) cloneBelow(p *parent, src, dst hostfs.Directory, parent layerdir.NodeID, e fs.DirEntry, name, path string, reparse bool) error {
	id, err := w.cloneDirectory(dst, parent, name)
	if err != nil {
		return err
	}
	if hostfs.NativeObjects {
		if err := hostfs.CopyNative(src, e.Name(), dst, w.HostName(id), true); err != nil {
			return err
		}
	}
	if reparse {
		w.Tree.At(id).Flags |= layerdir.NodeReparse
		return nil
	}
	fi, err := e.Info()
	if err != nil {
		return err
	}
	m := layerdir.DirMeta{Attributes: uint32(winfs.AttrDirectory)}
	if t, err := winfs.FiletimeFromTime(fi.ModTime()); err == nil {
		m.Times = [4]int64{2: int64(t)}
		w.dirs = append(w.dirs, m)
		w.Tree.At(id).Value = int64(len(w.dirs))
	}
	from, err := src.Enter(e.Name())
	if err != nil {
		return err
	}
	to, err := dst.Enter(w.HostName(id))
	if err != nil {
		return errors.Join(err, from.Close())
	}
	return hostfs.FirstError(w.cloneTree(p, from, to, id, path), from.Close(), to.Close())
}

func (w *writer) cloneDirectory(d hostfs.Directory, parent layerdir.NodeID, name string) (layerdir.NodeID, error) {
	id := w.Tree.Find(parent, name)
	if id == layerdir.NoNode {
		id = w.Tree.Add(parent, strings.Clone(name), 0)
	}
	if w.Tree.At(id).Flags&layerdir.NodeHost == 0 {
		if err := w.MakeDirectory(d, id); err != nil {
			return 0, err
		}
	}
	w.Tree.At(id).Flags |= layerdir.NodeDir | layerdir.NodeHost | layerdir.NodeCloned
	return id, nil
}

// removeHidden removes the files of the parent's utility VM that whiteouts hide. Entries
// of this layer stay.
func (w *writer) removeHidden() error {
	vm, ok := w.Tree.FindPath(layerdir.UtilityFiles)
	if !ok || !w.Cloned {
		return nil
	}
	if err := w.Handles.Truncate(0); err != nil {
		return err
	}
	return w.removeHiddenBelow(vm, w.Tree.At(vm).Flags&layerdir.NodeOpaque != 0)
}

func (w *writer) removeHiddenBelow(id layerdir.NodeID, all bool) error {
	var failed error
	w.Tree.Children(id, func(c layerdir.NodeID) bool {
		f := w.Tree.At(c).Flags
		hidden := all || f&layerdir.NodeWhiteout != 0
		if f&layerdir.NodeDir != 0 && f&layerdir.NodeHost != 0 {
			failed = w.removeHiddenBelow(c, hidden || f&layerdir.NodeOpaque != 0)
		}
		if failed == nil && hidden && f&layerdir.NodeCloned != 0 && !w.Occupied(c) {
			var d hostfs.Directory
			var name string
			if d, name, failed = w.DirectoryOf(c); failed == nil {
				failed = d.RemoveAll(name)
				w.Forget(c)
			}
		}
		return failed == nil
	})
	return failed
}

// backupBCD copies the boot configuration that this layer brings to the root of the
// layer, before anything rewrites it: bcd.bak, bcd.log.bak and so on
// (docs/spec/layers.md, "Transport directory").
func (w *writer) backupBCD() error {
	for _, b := range bootFiles {
		id, ok := w.Tree.FindPath(winfs.JoinPath(bootDirectory, b))
		if !ok {
			continue
		}
		if f := w.Tree.At(id).Flags; f&layerdir.NodeOwn == 0 || f&layerdir.NodeFile == 0 {
			continue
		}
		d, name, err := w.DirectoryOf(id)
		if err != nil {
			return err
		}
		if err := hostfs.CopyContent(d, name, w.Stage.Root, strings.ToLower(b)+".bak"); err != nil {
			return err
		}
	}
	return nil
}
