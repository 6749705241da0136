package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The trees that stand at the root of a layer.
const (
	filesName     = "Files"
	hivesName     = "Hives"
	utilityName   = "UtilityVM"
	utilityFiles  = utilityName + `\` + filesName
	recycleName   = "$Recycle.Bin"
	layoutName    = "layout"
	tombstoneName = "tombstones.txt"
)

// Writer writes a final layer directory. It implements layer.Writer and
// layer.ExtentWriter.
//
// Entries may come in any order: a directory that no entry was given for is made
// without metadata and is no entry when the layer is read again; links may come
// before their targets. Names are compared as NTFS does.
type Writer struct {
	path   string // of the destination
	form   form
	o      options
	base   bool
	room   int  // to be left in host names for a suffix
	strict bool // a directory must have its entry before what is in it
	// The immediate parent is first, the order of look-ups.
	parents []*parent
	stage   *staging
	keep    *keeper

	privileges func() error // gives those of the process back, if any are needed

	objects objects
	tree    *tree
	h       handles
	dirs    []dirMeta
	links   []linkEntry
	source  sourceDirectory
	reps    map[nodeID]nodeID // copy that takes further links of a file that has the most

	in    intake
	obj   object
	entry string // path of the current entry
	count int64
	above int64 // directories made for what is in them

	cloned bool // the parent's utility VM was taken over, or there is none
	err    error
	closed bool
}

// form is what the two directory shapes do in their own way.
type form interface {
	add(e *layer.Entry) error
	complete() error
}

var (
	_ layer.Writer       = (*Writer)(nil)
	_ layer.ExtentWriter = (*Writer)(nil)
)

// Create begins to write the final directory of a layer at path, which must not
// exist; the folder it stands in must. Without parents it is a base layer.
// Parents are final directories, base first, the immediate parent last;
// they are needed for hard links to their files and for the utility VM, are only
// read, and must stay while the layer exists, because on one volume linked files
// share their content.
//
// Nothing stands at path until Commit has returned nil. A killed process leaves a
// hidden folder beside it, which the next Create for the same path removes.
func Create(path string, parents []string, opts ...Option) (*Writer, error) {
	o := newOptions(opts)
	w := &Writer{path: path, o: o, base: len(parents) == 0, tree: newTree()}
	w.form = w
	for _, p := range slices.Backward(parents) {
		w.parents = append(w.parents, &parent{path: p})
	}
	return w.create(func() (*staging, error) { return newStaging(path, &w.o) })
}

// CreateIn is Create in an open directory, in which the parents are, too. All of them
// are names in root, single components, base first, so that a layer and its parents are found
// whatever becomes of the path of root meanwhile. root stays the caller's, who closes it
// after the writer.
func CreateIn(root *os.Root, name string, parents []string, opts ...Option) (*Writer, error) {
	o := newOptions(opts)
	w := &Writer{path: filepath.Join(root.Name(), name), o: o, base: len(parents) == 0, tree: newTree()}
	w.form = w
	for _, p := range slices.Backward(parents) {
		w.parents = append(w.parents, &parent{path: p, folder: root})
	}
	return w.create(func() (*staging, error) { return newStagingIn(root, name, &w.o) })
}

func (w *Writer) create(open func() (*staging, error)) (*Writer, error) {
	fail := func(err error) (*Writer, error) {
		return nil, &layer.Error{Op: "create layer directory", Layer: w.path, Offset: -1, Err: err}
	}
	var err error
	if w.privileges, err = holdPrivileges(); err != nil {
		return fail(err)
	}
	stage, err := open()
	if err != nil {
		return fail(errors.Join(err, w.privileges()))
	}
	w.stage = stage
	w.h.root = stage.root
	w.keep = newKeeper(stage.root)
	w.objects = newObjects(w.keep)
	if err := w.begin(); err != nil {
		w.Close()
		return fail(err)
	}
	return w, nil
}

func (w *Writer) begin() error {
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

const opWrite = "write layer directory"

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
	return w.fail(opWrite, e.Path, w.form.add(e))
}

func (w *Writer) add(e *layer.Entry) error {
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

// checkEntry holds an entry to what the reader will demand.
func checkEntry(e *layer.Entry) error {
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

// inUtility reports whether a path is UtilityVM or below it.
func inUtility(p string) bool {
	return len(p) >= len(utilityName) && winfs.EqualFold(p[:len(utilityName)], utilityName) &&
		(len(p) == len(utilityName) || p[len(utilityName)] == '\\')
}

// rootTree returns the proper spelling of the name of one of the three trees, or "".
func rootTree(name string) string {
	for _, t := range []string{filesName, hivesName, utilityName} {
		if len(name) == len(t) && winfs.EqualFold(name, t) {
			return t
		}
	}
	return ""
}

// enter goes to the directory of a path and returns its node and the last
// component.
func (w *Writer) enter(path string) (nodeID, string, error) {
	id, depth := nodeID(0), 0
	for {
		c, rest, more := strings.Cut(path, `\`)
		if !more {
			return id, c, w.h.truncate(depth)
		}
		path = rest
		if depth < w.h.depth() {
			f := &w.h.frames[depth]
			if w.tree.at(f.id).name == c {
				id, depth = f.id, depth+1
				continue
			}
		}
		next := w.tree.find(id, c)
		if depth < w.h.depth() && next != noNode && w.h.frames[depth].id == next {
			id, depth = next, depth+1 // the same in another case
			continue
		}
		if err := w.h.truncate(depth); err != nil {
			return 0, "", err
		}
		next, err := w.implied(id, next, c)
		if err != nil {
			return 0, "", err
		}
		w.h.push(next, w.hostName(next))
		id, depth = next, depth+1
	}
}

// implied returns the directory c below the current one, making it if no entry
// has yet.
func (w *Writer) implied(parent, id nodeID, c string) (nodeID, error) {
	if id != noNode {
		n := w.tree.at(id)
		switch {
		case n.flags&nodeReparse != 0:
			return 0, fmt.Errorf("%w: %q is a reparse point", layer.ErrNotDirectory, w.tree.path(id))
		case n.flags&(nodeFile|nodeLink) != 0:
			return 0, fmt.Errorf("%w: %q", layer.ErrNotDirectory, w.tree.path(id))
		case n.flags&nodeHost != 0:
			return id, nil
		}
	} else {
		id = w.newNode(parent, c)
	}
	if w.strict {
		return 0, fmt.Errorf("%w: %q has no entry", layer.ErrNotDirectory, w.tree.path(id))
	}
	d, err := w.h.dir(w.h.depth())
	if err != nil {
		return 0, err
	}
	if err := w.makeDirectory(d, id); err != nil {
		return 0, err
	}
	w.tree.at(id).flags |= nodeDir | nodeHost
	w.above++
	return id, nil
}

// DirectoriesMade implements layer.DirectoryMaker.
func (w *Writer) DirectoriesMade() int64 { return w.above }

func (w *Writer) newNode(parent nodeID, name string) nodeID {
	if parent == 0 {
		if t := rootTree(name); t != "" {
			name = t
		}
	}
	return w.tree.add(parent, strings.Clone(name), 0)
}

// locate goes to the directory of a path and makes a node for what is to stand
// there. It returns the directory, too.
func (w *Writer) locate(path string, kind layer.Kind) (directory, nodeID, error) {
	parent, base, err := w.enter(path)
	if err != nil {
		return nil, 0, err
	}
	d, err := w.h.dir(w.h.depth())
	if err != nil {
		return nil, 0, err
	}
	id, err := w.place(d, parent, base, kind)
	return d, id, err
}

// place makes room for a new entry and returns its node.
func (w *Writer) place(d directory, parent nodeID, base string, kind layer.Kind) (nodeID, error) {
	id := w.tree.find(parent, base)
	if id == noNode {
		return w.newNode(parent, base), nil
	}
	n := w.tree.at(id)
	if n.flags&nodeOwn != 0 {
		if n.name != base && rootTree(base) == "" {
			return 0, fmt.Errorf("%w: %q", layer.ErrCaseConflict, w.tree.path(id))
		}
		return 0, layer.ErrDuplicate
	}
	if n.flags&nodeHost != 0 && (kind != layer.Dir || n.flags&nodeDir == 0 || n.flags&nodeReparse != 0) {
		// Something is there that is not an entry of this layer: a directory that
		// only stands above other entries, or a file of the parent's utility VM,
		// whose content other layers share and which must not be opened for writing.
		if n.flags&nodeDir != 0 && w.occupied(id) {
			return 0, fmt.Errorf("%w: it has entries below it", layer.ErrNotDirectory)
		}
		if err := d.removeAll(w.hostName(id)); err != nil {
			return 0, err
		}
		w.forget(id)
	}
	if n.name != base && parent != 0 {
		// The entry has the last word on how the name is spelled.
		old := w.hostName(id)
		n.name = strings.Clone(base)
		if n.flags&nodeHost != 0 {
			if now, err := w.hostNameFor(id); err != nil {
				return 0, err
			} else if err := d.rename(old, now); err != nil {
				return 0, err
			}
		}
	}
	return id, nil
}

// clear empties a directory that becomes a reparse point.
func (w *Writer) clear(d directory, id nodeID) error {
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

// occupied reports whether an entry of this layer lies below a directory.
func (w *Writer) occupied(id nodeID) bool {
	found := false
	w.tree.children(id, func(c nodeID) bool {
		f := w.tree.at(c).flags
		found = f&nodeOwn != 0 || f&nodeHost != 0 && f&nodeCloned == 0 || w.occupied(c)
		return !found
	})
	return found
}

// forget marks a node and all below as not on the host.
func (w *Writer) forget(id nodeID) {
	w.tree.at(id).flags &^= nodeHost | nodeObject | nodeCloned
	w.tree.children(id, func(c nodeID) bool {
		w.forget(c)
		return true
	})
}

// hostName is the name of a node on the host.
func (w *Writer) hostName(id nodeID) string {
	n := w.tree.at(id)
	if n.flags&nodeSpelled != 0 {
		return spell(n.name)
	}
	return n.name
}

// hostNameFor chooses the host name of a new node and records a spelling.
func (w *Writer) hostNameFor(id nodeID) (string, error) {
	n := w.tree.at(id)
	if needsSpelling(n.name, w.room) || n.parent == 0 && rootReserved(n.name) || w.room > 0 && hasMetaSuffix(n.name) {
		n.flags |= nodeSpelled
		return spell(n.name), w.keep.index.name(n.name)
	}
	n.flags &^= nodeSpelled
	return n.name, nil
}

// rootReserved reports whether a name at the root of a final directory belongs
// to the form and not to the layer.
func rootReserved(name string) bool {
	f := strings.ToLower(name)
	return f == layoutName || f == tombstoneName || f == "uvmbuildversion" ||
		strings.HasSuffix(f, ".vhdx") || strings.HasSuffix(f, ".bak")
}

// make creates what stands for a node. A host whose idea of equal names is wider
// than that of NTFS may say that the name is taken; then it gets a spelled one.
func (w *Writer) make(id nodeID, create func(name string) error) error {
	name, err := w.hostNameFor(id)
	if err != nil {
		return err
	}
	err = create(name)
	if n := w.tree.at(id); errors.Is(err, fs.ErrExist) && n.flags&nodeSpelled == 0 {
		n.flags |= nodeSpelled
		if err := w.keep.index.name(n.name); err != nil {
			return err
		}
		return create(spell(n.name))
	}
	return err
}

func (w *Writer) makeDirectory(d directory, id nodeID) error {
	return w.make(id, d.mkdir)
}

func (w *Writer) createFile(d directory, id nodeID, e *layer.Entry) (o object, err error) {
	err = w.make(id, func(name string) error {
		o, err = w.objects.create(d, name, normal(e))
		return err
	})
	return o, err
}

// normal returns the entry with the attribute bits that its kind implies.
func normal(e *layer.Entry) *layer.Entry {
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

// remember keeps what a directory must be given again at the end.
func (w *Writer) remember(id nodeID, e *layer.Entry) error {
	m := dirMeta{attributes: uint32(normal(e).Attributes)}
	m.times = [4]int64{int64(e.Times.Creation), int64(e.Times.LastAccess), int64(e.Times.LastWrite), int64(e.Times.Change)}
	if nativeObjects {
		m.reparse = append([]byte(nil), e.Reparse...)
	}
	w.dirs = append(w.dirs, m)
	w.tree.at(id).value = int64(len(w.dirs))
	return nil
}

func (m *dirMeta) filetimes() winfs.Times {
	return winfs.Times{
		Creation: winfs.Filetime(m.times[0]), LastAccess: winfs.Filetime(m.times[1]),
		LastWrite: winfs.Filetime(m.times[2]), Change: winfs.Filetime(m.times[3]),
	}
}

func (w *Writer) addWhiteout(e *layer.Entry) error {
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
	return w.obj.stream(s)
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
	if err := w.obj.write(p); err != nil {
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
	return w.fail(opWrite, w.entry, w.obj.hole(n))
}

// finish completes the current entry.
func (w *Writer) finish() error {
	if err := w.in.finishEntry(); err != nil {
		return err
	}
	if w.obj == nil {
		return nil
	}
	o := w.obj
	w.obj = nil
	// A host without a sync of everything flushes files while they are open.
	return o.finish(w.o.sync == SyncFiles || nativeObjects && w.o.sync == SyncLayer)
}

// Commit implements layer.Writer: it makes the hard links, takes the utility VM's
// whiteouts away, does what base layer processing does (see the package
// documentation), gives directories their times again, makes everything durable
// and publishes the directory.
func (w *Writer) Commit() error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return w.fail(opWrite, w.entry, err)
	}
	if err := w.fail("commit layer directory", "", w.form.complete()); err != nil {
		return err
	}
	// The layer is complete and has its name. Handles that do not close well, all
	// opened for reading, change nothing about that.
	w.Close()
	return nil
}

func (w *Writer) complete() error {
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

// publish makes the directory durable and gives it its name. always says whether
// it has an index even if there is nothing in it.
func (w *Writer) publish(always bool) error {
	if err := w.keep.finish(always, w.o.sync == SyncFiles); err != nil {
		return err
	}
	if err := firstError(w.source.close(), w.h.truncate(0)); err != nil {
		return err
	}
	if err := w.makeDurable(); err != nil {
		return err
	}
	return w.stage.publish(w.o.sync != SyncNone)
}

func (w *Writer) runFinish() error {
	root, err := w.stage.dir.Root().OpenRoot(".")
	if err != nil {
		return err
	}
	return firstError(w.o.finish(root), root.Close())
}

// restoreDirectories gives every directory its times again, those further down
// first.
func (w *Writer) restoreDirectories() error {
	return w.walkDirectories(func(d directory, id nodeID) error {
		n := w.tree.at(id)
		if n.value == 0 || n.flags&nodeDir == 0 {
			return nil
		}
		return w.objects.restore(d, w.hostName(id), &w.dirs[n.value-1])
	})
}

// walkDirectories calls f for every directory on the host except the root, after
// those in it. d holds the directory.
func (w *Writer) walkDirectories(f func(d directory, id nodeID) error) error {
	if err := w.h.truncate(0); err != nil {
		return err
	}
	type frame struct{ id, next nodeID }
	stack := []frame{{0, w.tree.at(0).child}}
	for {
		top := &stack[len(stack)-1]
		if c := top.next; c != noNode {
			n := w.tree.at(c)
			top.next = n.sibling
			if n.flags&nodeDir != 0 && n.flags&nodeHost != 0 {
				w.h.push(c, w.hostName(c))
				stack = append(stack, frame{c, n.child})
			}
			continue
		}
		if len(stack) == 1 {
			return nil
		}
		if err := w.h.truncate(len(stack) - 2); err != nil {
			return err
		}
		d, err := w.h.dir(len(stack) - 2)
		if err != nil {
			return err
		}
		if err := f(d, top.id); err != nil {
			return fmt.Errorf("%s: %w", w.tree.path(top.id), err)
		}
		stack = stack[:len(stack)-1]
	}
}

// makeDurable writes back what the host still holds in memory.
func (w *Writer) makeDurable() error {
	switch w.o.sync {
	case SyncNone:
		return nil
	case SyncLayer:
		err := w.stage.root.syncVolume()
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return syncTree(w.stage.root, w.o.sync == SyncLayer && !nativeObjects)
}

// Close implements layer.Writer.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.obj != nil {
		w.obj.abandon()
		w.obj = nil
	}
	err := errors.Join(w.keep.close(), w.source.close(), w.h.truncate(0))
	for _, p := range w.parents {
		err = errors.Join(err, p.close())
	}
	err = errors.Join(err, w.stage.abandon())
	if w.privileges != nil { // a transport directory needs none
		err = errors.Join(err, w.privileges())
	}
	return err
}
