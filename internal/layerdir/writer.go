package layerdir

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The directories at the root of a layer, and other names there.
const (
	FilesName     = "Files"
	HivesName     = "Hives"
	UtilityName   = "UtilityVM"
	UtilityFiles  = UtilityName + `\` + FilesName
	RecycleName   = "$Recycle.Bin"
	LayoutName    = "layout"
	TombstoneName = "tombstones.txt"
)

// Writer writes a layer as a tree of files: the part that both forms of a directory
// share.
type Writer struct {
	path     string // of the destination
	form     form
	Options  Options
	Room     int             // to be left in host names for a suffix
	Strict   bool            // a directory must have its entry before the entries in it
	Stage    *Staging        // the unpublished directory
	Metadata *MetadataWriter // stores the metadata that the host cannot hold

	Privileges func() error // releases those of the process; nil if none are needed

	Objects Objects // makes files and directories
	Tree    *Tree   // of the entries so far
	Handles handles // open directories on the way to the current entry
	links   []linkEntry
	Source  sourceDirectory
	reps    map[NodeID]NodeID // copy that takes further links of a file that has the most

	in     entryOrder
	Object Object // of the current entry; nil if it has no streams and no metadata
	entry  string // path of the current entry
	count  int64
	above  int64 // directories made for the entries in them

	Cloned bool // the parent's utility VM was taken over, or there is none
	err    error
	closed bool
}

// form has the steps in which the two kinds of directories differ.
type form interface {
	// AddEntry makes the file or directory of an entry and sets Object, unless the entry has
	// no streams and no metadata.
	AddEntry(e *layer.Entry) error
	// Complete does the work after the last entry, and publishes.
	Complete() error
	// FindBelow looks for the target of a hard link in the layers below.
	FindBelow(target string) (ParentFile, error)
	// Lower is the number of layers below.
	Lower() int
	// Release closes the files of the form.
	Release() error
}

// Start prepares an empty layer in stage.
func (w *Writer) Start(path string, f form, o Options, stage *Staging) {
	w.path, w.form, w.Options, w.Stage = path, f, o, stage
	w.Tree = NewTree()
	w.Handles.Root = stage.Root
	w.Metadata = NewMetadataWriter(stage.Root)
	w.Objects = PlainObjects{w.Metadata}
}

// fail remembers the first error, after which nothing but Close works.
func (w *Writer) fail(op, entry string, err error) error {
	if err == nil {
		return nil
	}
	if w.err == nil {
		e := &layer.Error{Op: op, Layer: w.path, Entry: entry, Offset: -1, Err: err}
		if entry != "" && op == opWrite {
			e.Index = w.count
		}
		w.err = e
	}
	return w.err
}

func (w *Writer) usable() error {
	if w.closed {
		return &layer.Error{Op: opWrite, Layer: w.path, Offset: -1, Err: layer.ErrClosed}
	}
	return w.err
}

// Add implements layer.Writer.
func (w *Writer) Add(e *layer.Entry) error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return w.fail(opWrite, w.entry, err)
	}
	w.count++
	w.entry = strings.Clone(e.Path)
	w.in.entry(e)
	return w.fail(opWrite, e.Path, w.form.AddEntry(e))
}

// enter goes to the directory of a path and returns its node and the last
// component.
func (w *Writer) enter(path string) (NodeID, string, error) {
	id, depth := NodeID(0), 0
	for {
		c, rest, more := strings.Cut(path, `\`)
		if !more {
			return id, c, w.Handles.Truncate(depth)
		}
		path = rest
		if depth < w.Handles.Depth() {
			f := &w.Handles.frames[depth]
			if w.Tree.At(f.id).Name == c {
				id, depth = f.id, depth+1
				continue
			}
		}
		next := w.Tree.Find(id, c)
		if depth < w.Handles.Depth() && next != NoNode && w.Handles.frames[depth].id == next {
			id, depth = next, depth+1 // the same in another case
			continue
		}
		if err := w.Handles.Truncate(depth); err != nil {
			return 0, "", err
		}
		next, err := w.implied(id, next, c)
		if err != nil {
			return 0, "", err
		}
		w.Handles.Push(next, w.HostName(next))
		id, depth = next, depth+1
	}
}

// implied returns the directory c below the current one, making it if no entry
// has yet.
func (w *Writer) implied(parent, id NodeID, c string) (NodeID, error) {
	if id != NoNode {
		n := w.Tree.At(id)
		switch {
		case n.Flags&NodeReparse != 0:
			return 0, fmt.Errorf("%w: %q is a reparse point", layer.ErrNotDirectory, w.Tree.Path(id))
		case n.Flags&(NodeFile|NodeLink) != 0:
			return 0, fmt.Errorf("%w: %q", layer.ErrNotDirectory, w.Tree.Path(id))
		case n.Flags&NodeHost != 0:
			return id, nil
		}
	} else {
		id = w.newNode(parent, c)
	}
	if w.Strict {
		return 0, fmt.Errorf("%w: %q has no entry", layer.ErrNotDirectory, w.Tree.Path(id))
	}
	d, err := w.Handles.Dir(w.Handles.Depth())
	if err != nil {
		return 0, err
	}
	if err := w.MakeDirectory(d, id); err != nil {
		return 0, err
	}
	w.Tree.At(id).Flags |= NodeDir | NodeHost
	w.above++
	return id, nil
}

// DirectoriesMade implements layer.DirectoryMaker.
func (w *Writer) DirectoriesMade() int64 { return w.above }

func (w *Writer) newNode(parent NodeID, name string) NodeID {
	if parent == 0 {
		if t := RootTree(name); t != "" {
			name = t
		}
	}
	return w.Tree.Add(parent, strings.Clone(name), 0)
}

// Locate goes to the directory of a path and makes a node for the new entry. It returns
// the directory, too.
func (w *Writer) Locate(path string, kind layer.Kind) (hostfs.Directory, NodeID, error) {
	parent, base, err := w.enter(path)
	if err != nil {
		return nil, 0, err
	}
	d, err := w.Handles.Dir(w.Handles.Depth())
	if err != nil {
		return nil, 0, err
	}
	id, err := w.place(d, parent, base, kind)
	return d, id, err
}

// place makes room for a new entry and returns its node.
func (w *Writer) place(d hostfs.Directory, parent NodeID, base string, kind layer.Kind) (NodeID, error) {
	id := w.Tree.Find(parent, base)
	if id == NoNode {
		return w.newNode(parent, base), nil
	}
	n := w.Tree.At(id)
	if n.Flags&NodeOwn != 0 {
		if n.Name != base && RootTree(base) == "" {
			return 0, fmt.Errorf("%w: %q", layer.ErrCaseConflict, w.Tree.Path(id))
		}
		return 0, layer.ErrDuplicate
	}
	if n.Flags&NodeHost != 0 && (kind != layer.Dir || n.Flags&NodeDir == 0 || n.Flags&NodeReparse != 0) {
		// Something is there that is not an entry of this layer: a directory that was made
		// for the entries in it, or a file of the parent's utility VM, whose content other
		// layers share and which must not be opened for writing.
		if n.Flags&NodeDir != 0 && w.Occupied(id) {
			return 0, fmt.Errorf("%w: it has entries below it", layer.ErrNotDirectory)
		}
		if err := d.RemoveAll(w.HostName(id)); err != nil {
			return 0, err
		}
		w.Forget(id)
	}
	if n.Name != base && parent != 0 {
		// The entry has the last word on how the name is spelled.
		old := w.HostName(id)
		n.Name = strings.Clone(base)
		if n.Flags&NodeHost != 0 {
			if now, err := w.HostNameFor(id); err != nil {
				return 0, err
			} else if err := d.Rename(old, now); err != nil {
				return 0, err
			}
		}
	}
	return id, nil
}

// Occupied reports whether an entry of this layer lies below a directory.
func (w *Writer) Occupied(id NodeID) bool {
	found := false
	w.Tree.Children(id, func(c NodeID) bool {
		f := w.Tree.At(c).Flags
		found = f&NodeOwn != 0 || f&NodeHost != 0 && f&NodeCloned == 0 || w.Occupied(c)
		return !found
	})
	return found
}

// Forget marks a node and all below as not on the host.
func (w *Writer) Forget(id NodeID) {
	w.Tree.At(id).Flags &^= NodeHost | nodeObject | NodeCloned
	w.Tree.Children(id, func(c NodeID) bool {
		w.Forget(c)
		return true
	})
}

// HostName is the name of a node on the host.
func (w *Writer) HostName(id NodeID) string {
	n := w.Tree.At(id)
	if n.Flags&nodeSpelled != 0 {
		return Spell(n.Name)
	}
	return n.Name
}

// HostNameFor chooses the host name of a new node and records a spelling.
func (w *Writer) HostNameFor(id NodeID) (string, error) {
	n := w.Tree.At(id)
	if needsSpelling(n.Name, w.Room) || n.Parent == 0 && RootReserved(n.Name) || w.Room > 0 && HasMetaSuffix(n.Name) {
		n.Flags |= nodeSpelled
		return Spell(n.Name), w.Metadata.Index.name(n.Name)
	}
	n.Flags &^= nodeSpelled
	return n.Name, nil
}

// Make creates the file or directory of a node. If the host treats more names as equal
// than NTFS does and reports that the name exists, Make uses a spelled name.
func (w *Writer) Make(id NodeID, create func(name string) error) error {
	name, err := w.HostNameFor(id)
	if err != nil {
		return err
	}
	err = create(name)
	if n := w.Tree.At(id); errors.Is(err, fs.ErrExist) && n.Flags&nodeSpelled == 0 {
		n.Flags |= nodeSpelled
		if err := w.Metadata.Index.name(n.Name); err != nil {
			return err
		}
		return create(Spell(n.Name))
	}
	return err
}

// MakeDirectory makes the directory of a node in d.
func (w *Writer) MakeDirectory(d hostfs.Directory, id NodeID) error {
	return w.Make(id, d.Mkdir)
}

// CreateFile makes the file of a node in d.
func (w *Writer) CreateFile(d hostfs.Directory, id NodeID, e *layer.Entry) (o Object, err error) {
	err = w.Make(id, func(name string) error {
		o, err = w.Objects.Create(d, name, Normal(e))
		return err
	})
	return o, err
}

// AddStream implements layer.Writer.
func (w *Writer) AddStream(s *layer.Stream) error {
	if err := w.usable(); err != nil {
		return err
	}
	return w.fail(opWrite, w.entry, w.addStream(s))
}

func (w *Writer) addStream(s *layer.Stream) error {
	if err := w.in.finish(); err != nil {
		return err
	}
	if err := w.in.stream(s); err != nil {
		return err
	}
	return w.Object.Stream(s)
}

// Write implements layer.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	if err := w.in.advance(int64(len(p)), false); err != nil {
		return 0, w.fail(opWrite, w.entry, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := w.Object.WriteBytes(p); err != nil {
		return 0, w.fail(opWrite, w.entry, err)
	}
	return len(p), nil
}

// WriteHole implements layer.ExtentWriter.
func (w *Writer) WriteHole(n int64) error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.in.advance(n, true); err != nil {
		return w.fail(opWrite, w.entry, err)
	}
	if n == 0 {
		return nil
	}
	return w.fail(opWrite, w.entry, w.Object.Hole(n))
}

// finish completes the current entry.
func (w *Writer) finish() error {
	if err := w.in.finishEntry(); err != nil {
		return err
	}
	if w.Object == nil {
		return nil
	}
	o := w.Object
	w.Object = nil
	// A host without a sync of everything flushes files while they are open.
	return o.Finish(w.Options.Sync == SyncFiles || hostfs.NativeObjects && w.Options.Sync == SyncLayer)
}

// Commit implements layer.Writer.
func (w *Writer) Commit() error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return w.fail(opWrite, w.entry, err)
	}
	if err := w.fail("commit layer directory", "", w.form.Complete()); err != nil {
		return err
	}
	// The layer is complete and has its name. Handles that do not close well, all
	// opened for reading, change nothing about that.
	w.Close()
	return nil
}

// Publish makes the directory durable and renames it to its name. With always it has an
// index even if the index is empty.
func (w *Writer) Publish(always bool) error {
	if err := w.Metadata.finish(always, w.Options.Sync == SyncFiles); err != nil {
		return err
	}
	if err := hostfs.FirstError(w.Source.close(), w.Handles.Truncate(0)); err != nil {
		return err
	}
	if err := w.makeDurable(); err != nil {
		return err
	}
	return w.Stage.publish(w.Options.Sync != SyncNone)
}

// RunFinish calls the function of WithFinish.
func (w *Writer) RunFinish() error {
	root, err := w.Stage.dir.Root().OpenRoot(".")
	if err != nil {
		return err
	}
	return hostfs.FirstError(w.Options.Finish(root), root.Close())
}

// WalkDirectories calls f for every directory on the host except the root, after
// those in it. d holds the directory.
func (w *Writer) WalkDirectories(f func(d hostfs.Directory, id NodeID) error) error {
	if err := w.Handles.Truncate(0); err != nil {
		return err
	}
	type frame struct{ id, next NodeID }
	stack := []frame{{0, w.Tree.At(0).child}}
	for {
		top := &stack[len(stack)-1]
		if c := top.next; c != NoNode {
			n := w.Tree.At(c)
			top.next = n.sibling
			if n.Flags&NodeDir != 0 && n.Flags&NodeHost != 0 {
				w.Handles.Push(c, w.HostName(c))
				stack = append(stack, frame{c, n.child})
			}
			continue
		}
		if len(stack) == 1 {
			return nil
		}
		if err := w.Handles.Truncate(len(stack) - 2); err != nil {
			return err
		}
		d, err := w.Handles.Dir(len(stack) - 2)
		if err != nil {
			return err
		}
		if err := f(d, top.id); err != nil {
			return fmt.Errorf("%s: %w", w.Tree.Path(top.id), err)
		}
		stack = stack[:len(stack)-1]
	}
}

// makeDurable flushes the layer as far as the options ask for it.
func (w *Writer) makeDurable() error {
	switch w.Options.Sync {
	case SyncNone:
		return nil
	case SyncLayer:
		err := w.Stage.Root.SyncVolume()
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return hostfs.SyncTree(w.Stage.Root, w.Options.Sync == SyncLayer && !hostfs.NativeObjects)
}

// Close implements layer.Writer.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.Object != nil {
		w.Object.Abandon()
		w.Object = nil
	}
	err := errors.Join(w.Metadata.close(), w.Source.close(), w.Handles.Truncate(0), w.form.Release(), w.Stage.abandon())
	if w.Privileges != nil { // a transport directory needs none
		err = errors.Join(err, w.Privileges())
	}
	return err
}

const opWrite = "write layer directory"

// CheckEntry refuses an entry that the reader would refuse.
func CheckEntry(e *layer.Entry) error {
	if err := winfs.ValidatePath(e.Path); err != nil {
		return err
	}
	if e.Path == "" {
		return fmt.Errorf("%w: the root is no entry", layer.ErrInvalidName)
	}
	switch e.Kind {
	case layer.File, layer.Dir:
		if e.Attributes&winfs.AttrDirectory != 0 && e.Kind != layer.Dir {
			return fmt.Errorf("%w: a file with the attribute of a directory", layer.ErrUnsupported)
		}
		if len(e.Reparse) > 0 {
			if err := winfs.CheckReparse(e.Reparse); err != nil {
				return err
			}
		}
	case layer.Link:
		if err := winfs.ValidatePath(e.Target); err != nil {
			return fmt.Errorf("%w: %w", layer.ErrLinkTarget, err)
		}
	case layer.Whiteout, layer.Opaque:
	default:
		return fmt.Errorf("%w: %v", layer.ErrUnsupported, e.Kind)
	}
	return layer.CheckPlace(e)
}

// InUtility reports whether a path is UtilityVM or below it.
func InUtility(p string) bool {
	return len(p) >= len(UtilityName) && winfs.EqualFold(p[:len(UtilityName)], UtilityName) &&
		(len(p) == len(UtilityName) || p[len(UtilityName)] == '\\')
}

// RootTree returns the proper spelling of the name of one of the three trees, or "".
func RootTree(name string) string {
	for _, t := range []string{FilesName, HivesName, UtilityName} {
		if len(name) == len(t) && winfs.EqualFold(name, t) {
			return t
		}
	}
	return ""
}

// RootReserved reports whether a name at the root of a final directory belongs
// to the form and not to the layer.
func RootReserved(name string) bool {
	f := strings.ToLower(name)
	return f == LayoutName || f == TombstoneName || f == "uvmbuildversion" ||
		strings.HasSuffix(f, ".vhdx") || strings.HasSuffix(f, ".bak")
}

// Normal returns the entry with the attribute bits that its kind implies.
func Normal(e *layer.Entry) *layer.Entry {
	a := e.Attributes
	if e.Kind == layer.Dir {
		a |= winfs.AttrDirectory
	}
	if len(e.Reparse) > 0 {
		a |= winfs.AttrReparsePoint
	}
	if a == e.Attributes {
		return e
	}
	c := *e
	c.Attributes = a
	return &c
}

// WriterOnly hides the other methods of a file, so that every write passes through the
// interface.
type WriterOnly struct{ File hostfs.File }

func (w WriterOnly) Write(p []byte) (int, error) { return w.File.Write(p) }
