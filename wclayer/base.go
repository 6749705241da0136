package wclayer

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// baseHive is one of the five registry hives of a base layer: where the layer has it
// and under which name the system looks for it (docs/spec/layers.md, "Hives of a
// layer").
type baseHive struct{ source, base string }

var baseHives = []baseHive{
	{"SYSTEM", "SYSTEM_BASE"},
	{"SOFTWARE", "SOFTWARE_BASE"},
	{"SAM", "SAM_BASE"},
	{"SECURITY", "SECURITY_BASE"},
	{"DEFAULT", "DEFAULTUSER_BASE"},
}

const (
	hiveDirectory = filesName + `\Windows\System32\config`
	// layoutText tells start-up code that hives are part of the root file system.
	layoutText = "vhd-with-hives\n"
)

// isBaseHive reports whether a name in Hives is one that base processing makes.
func isBaseHive(name string) bool {
	for _, h := range baseHives {
		if winfs.EqualFold(name, h.base) {
			return true
		}
	}
	return false
}

// processBase does what ProcessBaseImage does and what can be done off Windows:
// the hives and the layout file. The VHDs are for the machine that runs the layer.
func (w *Writer) processBase() error {
	hives, err := w.hivesDirectory()
	if err != nil {
		return err
	}
	for _, h := range baseHives {
		if old := w.tree.find(hives, h.base); old != noNode && w.tree.at(old).flags&nodeHost != 0 {
			d, name, err := w.directoryOf(old)
			if err == nil {
				err = d.removeAll(name)
			}
			if err != nil {
				return err
			}
			if w.tree.at(old).flags&nodeOwn != 0 && w.tree.at(old).flags&nodeLink == 0 {
				w.keep.index.entries--
			}
			w.forget(old)
		}
		id, ok := w.tree.findPath(winfs.JoinPath(hiveDirectory, h.source))
		if !ok || w.tree.at(id).flags&nodeHost == 0 {
			continue // Check says so; a layer made for tests has none
		}
		if w.tree.at(id).flags&nodeDir != 0 {
			return fmt.Errorf("%w: hive %s is a directory", layer.ErrCorrupt, h.source)
		}
		from, err := w.source.open(w, w.tree.at(id).parent)
		if err != nil {
			return err
		}
		to, err := w.goTo(hives)
		if err != nil {
			return err
		}
		if err := linkOrCopy(from, w.hostName(id), to, h.base); err != nil {
			return err
		}
	}
	return w.writeRoot(layoutName, []byte(layoutText))
}

// hivesDirectory returns the node of Hives, making the directory if there is none.
func (w *Writer) hivesDirectory() (nodeID, error) {
	id := w.tree.find(0, hivesName)
	if id == noNode {
		id = w.tree.add(0, hivesName, 0)
	}
	if w.tree.at(id).flags&nodeHost == 0 {
		if err := w.makeDirectory(w.h.root, id); err != nil {
			return 0, err
		}
		w.tree.at(id).flags |= nodeDir | nodeHost
	}
	return id, nil
}

// writeRoot makes a file at the root of the layer.
func (w *Writer) writeRoot(name string, content []byte) error {
	f, err := w.h.root.create(name, openMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return firstError(err, f.close())
}

// copyContent copies the bytes of a file and nothing else.
func copyContent(from directory, oldname string, to directory, newname string) error {
	src, err := from.open(oldname)
	if err != nil {
		return err
	}
	defer src.close()
	fi, err := src.stat()
	if err != nil {
		return err
	}
	dst, err := to.create(newname, fi.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	return firstError(copyBytes(dst, src), dst.close())
}

// syncTree flushes every directory below d, and every file if files is set.
func syncTree(d directory, files bool) error {
	list, err := d.list()
	if err != nil {
		return err
	}
	for _, e := range list {
		switch {
		case e.IsDir():
			sub, err := d.enter(e.Name())
			if err != nil {
				return err
			}
			if err := firstError(syncTree(sub, files), sub.close()); err != nil {
				return err
			}
		case files && e.Type().IsRegular():
			f, err := d.open(e.Name())
			if err != nil {
				return err
			}
			if err := firstError(f.sync(), f.close()); err != nil {
				return err
			}
		}
	}
	err = d.sync()
	if errors.Is(err, fs.ErrPermission) {
		return nil // a host that lets nobody flush a directory
	}
	return err
}
