package wclayer

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Writer writes a final layer directory. It implements layer.Writer and
// layer.ExtentWriter.
//
// Entries may come in any order. A directory without an entry is made without metadata,
// and is not an entry when the layer is read again. Links may come before their targets.
// Names are compared as NTFS compares them.
type Writer struct{ w writer }

var (
	_ layer.Writer         = (*Writer)(nil)
	_ layer.ExtentWriter   = (*Writer)(nil)
	_ layer.DirectoryMaker = (*Writer)(nil)
)

// writer is the part of a Writer that is particular to final directories.
type writer struct {
	layerdir.Writer
	base    bool
	parents []*parent // the immediate parent first, the order of look-ups
	dirs    []layerdir.DirMeta
}

// Create returns a writer of the final directory of a layer at path. The path must not
// exist, and its parent folder must. Without parents the layer is a base layer. The
// parents are final directories, the base first and the immediate parent last. They are
// needed for hard links to their files and for the utility VM. They are only read, but
// must stay while the layer exists, because linked files on one volume share their
// content.
//
// The layer appears at path only when Commit returns nil. A killed process leaves a hidden
// folder next to path, which the next Create for the same path removes.
func Create(path string, parents []string, opts ...Option) (*Writer, error) {
	o := layerdir.NewOptions(opts)
	return create(path, o, parents, nil, func() (*layerdir.Staging, error) { return layerdir.NewStaging(path, &o) })
}

// CreateIn is like [Create] in an open directory, which holds the parents, too. Layer and
// parents are single names in root, and are found even if root is renamed meanwhile. The
// caller closes root, after the writer.
func CreateIn(root *os.Root, name string, parents []string, opts ...Option) (*Writer, error) {
	o := layerdir.NewOptions(opts)
	path := filepath.Join(root.Name(), name)
	return create(path, o, parents, root, func() (*layerdir.Staging, error) { return layerdir.NewStagingIn(root, name, &o) })
}

func create(path string, o layerdir.Options, parents []string, folder *os.Root, open func() (*layerdir.Staging, error)) (*Writer, error) {
	fail := func(err error) (*Writer, error) {
		return nil, &layer.Error{Op: "create layer directory", Layer: path, Offset: -1, Err: err}
	}
	public := &Writer{w: writer{base: len(parents) == 0}}
	w := &public.w
	for _, p := range slices.Backward(parents) {
		w.parents = append(w.parents, &parent{path: p, folder: folder})
	}
	privileges, err := hostfs.HoldPrivileges()
	if err != nil {
		return fail(err)
	}
	stage, err := open()
	if err != nil {
		return fail(errors.Join(err, privileges()))
	}
	w.Start(path, w, o, stage)
	w.Privileges = privileges
	keepNatively(&w.Writer)
	if err := w.begin(); err != nil {
		w.Close()
		return fail(err)
	}
	return public, nil
}

func (w *writer) begin() error {
	store, err := w.Metadata.Folder()
	if err != nil {
		return err
	}
	if hostfs.NativeObjects {
		w.Metadata.Index.Flags |= layerdir.IndexNative
		return nil
	}
	return w.Metadata.Choose(w.Options.Metadata, store)
}

// Lower returns the number of parents.
func (w *writer) Lower() int { return len(w.parents) }

// Release closes the parents.
func (w *writer) Release() error {
	var err error
	for _, p := range w.parents {
		err = errors.Join(err, p.close())
	}
	return err
}

// Add implements layer.Writer.
func (w *Writer) Add(e *layer.Entry) error { return w.w.Add(e) }

// AddStream implements layer.Writer.
func (w *Writer) AddStream(s *layer.Stream) error { return w.w.AddStream(s) }

// Write implements layer.Writer.
func (w *Writer) Write(p []byte) (int, error) { return w.w.Write(p) }

// WriteHole implements layer.ExtentWriter.
func (w *Writer) WriteHole(n int64) error { return w.w.WriteHole(n) }

// Commit implements layer.Writer. It makes the hard links, applies whiteouts to the
// utility VM, processes a base layer (see the package documentation), restores the times
// of directories, makes everything durable and publishes the directory.
func (w *Writer) Commit() error { return w.w.Commit() }

// DirectoriesMade implements layer.DirectoryMaker.
func (w *Writer) DirectoriesMade() int64 { return w.w.DirectoriesMade() }

// Close implements layer.Writer.
func (w *Writer) Close() error { return w.w.Close() }

func (w *writer) AddEntry(e *layer.Entry) error {
	if err := layerdir.CheckEntry(e); err != nil {
		return err
	}
	if w.Tree.Count > math.MaxInt32-winfs.MaxPath {
		return &layer.LimitError{Limit: "Entries", Max: math.MaxInt32}
	}
	if err := w.utility(e.Path); err != nil {
		return err
	}
	switch e.Kind {
	case layer.Whiteout, layer.Opaque:
		return w.addWhiteout(e)
	case layer.Link:
		return w.AddLink(e)
	}
	d, id, err := w.Locate(e.Path, e.Kind)
	if err != nil {
		return err
	}
	n := w.Tree.At(id)
	if e.Kind == layer.File {
		if w.Object, err = w.CreateFile(d, id, e); err != nil {
			return err
		}
		n.Flags = n.Flags&^layerdir.NodeCloned | layerdir.NodeFile | layerdir.NodeOwn | layerdir.NodeHost
	} else {
		if n.Flags&layerdir.NodeHost == 0 {
			if err := w.MakeDirectory(d, id); err != nil {
				return err
			}
		}
		if e.IsReparsePoint() {
			if err := w.clear(d, id); err != nil {
				return err
			}
			n.Flags |= layerdir.NodeReparse
		}
		n.Flags = n.Flags&^layerdir.NodeCloned | layerdir.NodeDir | layerdir.NodeOwn | layerdir.NodeHost
		if err := w.remember(id, e); err != nil {
			return err
		}
		if w.Object, err = w.Objects.Directory(d, w.HostName(id), e); err != nil {
			return err
		}
	}
	if w.Cloned && w.Metadata.Xattr && layerdir.InUtility(e.Path) {
		return w.Metadata.Index.Item(layerdir.ItemOwn, e.Path, "", nil)
	}
	return nil
}

// clear empties a directory that becomes a reparse point.
func (w *writer) clear(d hostfs.Directory, id layerdir.NodeID) error {
	if w.Occupied(id) {
		return fmt.Errorf("%w: a reparse point with entries below it", layer.ErrNotDirectory)
	}
	if w.Tree.At(id).Flags&layerdir.NodeCloned == 0 {
		return nil
	}
	if err := d.RemoveAll(w.HostName(id)); err != nil {
		return err
	}
	w.Forget(id)
	return d.Mkdir(w.HostName(id))
}

// remember keeps the metadata that a directory gets again at the end.
func (w *writer) remember(id layerdir.NodeID, e *layer.Entry) error {
	m := layerdir.DirMeta{Attributes: uint32(layerdir.Normal(e).Attributes)}
	m.Times = [4]int64{int64(e.Times.Creation), int64(e.Times.LastAccess), int64(e.Times.LastWrite), int64(e.Times.Change)}
	if hostfs.NativeObjects {
		m.Reparse = append([]byte(nil), e.Reparse...)
	}
	w.dirs = append(w.dirs, m)
	w.Tree.At(id).Value = int64(len(w.dirs))
	return nil
}

func (w *writer) addWhiteout(e *layer.Entry) error {
	if w.base {
		return fmt.Errorf("%w: a base layer cannot have tombstones", layer.ErrWhiteout)
	}
	id := w.Tree.AddPath(e.Path)
	flag, kind := layerdir.NodeWhiteout, layerdir.ItemWhiteout
	if e.Kind == layer.Opaque {
		flag, kind = layerdir.NodeOpaque, layerdir.ItemOpaque
	}
	n := w.Tree.At(id)
	if n.Flags&flag != 0 {
		return layer.ErrDuplicate
	}
	n.Flags |= flag
	return w.Metadata.Index.Item(kind, e.Path, "", nil)
}

func (w *writer) Complete() error {
	if err := w.removeHidden(); err != nil {
		return err
	}
	if err := w.MakeLinks(); err != nil {
		return err
	}
	if err := w.backupBCD(); err != nil {
		return err
	}
	if w.base {
		w.Metadata.Index.Flags |= layerdir.IndexBase
		if err := w.processBase(); err != nil {
			return err
		}
	}
	if w.Options.Finish != nil {
		if err := w.RunFinish(); err != nil {
			return err
		}
	}
	if err := w.restoreDirectories(); err != nil {
		return err
	}
	if w.Cloned && len(w.parents) > 0 {
		w.Metadata.Index.Flags |= layerdir.IndexCloned
	}
	return w.Publish(true)
}

// restoreDirectories sets the times of every directory again, from the bottom up.
func (w *writer) restoreDirectories() error {
	return w.WalkDirectories(func(d hostfs.Directory, id layerdir.NodeID) error {
		n := w.Tree.At(id)
		if n.Value == 0 || n.Flags&layerdir.NodeDir == 0 {
			return nil
		}
		return w.Objects.Restore(d, w.HostName(id), &w.dirs[n.Value-1])
	})
}
