package wclayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// walker is what the two readers have in common: the way through the tree, the
// metadata kept beside it, and the streams of the current entry.
type walker struct {
	op   string
	path string
	o    options
	root directory
	h    handles

	privileges func() error // gives those of the process back; nil while it is opened

	frames []frame
	queue  []func(e *layer.Entry) error // entries to return before going on

	index *index // nil in a directory that this package has not made
	blobs blobReader
	inode map[[2]uint64]string // first path of files with several names, without an index
	later map[nodeID][]nodeID  // links that wait for their target
	early map[nodeID][]nodeID  // links that come before what this layer has at their target

	entry layer.Entry
	src   source
	count int64
	err   error
}

// frame is a directory on the way.
type frame struct {
	path  string
	node  nodeID
	known bool // node is meaningful
	items []item
	next  int
}

// item is one thing in a directory.
type item struct {
	name, host string
	dir        bool
	regular    bool
	reparse    bool // the host itself has reparse data there
	meta       bool // a transport directory has a metadata file beside it
}

// openStore loads the metadata that this package has kept in the directory.
func (w *walker) openStore() error {
	store, err := openStore(w.root)
	if err != nil || store == nil {
		return err
	}
	w.index, err = loadIndex(store, w.o.limits, nil)
	if err == nil {
		w.blobs.limit = w.o.limits.MetadataLen
		w.blobs.f, err = store.open(dataName)
		if errors.Is(err, fs.ErrNotExist) {
			w.blobs.f, err = nil, nil
		}
	}
	if err == nil && w.blobs.f != nil {
		var fi fs.FileInfo
		if fi, err = w.blobs.f.stat(); err == nil {
			w.blobs.size = fi.Size()
		}
	}
	if err = firstError(err, store.close()); err != nil {
		return w.giveUp(err)
	}
	return nil
}

// giveUp closes what was opened besides the root.
func (w *walker) giveUp(err error) error {
	errs := []error{err, w.index.close()}
	if w.blobs.f != nil {
		errs = append(errs, w.blobs.f.close())
		w.blobs.f = nil
	}
	return errors.Join(errs...)
}

func (w *walker) names() names {
	if w.index == nil {
		return nil
	}
	return w.index.names
}

// list returns what is in a directory, sorted by name.
func (w *walker) list(d directory, n names) ([]item, error) {
	list, err := d.list()
	if err != nil {
		return nil, err
	}
	return w.sorted(list, n)
}

// sorted turns a list of the host, which is sorted, into one of the layer.
func (w *walker) sorted(list []fs.DirEntry, n names) ([]item, error) {
	items := make([]item, 0, len(list))
	spelled := false
	for _, e := range list {
		if e.Name() == storeName && len(w.frames) == 0 {
			continue
		}
		name, err := n.real(e.Name())
		if err != nil {
			return nil, fmt.Errorf("%q: %w", e.Name(), err)
		}
		spelled = spelled || name != e.Name()
		it := item{name: name, host: e.Name()}
		if it.dir, it.regular, it.reparse, err = entryKind(e); err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	if spelled {
		slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	}
	return items, nil
}

// fail makes every later call return the same.
func (w *walker) fail(err error) error {
	if err != io.EOF {
		e := &layer.Error{Op: w.op, Layer: w.path, Entry: w.entry.Path, Offset: -1, Err: err}
		if e.Entry != "" {
			e.Index = w.count + 1
		}
		err = e
	}
	w.err = err
	return err
}

// tolerated leaves an entry out of which a check was told.
func (w *walker) tolerated(err error) error {
	if w.o.tolerate == nil || errors.Is(err, layer.ErrLimit) || !w.o.tolerate(err) {
		return err
	}
	return errors.Join(w.done(), w.h.truncate(max(len(w.frames)-1, 0)))
}

func (w *walker) limited(err error) error {
	if err == nil && w.count >= w.o.limits.Entries {
		return &layer.LimitError{Limit: "Entries", Max: w.o.limits.Entries}
	}
	return err
}

// done closes what the current entry had open.
func (w *walker) done() error {
	if w.src == nil {
		return nil
	}
	s := w.src
	w.src = nil
	return s.close()
}

// node returns the place of a child in the index.
func (w *walker) node(f *frame, name string) (nodeID, bool) {
	if w.index == nil || !f.known {
		return noNode, false
	}
	id := w.index.tree.find(f.node, name)
	return id, id != noNode
}

// sameFile returns the path at which a file was returned before.
func (w *walker) sameFile(f file) (string, error) {
	fi, err := f.stat()
	if err != nil {
		return "", err
	}
	dev, ino, links := fileIdentity(fi)
	if links < 2 {
		return "", nil
	}
	key := [2]uint64{dev, ino}
	if first := w.inode[key]; first != "" {
		return first, nil
	}
	if w.inode == nil {
		w.inode = make(map[[2]uint64]string)
	}
	w.inode[key] = w.entry.Path
	return "", nil
}

func (w *walker) record(k keptRecord, id nodeID, known bool) (record, bool, error) {
	if w.index == nil {
		return record{}, false, nil
	}
	if w.index.flags&indexXattr == 0 {
		if !known || w.index.tree.at(id).value == 0 {
			return record{}, false, nil
		}
		_, rec, err := w.index.item(id)
		return rec, err == nil, err
	}
	b, err := k.record()
	if err != nil || b == nil {
		return record{}, false, err
	}
	rec, err := parseRecord(b)
	return rec, err == nil, err
}

// storedStreams adds what the record says about streams.
func (w *walker) storedStreams(rec *record, c *content) error {
	if rec.flags&recordExtents != 0 {
		if len(c.streams) == 0 {
			return fmt.Errorf("%w: extents of a directory", ErrMetadata)
		}
		b, err := w.blobs.blob(rec.refs[refExtents])
		if err != nil {
			return err
		}
		d := decoder{b: b}
		s := &c.streams[0]
		s.sparse = true
		s.segments = d.extents(s.size).segments(0, false)
		if err := d.finish(); err != nil {
			return err
		}
	}
	if rec.flags&recordStreams == 0 {
		return nil
	}
	b, err := w.blobs.blob(rec.refs[refStreams])
	if err != nil {
		return err
	}
	list, err := parseStreams(b, w.o.limits.Streams)
	if err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		if err := winfs.ValidateStream(s.name); err != nil {
			return fmt.Errorf("%w: %w", ErrMetadata, err)
		}
		st := storedStream{name: s.name, size: s.size, sparse: s.sparse, src: w.blobs.f}
		if s.data.length > 0 {
			if err := w.blobs.inside(s.data); err != nil {
				return err
			}
			st.checked, st.crc = true, s.data.crc
			if s.sparse {
				st.segments = s.extents.segments(s.data.offset, true)
			} else {
				st.segments = whole(s.size, s.data.offset)
			}
		}
		c.streams = append(c.streams, st)
	}
	return nil
}

// hostTimes are the times of a file without a record. Only the modification time
// of the host means anything: the others tell when the file was copied and when
// it was last read, perhaps by this reader.
func hostTimes(fi fs.FileInfo) winfs.Times {
	t, err := winfs.FiletimeFromTime(fi.ModTime())
	if err != nil {
		return winfs.Times{}
	}
	return winfs.Times{Creation: t, LastAccess: t, LastWrite: t, Change: t}
}

// link returns a hard link, or puts it off until its target was returned.
func (w *walker) link(id nodeID) (bool, error) {
	t := w.index.tree
	target, _, err := w.index.item(id)
	if err != nil {
		return false, err
	}
	if to, ok := t.findPath(target); ok && to != id {
		if f := t.at(to).flags; f&nodeOwn != 0 && f&nodeSeen == 0 && t.at(id).flags&nodeBelow == 0 {
			if w.later == nil {
				w.later = make(map[nodeID][]nodeID)
			}
			w.later[to] = append(w.later[to], id)
			return false, nil
		}
	}
	return true, w.linkEntry(&w.entry, id)
}

// findEarly finds the links that come before what this layer has at their target, because
// they name the file of a lower layer that was there.
func (w *walker) findEarly() error {
	if w.index == nil {
		return nil
	}
	for _, id := range w.index.below {
		if w.index.tree.at(id).flags&nodeLink == 0 {
			return fmt.Errorf("%w: %q is no link", ErrMetadata, w.index.tree.path(id))
		}
		target, _, err := w.index.item(id)
		if err != nil {
			return err
		}
		if err := winfs.ValidatePath(target); err != nil || target == "" {
			return fmt.Errorf("%w: target %q", ErrMetadata, target)
		}
		if w.early == nil {
			w.early = make(map[nodeID][]nodeID)
		}
		to := w.index.tree.addPath(target)
		w.early[to] = append(w.early[to], id)
	}
	return nil
}

// queueEarly queues the links that come before what is at a node.
func (w *walker) queueEarly(id nodeID) bool {
	queued := false
	for _, l := range w.early[id] {
		if w.index.tree.at(l).flags&nodeSeen == 0 {
			queued = true
			w.index.tree.at(l).flags |= nodeSeen
			w.queue = append(w.queue, func(e *layer.Entry) error { return w.linkEntry(e, l) })
		}
	}
	delete(w.early, id)
	return queued
}

func (w *walker) linkEntry(e *layer.Entry, id nodeID) error {
	target, rec, err := w.index.item(id)
	if err != nil {
		return err
	}
	e.Path, e.Kind, e.Target = w.index.tree.path(id), layer.Link, target
	e.Attributes, e.Times = rec.attributes, rec.times
	if err := winfs.ValidatePath(target); err != nil || target == "" {
		return fmt.Errorf("%w: target %q", ErrMetadata, target)
	}
	w.returned(id)
	return nil
}

// returned lets the links go that waited for a node.
func (w *walker) returned(id nodeID) {
	w.index.tree.at(id).flags |= nodeSeen
	for _, l := range w.later[id] {
		w.queue = append(w.queue, func(e *layer.Entry) error { return w.linkEntry(e, l) })
	}
	delete(w.later, id)
}

// NextStream implements layer.Reader.
func (w *walker) NextStream() (*layer.Stream, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.src == nil {
		return nil, io.EOF
	}
	s, err := w.src.next()
	if err != nil && err != io.EOF {
		return nil, w.fail(err)
	}
	return s, err
}

// Read implements layer.Reader.
func (w *walker) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.src == nil {
		return 0, io.EOF
	}
	n, err := w.src.read(p)
	if err != nil && err != io.EOF {
		err = w.fail(err)
	}
	return n, err
}

// NextExtent implements layer.ExtentReader.
func (w *walker) NextExtent() (layer.Extent, error) {
	if w.err != nil {
		return layer.Extent{}, w.err
	}
	if w.src == nil {
		return layer.Extent{}, io.EOF
	}
	x, err := w.src.extent()
	if err != nil && err != io.EOF {
		err = w.fail(err)
	}
	return x, err
}

// errLost says that something was recorded and is not there.
var errLost = fmt.Errorf("%w: an entry is missing", layer.ErrCorrupt)

// lostLink returns an error if a link of the index was never returned.
func (w *walker) lostLink() error {
	if w.index == nil {
		return nil
	}
	t := w.index.tree
	for id := nodeID(1); int(id) < t.count; id++ {
		if n := t.at(id); n.flags&nodeLink != 0 && n.flags&nodeSeen == 0 {
			w.entry.Path = t.path(id)
			return fmt.Errorf("%w: the hard link, or the file it names", errLost)
		}
	}
	return nil
}

// traveller is what the two forms do on the way of a walker.
type traveller interface {
	// visit looks at one thing in a directory and reports whether it made an entry.
	visit(f *frame, it item) (bool, error)
	// end is called when the walk is over. It queues what is still to come and
	// returns io.EOF once there is nothing.
	end() error
}

// step goes on to the next entry.
func (w *walker) step(t traveller) (*layer.Entry, error) {
	if w.err != nil {
		return nil, w.err
	}
	if err := w.advance(t); err != nil {
		return nil, w.fail(err)
	}
	w.count++
	return &w.entry, nil
}

func (w *walker) advance(t traveller) error {
	if err := w.done(); err != nil {
		return err
	}
	for {
		w.entry = layer.Entry{}
		if len(w.queue) > 0 {
			return w.queued()
		}
		if len(w.frames) == 0 {
			if err := t.end(); err != nil {
				return err
			}
			continue
		}
		top := &w.frames[len(w.frames)-1]
		if top.next == len(top.items) {
			if err := w.up(); err != nil {
				return err
			}
			continue
		}
		it := top.items[top.next]
		top.next++
		ok, err := t.visit(top, it)
		if err != nil {
			if w.entry.Path == "" {
				w.entry.Path = winfs.JoinPath(top.path, it.name)
			}
			if err := w.tolerated(err); err != nil {
				return err
			}
			continue
		}
		if ok {
			return w.limited(nil)
		}
	}
}

// queued returns the entry that waits to be returned next.
func (w *walker) queued() error {
	f := w.queue[0]
	w.queue = w.queue[1:]
	return w.limited(f(&w.entry))
}

// up leaves the current directory.
func (w *walker) up() error {
	w.frames = w.frames[:len(w.frames)-1]
	if len(w.frames) == 0 {
		return nil
	}
	return w.h.truncate(len(w.frames) - 1)
}

func (w *walker) close() error {
	if w.root == nil {
		return nil
	}
	err := w.giveUp(errors.Join(w.done(), w.h.truncate(0), w.root.close()))
	w.root = nil
	if w.privileges != nil {
		err = errors.Join(err, w.privileges())
	}
	w.err = &layer.Error{Op: w.op, Layer: w.path, Offset: -1, Err: layer.ErrClosed}
	return err
}
