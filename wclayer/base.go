package wclayer

import (
	"fmt"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
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
	hiveDirectory = layerdir.FilesName + `\Windows\System32\config`
	// layoutText makes start-up code read the hives from the root file system.
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

// processBase does the part of ProcessBaseImage that needs no Windows: the hives and the
// layout file. The machine that runs the layer makes the VHDs.
func (w *writer) processBase() error {
	hives, err := w.hivesDirectory()
	if err != nil {
		return err
	}
	for _, h := range baseHives {
		if old := w.Tree.Find(hives, h.base); old != layerdir.NoNode && w.Tree.At(old).Flags&layerdir.NodeHost != 0 {
			d, name, err := w.DirectoryOf(old)
			if err == nil {
				err = d.RemoveAll(name)
			}
			if err != nil {
				return err
			}
			if w.Tree.At(old).Flags&layerdir.NodeOwn != 0 && w.Tree.At(old).Flags&layerdir.NodeLink == 0 {
				w.Metadata.Index.Entries--
			}
			w.Forget(old)
		}
		id, ok := w.Tree.FindPath(winfs.JoinPath(hiveDirectory, h.source))
		if !ok || w.Tree.At(id).Flags&layerdir.NodeHost == 0 {
			continue // Check says so; a layer made for tests has none
		}
		if w.Tree.At(id).Flags&layerdir.NodeDir != 0 {
			return fmt.Errorf("%w: hive %s is a directory", layer.ErrCorrupt, h.source)
		}
		from, err := w.Source.Open(&w.Writer, w.Tree.At(id).Parent)
		if err != nil {
			return err
		}
		to, err := w.GoTo(hives)
		if err != nil {
			return err
		}
		if err := hostfs.LinkOrCopy(from, w.HostName(id), to, h.base); err != nil {
			return err
		}
	}
	return w.writeRoot(layerdir.LayoutName, []byte(layoutText))
}

// hivesDirectory returns the node of Hives, making the directory if there is none.
func (w *writer) hivesDirectory() (layerdir.NodeID, error) {
	id := w.Tree.Find(0, layerdir.HivesName)
	if id == layerdir.NoNode {
		id = w.Tree.Add(0, layerdir.HivesName, 0)
	}
	if w.Tree.At(id).Flags&layerdir.NodeHost == 0 {
		if err := w.MakeDirectory(w.Handles.Root, id); err != nil {
			return 0, err
		}
		w.Tree.At(id).Flags |= layerdir.NodeDir | layerdir.NodeHost
	}
	return id, nil
}

// writeRoot makes a file at the root of the layer.
func (w *writer) writeRoot(name string, content []byte) error {
	f, err := w.Handles.Root.Create(name, layerdir.OpenMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return hostfs.FirstError(err, f.Close())
}
