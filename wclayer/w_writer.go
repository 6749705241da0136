package wclayer

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Writer writes a final layer directory. It implements layer.Writer and
// layer.ExtentWriter.
//
// Entries may come in any order: a directory that no entry was given for is made
// without metadata and is no entry when the layer is read again; links may come
// before their targets. Names are compared as NTFS does.
type Writer struct{ w writer }

var (
	_ layer.Writer         = (*Writer)(nil)
	_ layer.ExtentWriter   = (*Writer)(nil)
	_ layer.DirectoryMaker = (*Writer)(nil)
)

// writer is the part of a Writer that is particular to final directories.
type writer struct {
	treeWriter
	base    bool
	parents []*parent
	dirs    []dirMeta
}

// Create begins to write the final directory of a layer at path, which must not
// exist; the folder it stands in must. Without parents it is a base layer.
// Parents are final directories, the immediate parent first and the base last;
// they are needed for hard links to their files and for the utility VM, are only
// read, and must stay while the layer exists, because on one volume linked files
// share their content.
//
// Nothing stands at path until Commit has returned nil. A killed process leaves a
// hidden folder beside it, which the next Create for the same path removes.
func Create(path string, parents []string, opts ...Option) (*Writer, error) {
	o := newOptions(opts)
	return createFinal(path, o, parents, nil, func() (*staging, error) { return newStaging(path, &o) })
}

// CreateIn is Create in an open directory, in which the parents are, too. All of them
// are names in root, single components, so that a layer and its parents are found
// whatever becomes of the path of root meanwhile. root stays the caller's, who closes it
// after the writer.
func CreateIn(root *os.Root, name string, parents []string, opts ...Option) (*Writer, error) {
	o := newOptions(opts)
	path := filepath.Join(root.Name(), name)
	return createFinal(path, o, parents, root, func() (*staging, error) { return newStagingIn(root, name, &o) })
}

func createFinal(path string, o options, parents []string, folder *os.Root, open func() (*staging, error)) (*Writer, error) {
	fail := func(err error) (*Writer, error) {
		return nil, &layer.Error{Op: "create layer directory", Layer: path, Offset: -1, Err: err}
	}
	public := &Writer{w: writer{base: len(parents) == 0}}
	w := &public.w
	for _, p := range parents {
		w.parents = append(w.parents, &parent{path: p, folder: folder})
	}
	privileges, err := holdPrivileges()
	if err != nil {
		return fail(err)
	}
	stage, err := open()
	if err != nil {
		return fail(errors.Join(err, privileges()))
	}
	w.start(path, w, o, stage)
	w.privileges = privileges
	w.objects = newObjects(w.keep)
	if err := w.begin(); err != nil {
		w.Close()
		return fail(err)
	}
	return public, nil
}

func (w *writer) begin() error {
	store, err := w.keep.folder()
	if err != nil {
		return err
	}
	if nativeObjects {
		w.keep.index.flags |= indexNative
		return nil
	}
	return w.keep.choose(w.o.metadata, store)
}

// lower returns the number of parents.
func (w *writer) lower() int { return len(w.parents) }

// release closes the parents.
func (w *writer) release() error {
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

// Commit implements layer.Writer: it makes the hard links, takes the utility VM's
// whiteouts away, does what base layer processing does (see the package
// documentation), gives directories their times again, makes everything durable
// and publishes the directory.
func (w *Writer) Commit() error { return w.w.Commit() }

// DirectoriesMade implements layer.DirectoryMaker.
func (w *Writer) DirectoriesMade() int64 { return w.w.DirectoriesMade() }

// Close implements layer.Writer.
func (w *Writer) Close() error { return w.w.Close() }

func (w *writer) addEntry(e *layer.Entry) error {
	if err := checkEntry(e); err != nil {
		return err
	}
	if w.tree.count > math.MaxInt32-winfs.MaxPath {
		return &layer.LimitError{Limit: "Entries", Max: math.MaxInt32}
	}
	if err := w.utility(e.Path); err != nil {
		return err
	}
	switch e.Kind {
	case layer.Whiteout, layer.Opaque:
		return w.addWhiteout(e)
	case layer.Link:
		return w.addLink(e)
	}
	d, id, err := w.locate(e.Path, e.Kind)
	if err != nil {
		return err
	}
	n := w.tree.at(id)
	if e.Kind == layer.File {
		if w.obj, err = w.createFile(d, id, e); err != nil {
			return err
		}
		n.flags = n.flags&^nodeCloned | nodeFile | nodeOwn | nodeHost
	} else {
		if n.flags&nodeHost == 0 {
			if err := w.makeDirectory(d, id); err != nil {
				return err
			}
		}
		if e.IsReparsePoint() {
			if err := w.clear(d, id); err != nil {
				return err
			}
			n.flags |= nodeReparse
		}
		n.flags = n.flags&^nodeCloned | nodeDir | nodeOwn | nodeHost
		if err := w.remember(id, e); err != nil {
			return err
		}
		if w.obj, err = w.objects.directory(d, w.hostName(id), e); err != nil {
			return err
		}
	}
	if w.cloned && w.keep.xattr && inUtility(e.Path) {
		return w.keep.index.item(itemOwn, e.Path, "", nil)
	}
	return nil
}

// clear empties a directory that becomes a reparse point.
func (w *writer) clear(d directory, id nodeID) error {
	if w.occupied(id) {
		return fmt.Errorf("%w: a reparse point with entries below it", layer.ErrNotDirectory)
	}
	if w.tree.at(id).flags&nodeCloned == 0 {
		return nil
	}
	if err := d.removeAll(w.hostName(id)); err != nil {
		return err
	}
	w.forget(id)
	return d.mkdir(w.hostName(id))
}

// remember keeps what a directory must be given again at the end.
func (w *writer) remember(id nodeID, e *layer.Entry) error {
	m := dirMeta{attributes: uint32(normal(e).Attributes)}
	m.times = [4]int64{int64(e.Times.Creation), int64(e.Times.LastAccess), int64(e.Times.LastWrite), int64(e.Times.Change)}
	if nativeObjects {
		m.reparse = append([]byte(nil), e.Reparse...)
	}
	w.dirs = append(w.dirs, m)
	w.tree.at(id).value = int64(len(w.dirs))
	return nil
}

func (w *writer) addWhiteout(e *layer.Entry) error {
	if w.base {
		return fmt.Errorf("%w: a base layer cannot have tombstones", layer.ErrWhiteout)
	}
	id := w.tree.addPath(e.Path)
	flag, kind := nodeWhiteout, itemWhiteout
	if e.Kind == layer.Opaque {
		flag, kind = nodeOpaque, itemOpaque
	}
	n := w.tree.at(id)
	if n.flags&flag != 0 {
		return layer.ErrDuplicate
	}
	n.flags |= flag
	return w.keep.index.item(kind, e.Path, "", nil)
}

func (w *writer) complete() error {
	if err := w.removeHidden(); err != nil {
		return err
	}
	if err := w.makeLinks(); err != nil {
		return err
	}
	if err := w.backupBCD(); err != nil {
		return err
	}
	if w.base {
		w.keep.index.flags |= indexBase
		if err := w.processBase(); err != nil {
			return err
		}
	}
	if w.o.finish != nil {
		if err := w.runFinish(); err != nil {
			return err
		}
	}
	if err := w.restoreDirectories(); err != nil {
		return err
	}
	if w.cloned && len(w.parents) > 0 {
		w.keep.index.flags |= indexCloned
	}
	return w.publish(true)
}

// restoreDirectories gives every directory its times again, those further down
// first.
func (w *writer) restoreDirectories() error {
	return w.walkDirectories(func(d directory, id nodeID) error {
		n := w.tree.at(id)
		if n.value == 0 || n.flags&nodeDir == 0 {
			return nil
		}
		return w.objects.restore(d, w.hostName(id), &w.dirs[n.value-1])
	})
}
