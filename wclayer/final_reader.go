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

// Reader reads a final layer directory. It implements layer.Reader and
// layer.ExtentReader.
//
// Entries come in the order of a walk that sorts the names of each directory by
// their bytes: a directory, the whiteouts in it, then what is in it. A hard link
// comes after the file it names if that is in the same layer.
type Reader struct {
	walker
	index *index // nil in a directory that this package has not made
	blobs blobReader
	inode map[[2]uint64]string // first path of files with several names, without an index
	later map[nodeID][]nodeID  // links that wait for their target
	found int64                // entries returned that have a record
}

// walker is what the two readers have in common: the way through the tree and
// the streams of the current entry.
type walker struct {
	path   string
	o      options
	root   directory
	h      handles
	frames []frame
	queue  []func(e *layer.Entry) error // entries to return before going on
	entry  layer.Entry
	src    source
	count  int64
	err    error
	op     string
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
}

var (
	_ layer.Reader       = (*Reader)(nil)
	_ layer.ExtentReader = (*Reader)(nil)
)

func openFinal(path string, root directory, o options) (_ *Reader, err error) {
	r := &Reader{walker: walker{path: path, o: o, root: root, op: "read layer directory"}}
	r.h.root = root
	store, err := openStore(root)
	if err != nil {
		return nil, err
	}
	if store != nil {
		defer func() { err = firstError(err, store.close()) }()
		if r.index, err = loadIndex(store, o.limits, nil); err != nil {
			return nil, err
		}
		r.blobs.limit = o.limits.MetadataLen
		if r.blobs.f, err = store.open(dataName); err == nil {
			fi, err := r.blobs.f.stat()
			if err != nil {
				return nil, err
			}
			r.blobs.size = fi.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if f := r.index.flags; f&indexTransport != 0 {
			return nil, fmt.Errorf("%w: index of a transport directory", ErrMetadata)
		} else if f&indexNative != 0 && !nativeObjects {
			return nil, fmt.Errorf("%w: NTFS kept the metadata of this layer, and it is not on Windows", ErrNoMetadata)
		}
	}
	items, err := r.list(root, r.names())
	if err != nil {
		return nil, err
	}
	r.frames = []frame{{known: true, items: items}}
	return r, nil
}

func (r *Reader) names() names {
	if r.index == nil {
		return nil
	}
	return r.index.names
}

// list returns what is in a directory, sorted by name.
func (w *walker) list(d directory, n names) ([]item, error) {
	list, err := d.list()
	if err != nil {
		return nil, err
	}
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
		items = append(items, item{name: name, host: e.Name(), dir: e.IsDir(), regular: e.Type().IsRegular()})
	}
	if spelled {
		slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	}
	return items, nil
}

// Next implements layer.Reader.
func (r *Reader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.next(); err != nil {
		return nil, r.fail(err)
	}
	r.count++
	return &r.entry, nil
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

func (r *Reader) next() error {
	if err := r.done(); err != nil {
		return err
	}
	for {
		r.entry = layer.Entry{}
		if len(r.queue) > 0 {
			f := r.queue[0]
			r.queue = r.queue[1:]
			return r.limited(f(&r.entry))
		}
		if len(r.frames) == 0 {
			return r.end()
		}
		top := &r.frames[len(r.frames)-1]
		if top.next == len(top.items) {
			r.frames = r.frames[:len(r.frames)-1]
			if len(r.frames) > 0 {
				if err := r.h.truncate(len(r.frames) - 1); err != nil {
					return err
				}
			}
			continue
		}
		it := top.items[top.next]
		top.next++
		ok, err := r.visit(top, it)
		if err != nil {
			if r.entry.Path == "" {
				r.entry.Path = winfs.JoinPath(top.path, it.name)
			}
			return err
		}
		if ok {
			return r.limited(nil)
		}
	}
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
func (r *Reader) node(f *frame, name string) (nodeID, bool) {
	if r.index == nil || !f.known {
		return noNode, false
	}
	id := r.index.tree.find(f.node, name)
	return id, id != noNode
}

// visit looks at one thing in a directory and reports whether it made an entry.
func (r *Reader) visit(f *frame, it item) (bool, error) {
	depth := len(r.frames) - 1
	if depth == 0 {
		if t := rootTree(it.name); t != "" {
			it.name = t
		} else if r.index == nil {
			return false, nil // VHDs, layout and the like
		}
	}
	if it.dir {
		if skip, err := r.skipDirectory(f, it); skip || err != nil {
			return false, err
		}
		return r.directory(f, it)
	}
	if depth == 1 && f.path == hivesName && isBaseHive(it.name) && (r.index == nil || r.index.flags&indexBase != 0) {
		return false, nil
	}
	if r.index == nil && f.path == utilityName {
		return false, nil // SystemTemplate.vhdx
	}
	r.entry.Path = winfs.JoinPath(f.path, it.name)
	id, known := r.node(f, it.name)
	if known && r.index.tree.at(id).flags&nodeLink != 0 {
		return r.link(id)
	}
	if !r.mine(r.entry.Path, id, known) {
		return false, nil
	}
	if !it.regular && !nativeObjects {
		return false, ErrHostFile
	}
	return r.file(it, id, known)
}

// mine reports whether what stands at a path is of this layer, and not of the
// parent's utility VM.
func (r *Reader) mine(path string, id nodeID, known bool) bool {
	if r.index == nil || r.index.flags&indexCloned == 0 || !inUtility(path) {
		return true
	}
	return known && r.index.tree.at(id).flags&nodeOwn != 0
}

// skipDirectory names the directories that belong to no layer, of a layer
// directory that Windows or a person has made.
func (r *Reader) skipDirectory(f *frame, it item) (bool, error) {
	if r.index != nil {
		return false, nil
	}
	switch {
	case f.path == filesName && winfs.EqualFold(it.name, recycleName):
		return true, nil
	case f.path == utilityName && !winfs.EqualFold(it.name, filesName):
		return true, nil
	case f.path != "":
		return false, nil
	case it.name == utilityName:
		d, err := enterPath(r.root, it.host, filesName)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // no utility VM then
		}
		if err != nil {
			return false, err
		}
		return false, d.close()
	case it.name == hivesName:
		// In a base layer Hives is made from Files and no part of the layer.
		d, err := r.root.enter(it.host)
		if err != nil {
			return false, err
		}
		list, err := d.list()
		if err := firstError(err, d.close()); err != nil {
			return false, err
		}
		for _, e := range list {
			if !isBaseHive(e.Name()) {
				return false, nil
			}
		}
		return true, nil
	}
	return false, nil
}

// directory goes into a directory.
func (r *Reader) directory(f *frame, it item) (bool, error) {
	path := winfs.JoinPath(f.path, it.name)
	id, known := r.node(f, it.name)
	mine := r.mine(path, id, known)
	r.entry.Path = path
	r.h.push(id, it.host)
	d, err := r.h.dir(r.h.depth())
	if err != nil {
		return false, err
	}
	items, err := r.list(d, r.names())
	if err != nil {
		return false, err
	}
	parent := len(r.frames) - 1
	r.frames = append(r.frames, frame{path: path, node: id, known: known || r.index == nil, items: items})
	if known {
		r.whiteouts(id)
	}
	if !mine {
		return false, nil
	}
	rec, have, err := r.record(d, id, known)
	if err != nil || r.index != nil && !have && !nativeObjects {
		return false, err // a directory without a record only stands above entries
	}
	if nativeObjects && r.index != nil && !(known && r.index.tree.at(id).flags&nodeOwn != 0) {
		return false, nil
	}
	r.entry.Kind = layer.Dir
	up, err := r.h.dir(parent)
	if err != nil {
		return false, err
	}
	return true, r.fill(up, it, nil, d, &rec, have)
}

// file opens a file.
func (r *Reader) file(it item, id nodeID, known bool) (bool, error) {
	d, err := r.h.dir(len(r.frames) - 1)
	if err != nil {
		return false, err
	}
	f, err := d.open(it.host)
	if err != nil {
		return false, err
	}
	rec, have, err := r.record(f, id, known)
	if err == nil && !have && r.index != nil && !nativeObjects {
		if !winfs.Under(r.entry.Path, filesName) && !winfs.Under(r.entry.Path, utilityFiles) {
			return false, f.close() // merged hives, backups, what belongs to the form
		}
		if !r.o.bare {
			err = ErrNoMetadata
		}
	}
	if err != nil {
		return false, errors.Join(err, f.close())
	}
	if r.index == nil {
		if first, err := r.sameFile(f); err != nil {
			return false, errors.Join(err, f.close())
		} else if first != "" {
			r.entry.Kind, r.entry.Target = layer.Link, first
			return true, f.close()
		}
	}
	r.entry.Kind = layer.File
	if err := r.fill(d, it, f, nil, &rec, have); err != nil {
		return false, errors.Join(err, f.close())
	}
	if known {
		r.returned(id)
	}
	return true, nil
}

// sameFile returns the path at which a file was returned before.
func (r *Reader) sameFile(f file) (string, error) {
	fi, err := f.stat()
	if err != nil {
		return "", err
	}
	dev, ino, links := fileIdentity(fi)
	if links < 2 {
		return "", nil
	}
	key := [2]uint64{dev, ino}
	if first := r.inode[key]; first != "" {
		return first, nil
	}
	if r.inode == nil {
		r.inode = make(map[[2]uint64]string)
	}
	r.inode[key] = r.entry.Path
	return "", nil
}

// keptRecord is a file or directory that may have a record.
type keptRecord interface{ record() ([]byte, error) }

func (r *Reader) record(k keptRecord, id nodeID, known bool) (record, bool, error) {
	if r.index == nil || nativeObjects {
		return record{}, false, nil
	}
	if r.index.flags&indexXattr == 0 {
		if !known || r.index.tree.at(id).value == 0 {
			return record{}, false, nil
		}
		_, rec, err := r.index.item(id)
		return rec, err == nil, err
	}
	b, err := k.record()
	if err != nil || b == nil {
		return record{}, false, err
	}
	rec, err := parseRecord(b)
	return rec, err == nil, err
}

// fill completes the entry of a file or directory, which is open, and takes over
// the file.
func (r *Reader) fill(d directory, it item, f file, self directory, rec *record, have bool) error {
	if nativeObjects {
		return r.fillNative(d, it, f)
	}
	var fi fs.FileInfo
	var err error
	if f != nil {
		if fi, err = f.stat(); err != nil {
			return err
		}
	} else if fi, err = d.stat(it.host); err != nil {
		return err
	}
	e := &r.entry
	c := &content{}
	if f != nil {
		e.Size = fi.Size()
		c.streams = append(c.streams, storedStream{size: e.Size, segments: whole(e.Size, 0), src: f})
	}
	if have {
		r.found++
		if (rec.flags&recordDir != 0) != (e.Kind == layer.Dir) {
			return fmt.Errorf("%w: it is that of a %v", ErrMetadata, map[bool]layer.Kind{true: layer.Dir, false: layer.File}[rec.flags&recordDir != 0])
		}
		if err := r.blobs.entry(rec, e); err != nil {
			return err
		}
		if err := r.storedStreams(rec, c); err != nil {
			return err
		}
	} else {
		e.Times = hostTimes(fi)
		if e.Kind == layer.Dir {
			e.Attributes = winfs.AttrDirectory
		}
	}
	if f != nil {
		c.closer = f.close
	}
	r.src = c
	return nil
}

// storedStreams adds what the record says about streams.
func (r *Reader) storedStreams(rec *record, c *content) error {
	if rec.flags&recordExtents != 0 {
		if len(c.streams) == 0 {
			return fmt.Errorf("%w: extents of a directory", ErrMetadata)
		}
		b, err := r.blobs.blob(rec.refs[refExtents])
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
	b, err := r.blobs.blob(rec.refs[refStreams])
	if err != nil {
		return err
	}
	list, err := parseStreams(b, r.o.limits.Streams)
	if err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		if err := winfs.ValidateStream(s.name); err != nil {
			return fmt.Errorf("%w: %w", ErrMetadata, err)
		}
		st := storedStream{name: s.name, size: s.size, sparse: s.sparse, src: r.blobs.f}
		if s.data.length > 0 {
			if err := r.blobs.inside(s.data); err != nil {
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
func (r *Reader) link(id nodeID) (bool, error) {
	t := r.index.tree
	target, _, err := r.index.item(id)
	if err != nil {
		return false, err
	}
	if to, ok := t.findPath(target); ok && to != id {
		if f := t.at(to).flags; f&nodeOwn != 0 && f&nodeSeen == 0 {
			if r.later == nil {
				r.later = make(map[nodeID][]nodeID)
			}
			r.later[to] = append(r.later[to], id)
			return false, nil
		}
	}
	return true, r.linkEntry(&r.entry, id)
}

func (r *Reader) linkEntry(e *layer.Entry, id nodeID) error {
	target, rec, err := r.index.item(id)
	if err != nil {
		return err
	}
	e.Path, e.Kind, e.Target = r.index.tree.path(id), layer.Link, target
	e.Attributes, e.Times = rec.attributes, rec.times
	if err := winfs.ValidatePath(target); err != nil || target == "" {
		return fmt.Errorf("%w: target %q", ErrMetadata, target)
	}
	r.returned(id)
	return nil
}

// returned lets the links go that waited for a node.
func (r *Reader) returned(id nodeID) {
	r.index.tree.at(id).flags |= nodeSeen
	for _, l := range r.later[id] {
		r.queue = append(r.queue, func(e *layer.Entry) error { return r.linkEntry(e, l) })
	}
	delete(r.later, id)
}

// whiteouts queues what a directory hides: all of it, then single names, sorted.
func (r *Reader) whiteouts(dir nodeID) {
	t := r.index.tree
	var list []nodeID
	t.children(dir, func(c nodeID) bool {
		if t.at(c).flags&nodeWhiteout != 0 {
			list = append(list, c)
		}
		return true
	})
	slices.SortFunc(list, func(a, b nodeID) int { return strings.Compare(t.at(a).name, t.at(b).name) })
	if t.at(dir).flags&nodeOpaque != 0 {
		r.hide(dir, layer.Opaque)
	}
	for _, c := range list {
		r.hide(c, layer.Whiteout)
	}
}

func (r *Reader) hide(id nodeID, kind layer.Kind) {
	flag := nodeOpaque
	if kind == layer.Whiteout {
		flag = nodeWhiteout
	}
	r.index.tree.at(id).flags &^= flag // returned once
	r.queue = append(r.queue, func(e *layer.Entry) error {
		e.Path, e.Kind = r.index.tree.path(id), kind
		return nil
	})
}

// end is reached when the walk is over: what the index has beyond it.
func (r *Reader) end() error {
	if r.index == nil {
		return io.EOF
	}
	t := r.index.tree
	for id := nodeID(1); int(id) < t.count; id++ {
		if t.at(id).flags&nodeOpaque != 0 {
			r.hide(id, layer.Opaque)
		}
		if t.at(id).flags&nodeWhiteout != 0 {
			r.hide(id, layer.Whiteout)
		}
	}
	if len(r.queue) > 0 {
		f := r.queue[0]
		r.queue = r.queue[1:]
		return r.limited(f(&r.entry))
	}
	for id := nodeID(1); int(id) < t.count; id++ {
		if n := t.at(id); n.flags&nodeLink != 0 && n.flags&nodeSeen == 0 {
			r.entry.Path = t.path(id)
			return fmt.Errorf("%w: the hard link, or the file it names, is not there", layer.ErrCorrupt)
		}
	}
	if r.found != r.index.entries && !nativeObjects {
		return fmt.Errorf("%w: %d entries were recorded, %d are there", layer.ErrCorrupt, r.index.entries, r.found)
	}
	return io.EOF
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

// Close implements layer.Reader.
func (r *Reader) Close() error {
	if r.root == nil {
		return nil
	}
	err := r.walker.close()
	if r.index != nil {
		err = errors.Join(err, r.index.close())
	}
	if r.blobs.f != nil {
		err = errors.Join(err, r.blobs.f.close())
	}
	return err
}

func (w *walker) close() error {
	if w.root == nil {
		return nil
	}
	err := errors.Join(w.done(), w.h.truncate(0), w.root.close())
	w.root = nil
	w.err = &layer.Error{Op: w.op, Layer: w.path, Offset: -1, Err: layer.ErrClosed}
	return err
}
