package layerdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Walker is the common part of the two readers: the walk of the tree, the metadata stored
// with it, and the streams of the current entry.
type Walker struct {
	Op      string // for errors
	Path    string // of the directory, likewise
	Options Options
	Root    hostfs.Directory
	Handles handles // open directories on the way to the current entry

	Privileges func() error // releases those of the process; nil while the reader is being opened

	Frames []Frame                      // directories on the way to the current entry
	Queue  []func(e *layer.Entry) error // entries to return before going on

	Index *index // nil in a directory that this package has not made
	Blobs blobReader
	inode map[[2]uint64]string // first path of files with several names, without an index
	later map[NodeID][]NodeID  // links that wait for their target
	Early map[NodeID][]NodeID  // links that come before the entry at their target

	Entry   layer.Entry // the current one
	Content source      // its streams
	count   int64
	err     error
}

// Frame is a directory on the way to the current entry.
type Frame struct {
	Path  string
	Node  NodeID
	Known bool // node is meaningful
	Items []Item
	Next  int
}

// Item is a file or directory in a Frame.
type Item struct {
	Name, Host string
	Dir        bool
	Regular    bool
	Reparse    bool // the host itself has reparse data there
	Meta       bool // a transport directory has a metadata file next to it
}

// OpenStore loads the metadata that this package has kept in the directory.
func (w *Walker) OpenStore() error {
	store, err := OpenStore(w.Root)
	if err != nil || store == nil {
		return err
	}
	w.Index, err = LoadIndex(store, w.Options.Limits, nil)
	if err == nil {
		w.Blobs.limit = w.Options.Limits.MetadataLen
		w.Blobs.f, err = store.Open(DataName)
		if errors.Is(err, fs.ErrNotExist) {
			w.Blobs.f, err = nil, nil
		}
	}
	if err == nil && w.Blobs.f != nil {
		var fi fs.FileInfo
		if fi, err = w.Blobs.f.Stat(); err == nil {
			w.Blobs.size = fi.Size()
		}
	}
	if err = hostfs.FirstError(err, store.Close()); err != nil {
		return w.GiveUp(err)
	}
	return nil
}

// GiveUp closes all open files but the root.
func (w *Walker) GiveUp(err error) error {
	errs := []error{err, w.Index.Close()}
	if w.Blobs.f != nil {
		errs = append(errs, w.Blobs.f.Close())
		w.Blobs.f = nil
	}
	return errors.Join(errs...)
}

// Names returns the spelled names of the index.
func (w *Walker) Names() Names {
	if w.Index == nil {
		return nil
	}
	return w.Index.Names
}

// List returns the items of a directory, sorted by name.
func (w *Walker) List(d hostfs.Directory, n Names) ([]Item, error) {
	list, err := d.List()
	if err != nil {
		return nil, err
	}
	return w.Sorted(list, n)
}

// Sorted turns a list of the host, which is sorted, into one of the layer.
func (w *Walker) Sorted(list []fs.DirEntry, n Names) ([]Item, error) {
	items := make([]Item, 0, len(list))
	spelled := false
	for _, e := range list {
		if e.Name() == StoreName && len(w.Frames) == 0 {
			continue
		}
		name, err := n.Real(e.Name())
		if err != nil {
			return nil, fmt.Errorf("%q: %w", e.Name(), err)
		}
		spelled = spelled || name != e.Name()
		it := Item{Name: name, Host: e.Name()}
		if it.Dir, it.Regular, it.Reparse, err = hostfs.EntryKind(e); err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	if spelled {
		slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Name, b.Name) })
	}
	return items, nil
}

// fail makes every later call return the same.
func (w *Walker) fail(err error) error {
	if err != io.EOF {
		e := &layer.Error{Op: w.Op, Layer: w.Path, Entry: w.Entry.Path, Offset: -1, Err: err}
		if e.Entry != "" {
			e.Index = w.count + 1
		}
		err = e
	}
	w.err = err
	return err
}

// tolerated skips an entry whose error the caller of a check has accepted.
func (w *Walker) tolerated(err error) error {
	if w.Options.Tolerate == nil || errors.Is(err, layer.ErrLimit) || !w.Options.Tolerate(err) {
		return err
	}
	return errors.Join(w.done(), w.Handles.Truncate(max(len(w.Frames)-1, 0)))
}

func (w *Walker) limited(err error) error {
	if err == nil && w.count >= w.Options.Limits.Entries {
		return &layer.LimitError{Limit: "Entries", Max: w.Options.Limits.Entries}
	}
	return err
}

// done closes the files of the current entry.
func (w *Walker) done() error {
	if w.Content == nil {
		return nil
	}
	s := w.Content
	w.Content = nil
	return s.Close()
}

// Node returns the place of a child in the index.
func (w *Walker) Node(f *Frame, name string) (NodeID, bool) {
	if w.Index == nil || !f.Known {
		return NoNode, false
	}
	id := w.Index.Tree.Find(f.Node, name)
	return id, id != NoNode
}

// SameFile returns the path at which a file was returned before.
func (w *Walker) SameFile(f hostfs.File) (string, error) {
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	dev, ino, links := hostfs.FileIdentity(fi)
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
	w.inode[key] = w.Entry.Path
	return "", nil
}

// Record returns the record of a file or directory and whether it has one.
func (w *Walker) Record(k hostfs.KeptRecord, id NodeID, known bool) (Record, bool, error) {
	if w.Index == nil {
		return Record{}, false, nil
	}
	if w.Index.Flags&IndexXattr == 0 {
		if !known || w.Index.Tree.At(id).Value == 0 {
			return Record{}, false, nil
		}
		_, rec, err := w.Index.item(id)
		return rec, err == nil, err
	}
	b, err := k.Record()
	if err != nil || b == nil {
		return Record{}, false, err
	}
	rec, err := ParseRecord(b)
	return rec, err == nil, err
}

// StoredStreams adds the streams of a record.
func (w *Walker) StoredStreams(rec *Record, c *Content) error {
	if rec.Flags&recordExtents != 0 {
		if len(c.Streams) == 0 {
			return fmt.Errorf("%w: extents of a directory", hostfs.ErrMetadata)
		}
		b, err := w.Blobs.blob(rec.refs[refExtents])
		if err != nil {
			return err
		}
		d := decoder{b: b}
		s := &c.Streams[0]
		s.Sparse = true
		s.Segments = d.extents(s.Size).segments(0, false)
		if err := d.finish(); err != nil {
			return err
		}
	}
	if rec.Flags&recordStreams == 0 {
		return nil
	}
	b, err := w.Blobs.blob(rec.refs[refStreams])
	if err != nil {
		return err
	}
	list, err := parseStreams(b, w.Options.Limits.Streams)
	if err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		if err := winfs.ValidateStream(s.name); err != nil {
			return fmt.Errorf("%w: %w", hostfs.ErrMetadata, err)
		}
		st := StoredStream{Name: s.name, Size: s.size, Sparse: s.sparse, Src: w.Blobs.f}
		if s.data.length > 0 {
			if err := w.Blobs.inside(s.data); err != nil {
				return err
			}
			st.checked, st.crc = true, s.data.crc
			if s.sparse {
				st.Segments = s.extents.segments(s.data.offset, true)
			} else {
				st.Segments = Whole(s.size, s.data.offset)
			}
		}
		c.Streams = append(c.Streams, st)
	}
	return nil
}

// HostTimes returns the times of a file without a record: all of them are the modification
// time of the host. Its other times are those of the last copy and of the last read,
// perhaps by this reader.
func HostTimes(fi fs.FileInfo) winfs.Times {
	t, err := winfs.FiletimeFromTime(fi.ModTime())
	if err != nil {
		return winfs.Times{}
	}
	return winfs.Times{Creation: t, LastAccess: t, LastWrite: t, Change: t}
}

// Link returns a hard link, or puts it off until its target was returned.
func (w *Walker) Link(id NodeID) (bool, error) {
	t := w.Index.Tree
	target, _, err := w.Index.item(id)
	if err != nil {
		return false, err
	}
	if to, ok := t.FindPath(target); ok && to != id {
		if f := t.At(to).Flags; f&NodeOwn != 0 && f&NodeSeen == 0 && t.At(id).Flags&nodeBelow == 0 {
			if w.later == nil {
				w.later = make(map[NodeID][]NodeID)
			}
			w.later[to] = append(w.later[to], id)
			return false, nil
		}
	}
	return true, w.linkEntry(&w.Entry, id)
}

// FindEarly finds the links that come before the entry at their target, because they name
// the file of a lower layer that was there.
func (w *Walker) FindEarly() error {
	if w.Index == nil {
		return nil
	}
	for _, id := range w.Index.below {
		if w.Index.Tree.At(id).Flags&NodeLink == 0 {
			return fmt.Errorf("%w: %q is no link", hostfs.ErrMetadata, w.Index.Tree.Path(id))
		}
		target, _, err := w.Index.item(id)
		if err != nil {
			return err
		}
		if err := winfs.ValidatePath(target); err != nil || target == "" {
			return fmt.Errorf("%w: target %q", hostfs.ErrMetadata, target)
		}
		if w.Early == nil {
			w.Early = make(map[NodeID][]NodeID)
		}
		to := w.Index.Tree.AddPath(target)
		w.Early[to] = append(w.Early[to], id)
	}
	return nil
}

// QueueEarly queues the links that come before the entry at a node.
func (w *Walker) QueueEarly(id NodeID) bool {
	queued := false
	for _, l := range w.Early[id] {
		if w.Index.Tree.At(l).Flags&NodeSeen == 0 {
			queued = true
			w.Index.Tree.At(l).Flags |= NodeSeen
			w.Queue = append(w.Queue, func(e *layer.Entry) error { return w.linkEntry(e, l) })
		}
	}
	delete(w.Early, id)
	return queued
}

func (w *Walker) linkEntry(e *layer.Entry, id NodeID) error {
	target, rec, err := w.Index.item(id)
	if err != nil {
		return err
	}
	e.Path, e.Kind, e.Target = w.Index.Tree.Path(id), layer.Link, target
	e.Attributes, e.Times = rec.attributes, rec.Times
	if err := winfs.ValidatePath(target); err != nil || target == "" {
		return fmt.Errorf("%w: target %q", hostfs.ErrMetadata, target)
	}
	w.Returned(id)
	return nil
}

// Returned lets the links go that waited for a node.
func (w *Walker) Returned(id NodeID) {
	w.Index.Tree.At(id).Flags |= NodeSeen
	for _, l := range w.later[id] {
		w.Queue = append(w.Queue, func(e *layer.Entry) error { return w.linkEntry(e, l) })
	}
	delete(w.later, id)
}

// NextStream implements layer.Reader.
func (w *Walker) NextStream() (*layer.Stream, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.Content == nil {
		return nil, io.EOF
	}
	s, err := w.Content.Next()
	if err != nil && err != io.EOF {
		return nil, w.fail(err)
	}
	return s, err
}

// Read implements layer.Reader.
func (w *Walker) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.Content == nil {
		return 0, io.EOF
	}
	n, err := w.Content.Read(p)
	if err != nil && err != io.EOF {
		err = w.fail(err)
	}
	return n, err
}

// NextExtent implements layer.ExtentReader.
func (w *Walker) NextExtent() (layer.Extent, error) {
	if w.err != nil {
		return layer.Extent{}, w.err
	}
	if w.Content == nil {
		return layer.Extent{}, io.EOF
	}
	x, err := w.Content.Extent()
	if err != nil && err != io.EOF {
		err = w.fail(err)
	}
	return x, err
}

// ErrLost says that something was recorded and is not there.
var ErrLost = fmt.Errorf("%w: an entry is missing", layer.ErrCorrupt)

// LostLink returns an error if a link of the index was never returned.
func (w *Walker) LostLink() error {
	if w.Index == nil {
		return nil
	}
	t := w.Index.Tree
	for id := NodeID(1); int(id) < t.Count; id++ {
		if n := t.At(id); n.Flags&NodeLink != 0 && n.Flags&NodeSeen == 0 {
			w.Entry.Path = t.Path(id)
			return fmt.Errorf("%w: the hard link, or the file it names", ErrLost)
		}
	}
	return nil
}

// traveller has the steps of a walk in which the two kinds of directories differ.
type traveller interface {
	// Visit looks at one thing in a directory and reports whether it made an entry.
	Visit(f *Frame, it Item) (bool, error)
	// End is called when the walk is over. It queues what is still to come and
	// returns io.EOF once there is nothing.
	End() error
}

// Step goes on to the next entry.
func (w *Walker) Step(t traveller) (*layer.Entry, error) {
	if w.err != nil {
		return nil, w.err
	}
	if err := w.advance(t); err != nil {
		return nil, w.fail(err)
	}
	w.count++
	return &w.Entry, nil
}

func (w *Walker) advance(t traveller) error {
	if err := w.done(); err != nil {
		return err
	}
	for {
		w.Entry = layer.Entry{}
		if len(w.Queue) > 0 {
			return w.queued()
		}
		if len(w.Frames) == 0 {
			if err := t.End(); err != nil {
				return err
			}
			continue
		}
		top := &w.Frames[len(w.Frames)-1]
		if top.Next == len(top.Items) {
			if err := w.up(); err != nil {
				return err
			}
			continue
		}
		it := top.Items[top.Next]
		top.Next++
		ok, err := t.Visit(top, it)
		if err != nil {
			if w.Entry.Path == "" {
				w.Entry.Path = winfs.JoinPath(top.Path, it.Name)
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
func (w *Walker) queued() error {
	f := w.Queue[0]
	w.Queue = w.Queue[1:]
	return w.limited(f(&w.Entry))
}

// up leaves the current directory.
func (w *Walker) up() error {
	w.Frames = w.Frames[:len(w.Frames)-1]
	if len(w.Frames) == 0 {
		return nil
	}
	return w.Handles.Truncate(len(w.Frames) - 1)
}

// Close closes all files and releases the privileges.
func (w *Walker) Close() error {
	if w.Root == nil {
		return nil
	}
	err := w.GiveUp(errors.Join(w.done(), w.Handles.Truncate(0), w.Root.Close()))
	w.Root = nil
	if w.Privileges != nil {
		err = errors.Join(err, w.Privileges())
	}
	w.err = &layer.Error{Op: w.Op, Layer: w.Path, Offset: -1, Err: layer.ErrClosed}
	return err
}
