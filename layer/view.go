package layer

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// Item is one name of a View.
type Item struct {
	// Entry is a File or a Dir with all metadata. The caller may keep it.
	Entry
	// Layer is the number of the layer that the entry is from, from 0, the lowest; -1 for a
	// directory that no layer mentions.
	Layer int
	// Links is the number of names of the file in the view, 1 for most.
	Links int
}

// Lookup returns the item at a path, compared without regard to case; the path of the
// result has the spelling of the layers. The empty path is the root, an implied directory.
// If there is nothing, errors.Is(err, fs.ErrNotExist) holds, and the error names the
// deepest directory that exists.
func (v *View) Lookup(path string) (*Item, error) {
	id, ok := v.tree.lookup(path)
	if !ok {
		return nil, &Error{Op: "lookup", Entry: path, Offset: -1,
			Err: fmt.Errorf("%w, the deepest that exists is %s", fs.ErrNotExist, v.deepest(path))}
	}
	return v.item(id)
}

func (v *View) deepest(path string) string {
	for path != "" {
		path, _ = winfs.SplitPath(path)
		if id, ok := v.tree.lookup(path); ok && path != "" {
			return `"` + v.tree.path(id) + `"`
		}
	}
	return "the root"
}

func (v *View) item(id nodeID) (*Item, error) {
	n := &v.tree.nodes[id]
	it := &Item{Layer: -1, Links: 1}
	it.Path, it.Kind = v.tree.path(id), n.kind
	if n.object == noObject {
		it.Attributes = winfs.AttrDirectory
		return it, nil
	}
	o := &v.objects[n.object]
	it.Layer = int(o.layer)
	it.Links = v.links(n.object)
	return it, v.metadata(o, &it.Entry)
}

// links returns the number of names of an object.
func (v *View) links(object int32) int {
	// Few files have many names; walking over one that does must not take the square of them.
	const few = 64
	count := 0
	name := v.objects[object].names
	for ; name != none && count < few; name = v.tree.nodes[name].next {
		count++
	}
	if name == none {
		return count
	}
	if v.counts == nil {
		v.counts = v.countNames()
	}
	return int(v.counts[object])
}

// metadata fills an entry, of which path and kind are set, with the rest.
func (v *View) metadata(o *object, e *Entry) error {
	if o.meta >= 0 {
		return v.stash.get(o.meta, e)
	}
	from, err := v.indexed[o.layer].EntryAt(o.ordinal)
	if err != nil {
		return err
	}
	path, kind := e.Path, e.Kind
	*e = *from
	e.Path, e.Kind = path, kind
	return nil
}

// children returns the living children of a node in the order of NTFS.
func (v *View) children(id nodeID) []nodeID {
	var list []nodeID
	for c := v.tree.nodes[id].child; c != none; c = v.tree.nodes[c].sibling {
		if v.tree.nodes[c].kind != 0 {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b nodeID) int {
		return winfs.CompareFold(v.tree.nodes[a].name, v.tree.nodes[b].name)
	})
	return list
}

// Children yields the entries of a directory, in the order in which NTFS lists it. For a
// file it yields nothing.
func (v *View) Children(path string) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		id, ok := v.tree.lookup(path)
		if !ok {
			_, err := v.Lookup(path)
			yield(nil, err)
			return
		}
		for _, c := range v.children(id) {
			it, err := v.item(c)
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
}

// Walk yields the entries under a directory, without the directory itself, each directory
// before its content, in the order of NTFS.
func (v *View) Walk(path string) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		id, ok := v.tree.lookup(path)
		if !ok {
			_, err := v.Lookup(path)
			yield(nil, err)
			return
		}
		stack := [][]nodeID{v.children(id)}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(*top) == 0 {
				stack = stack[:len(stack)-1]
				continue
			}
			c := (*top)[0]
			*top = (*top)[1:]
			it, err := v.item(c)
			if !yield(it, err) || err != nil {
				return
			}
			stack = append(stack, v.children(c))
		}
	}
}

// Open returns a reader of the single entry at a path, with its streams. It reads the layer
// up to the entry, which for a compressed layer means decompressing that much, unless the
// source has an index ([IndexedSource], [EntrySource]). The caller closes the reader.
func (v *View) Open(path string) (Reader, error) {
	id, ok := v.tree.lookup(path)
	if !ok {
		_, err := v.Lookup(path)
		return nil, err
	}
	r := v.Reader().(*unionReader)
	r.only = true
	n := &v.tree.nodes[id]
	if n.object == noObject || n.kind == Dir {
		r.queue = append(r.queue, id)
		r.layer = len(v.sources)
		return r, nil
	}
	o := &v.objects[n.object]
	if x := entriesOf(v.sources[o.layer]); x != nil {
		if err := r.openAt(x, id, o); err != nil {
			return nil, err
		}
		return r, nil
	}
	r.layer = int(o.layer) - 1
	if err := r.openNext(); err != nil {
		return nil, err
	}
	for {
		if err := r.advance(); err != nil {
			r.Close()
			if err == io.EOF {
				err = r.changed()
			}
			return nil, err
		}
		if r.ordinal == o.ordinal {
			r.queue = append(r.queue, id)
			return r, nil
		}
	}
}

// Reader yields the whole view as one layer without whiteouts: every directory before its
// contents, every file once with its content and then under its other names as a hard link,
// the layers from the lowest up, each in its own order. It reads every source once more.
// Readers are independent of each other.
func (v *View) Reader() Reader {
	return &unionReader{view: v, emitted: make([]uint64, len(v.tree.nodes)/64+1), layer: -1}
}

type unionReader struct {
	view    *View
	emitted []uint64 // one bit for each node
	// The selection of Select: one bit for each node, and the layers that have a part in it.
	// Both are nil if everything is yielded.
	selected []uint64
	wanted   []bool

	layer   int    // index of the open layer
	r       Reader // nil before the first and after the last
	ordinal int32
	entry   *Entry // of r
	object  int32  // of the entry

	queue []nodeID // to be yielded before r continues
	first nodeID   // the name under which the object's content is yielded
	only  bool     // only the queue is yielded
	out   Entry
	err   error // sticky

	// The streams of the last entry come from r, or from the stash at nextStream, or there
	// are none.
	fromLayer  bool
	nextStream int64 // -1: none
	dataAt     int64
	dataLeft   int64
	extent     extentState
	finder     ExtentFinder
	stream     *Stream
}

type extentState uint8

const (
	extentUnused extentState = iota
	extentInside
	extentsDone
)

func (r *unionReader) wasEmitted(id nodeID) bool { return r.emitted[id/64]&(1<<(id%64)) != 0 }
func (r *unionReader) setEmitted(id nodeID)      { r.emitted[id/64] |= 1 << (id % 64) }

// openNext closes the layer and opens the one above it.
func (r *unionReader) openNext() error {
	if r.r != nil {
		err := r.r.Close()
		r.r = nil
		if err != nil {
			return err
		}
	}
	r.layer++
	for r.wanted != nil && r.layer < len(r.wanted) && !r.wanted[r.layer] {
		r.layer++
	}
	r.ordinal = -1
	if r.layer >= len(r.view.sources) {
		return io.EOF
	}
	src, err := r.view.sources[r.layer].Open()
	if err != nil {
		return r.fail(err)
	}
	r.r = src
	return nil
}

// openAt opens a layer at the entry of an object, of which a name is to be yielded.
func (r *unionReader) openAt(x EntrySource, id nodeID, o *object) error {
	r.layer = int(o.layer)
	r.ordinal = o.ordinal - 1
	src, err := x.OpenAt(o.ordinal)
	if err != nil {
		return r.fail(err)
	}
	r.r = src
	if err := r.advance(); err != nil {
		if err == io.EOF {
			err = r.changed()
		}
		r.Close()
		return err
	}
	r.queue = append(r.queue, id)
	return nil
}

func (r *unionReader) advance() error {
	e, err := r.r.Next()
	if err == io.EOF {
		return err
	}
	if err != nil {
		return r.fail(err)
	}
	r.ordinal++
	if int(r.ordinal) >= len(r.view.byOrdinal[r.layer]) {
		return r.changed()
	}
	r.entry = e
	r.object = r.view.byOrdinal[r.layer][r.ordinal]
	if r.object != noObject && r.view.objects[r.object].kind != e.Kind {
		return r.changed()
	}
	return nil
}

func (r *unionReader) changed() error {
	return r.fail(fmt.Errorf("%w: the source has changed since it was indexed", ErrCorrupt))
}

func (r *unionReader) fail(err error) error {
	path := ""
	if r.entry != nil {
		path = r.entry.Path
	}
	return &Error{Op: "union", Layer: fmt.Sprintf("layer %d", r.layer), Entry: path, Index: int64(r.ordinal) + 1, Offset: -1, Err: err}
}

func (r *unionReader) Next() (*Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	e, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return e, nil
}

func (r *unionReader) next() (*Entry, error) {
	r.fromLayer, r.nextStream, r.stream, r.dataLeft = false, -1, nil, 0
	for len(r.queue) == 0 {
		if r.only || r.layer >= len(r.view.sources) {
			return nil, io.EOF
		}
		if r.r == nil {
			if err := r.openNext(); err != nil {
				return nil, err
			}
		}
		err := r.advance()
		if err == io.EOF {
			if int(r.ordinal)+1 != len(r.view.byOrdinal[r.layer]) {
				return nil, r.changed()
			}
			if err := r.openNext(); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.object == noObject {
			continue
		}
		r.first = none
		for id := r.view.objects[r.object].names; id != none; id = r.view.tree.nodes[id].next {
			if !r.isSelected(id) {
				continue
			}
			if r.first == none {
				r.first = id
			}
			r.enqueue(id)
		}
	}
	id := r.queue[0]
	r.queue = r.queue[1:]
	return r.yield(id)
}

// enqueue appends a name to the queue, after those of its directories that were not
// yielded.
func (r *unionReader) enqueue(id nodeID) {
	from := len(r.queue)
	for ; id > 0 && !r.wasEmitted(id); id = r.view.tree.nodes[id].parent {
		r.setEmitted(id)
		r.queue = append(r.queue, id)
	}
	slices.Reverse(r.queue[from:])
}

func (r *unionReader) yield(id nodeID) (*Entry, error) {
	v := r.view
	n := &v.tree.nodes[id]
	e := &r.out
	*e = Entry{Path: v.tree.path(id), Kind: n.kind}
	if n.object == noObject {
		e.Attributes = winfs.AttrDirectory
		return e, nil
	}
	o := &v.objects[n.object]
	if n.kind == Dir {
		r.nextStream = o.streams
		return e, v.metadata(o, e)
	}
	if !r.only && id != r.first {
		*e = Entry{Path: e.Path, Kind: Link, Target: v.tree.path(r.first), Attributes: r.entry.Attributes, Times: r.entry.Times}
		return e, nil
	}
	path := e.Path
	*e = *r.entry
	e.Path = path
	r.fromLayer = true
	return e, nil
}

func (r *unionReader) NextStream() (*Stream, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.extent, r.dataLeft = extentUnused, 0
	r.finder.Reset()
	if r.fromLayer {
		s, err := r.r.NextStream()
		if err != nil && err != io.EOF {
			r.err = r.fail(err)
			err = r.err
		}
		r.stream = s
		return s, err
	}
	if r.nextStream < 0 {
		r.stream = nil
		return nil, io.EOF
	}
	s, at, err := r.view.stash.getStream(r.nextStream)
	if err != nil {
		r.nextStream, r.stream = -1, nil
		return nil, err
	}
	r.stream, r.dataAt, r.dataLeft = s, at, s.Size
	r.nextStream = at + s.Size
	return s, nil
}

func (r *unionReader) Read(p []byte) (int, error) {
	if r.stream == nil || r.extent == extentsDone {
		return 0, io.EOF
	}
	if r.fromLayer {
		n, err := r.r.Read(p)
		if err != nil && err != io.EOF {
			err = r.fail(err)
		}
		return n, err
	}
	if r.finder.Active() {
		return r.finder.Read(p)
	}
	return stashReader{r}.Read(p)
}

// stashReader reads the rest of a stream in the stash.
type stashReader struct{ *unionReader }

func (r stashReader) Read(p []byte) (int, error) {
	if r.dataLeft == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.dataLeft {
		p = p[:r.dataLeft]
	}
	n, err := r.view.stash.ReadAt(p, r.dataAt)
	r.dataAt += int64(n)
	r.dataLeft -= int64(n)
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// StreamSum returns the sum of a stream that the layer knows; see [StreamHasher].
func (r *unionReader) StreamSum() (sum [32]byte, ok bool) {
	if h, is := r.r.(StreamHasher); is && r.fromLayer && r.stream != nil {
		return h.StreamSum()
	}
	return sum, false
}

// NextExtent returns the holes that the layer knows. The stash holds them as zeros. A
// stream with unknown holes is one extent.
func (r *unionReader) NextExtent() (Extent, error) {
	if x, ok := r.r.(ExtentReader); ok && r.fromLayer {
		return x.NextExtent()
	}
	if r.stream == nil {
		return Extent{}, io.EOF
	}
	if !r.fromLayer && r.stream.Sparse {
		return r.finder.Next(stashReader{r}, r.stream.Size)
	}
	if r.extent != extentUnused || r.stream.Size == 0 {
		r.extent = extentsDone
		return Extent{}, io.EOF
	}
	r.extent = extentInside
	return Extent{Length: r.stream.Size}, nil
}

// Close closes the open layer, but not the view.
func (r *unionReader) Close() error {
	r.err = ErrClosed
	if r.r == nil {
		return nil
	}
	err := r.r.Close()
	r.r = nil
	return err
}

// Source returns the view as a source, for Diff or for a union of its own.
func (v *View) Source() Source { return SourceFunc(func() (Reader, error) { return v.Reader(), nil }) }
