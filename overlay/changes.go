package overlay

import (
	"errors"
	"io"
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Changes returns the changes as the entries of a layer, in the order of the tree: a
// directory before its contents, and in it whiteouts first, then names in the order of
// NTFS. Directories are included if they were changed, are new, or lead to a change. The
// first name of a file with several is the file, the others are links to it; a new name of
// a file that is otherwise unchanged, and still has a name from the lower tree, is a link
// to that name. A file that was only renamed is included with its content, because its old
// name is gone.
//
// A directory that the lower tree has too keeps its spelling there: a layer cannot change
// that without repeating all its contents.
//
// A directory that was removed and created again has whiteouts for the contents of the
// lower one, so that a layer never has a whiteout and an entry for one path.
//
// The tree must not change until the reader is closed. The caller closes the reader before
// the tree.
func (t *Tree) Changes() (layer.Reader, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := planner{t: t}
	if err := p.run(); err != nil {
		return nil, &Error{"changes", "", err}
	}
	return &changesReader{t: t, list: p.out}, nil
}

// planned is an entry to be yielded.
type planned struct {
	path   string
	kind   layer.Kind
	id     uint64
	target string
	same   bool // a name that the file has in the lower tree too
	keep   bool
}

// planner compares the tree with the lower one.
type planner struct {
	t       *Tree
	touched map[uint64]bool     // changed, or above a change
	below   map[uint64][]uint64 // children of a directory that are touched
	full    bool                // every directory must be compared
	out     []planned
}

// errNeedsAll reports that the names of a file have to be searched in all directories.
var errNeedsAll = errors.New("a moved file has other names")

func (p *planner) run() error {
	if p.t.closed {
		return ErrClosed
	}
	p.mark()
	root := p.t.objects[p.t.root]
	err := p.dir(root, root.lower, "", 0)
	if err == errNeedsAll {
		p.full, p.out = true, nil
		err = p.dir(root, root.lower, "", 0)
	}
	if err != nil {
		return err
	}
	if err := p.files(); err != nil {
		return err
	}
	p.prune()
	return nil
}

// mark finds the directories that lead to changes. The names of one file may be anywhere,
// so that after a change to a file that has several names in the lower tree, every
// directory is compared.
func (p *planner) mark() {
	t := p.t
	p.touched, p.below = map[uint64]bool{}, map[uint64][]uint64{}
	ids := make([]uint64, 0, len(t.objects))
	for id := range t.objects {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		o := t.objects[id]
		if !o.changed() && len(o.names) == 0 && o.delta == 0 {
			continue
		}
		if o.lower != nil && !o.dir && o.links() > 0 && (o.base > 1 || o.delta != 0) {
			p.full = true
		}
		for n := 0; !p.touched[o.id] && n <= winfs.MaxPath; n++ {
			p.touched[o.id] = true
			up := t.objects[o.place.dir]
			if up == nil || o.place.dir == 0 {
				break
			}
			p.below[up.id] = append(p.below[up.id], o.id)
			o = up
		}
	}
}

// name is a name of a directory to be compared.
type name struct {
	name  string
	id    uint64 // 0: removed
	below string // its spelling in the lower tree, "" if that has none
	was   uint64 // its object there
}

// names lists the names of a directory that may differ from those of the lower tree's
// directory at the same path.
func (p *planner) names(d *object, lower File) ([]name, error) {
	var out []name
	old := map[string]Entry{}
	asBelow := lower != nil && d.lower != nil && d.lower.ID() == lower.ID() && !p.full
	if lower != nil && (!asBelow || len(d.names) > 0 || len(p.below[d.id]) > 0) {
		for e, err := range lower.Entries() {
			if err != nil {
				return nil, err
			}
			old[winfs.Fold(e.Name)] = e
		}
	}
	if asBelow {
		for key, r := range d.names {
			out = append(out, name{name: r.name, id: r.id, below: old[key].Name, was: old[key].ID})
		}
		for _, id := range p.below[d.id] {
			key := winfs.Fold(p.t.objects[id].place.name)
			if _, ok := d.names[key]; ok {
				continue
			}
			if e := old[key]; e.ID == id {
				out = append(out, name{name: e.Name, id: id, below: e.Name, was: id})
			}
		}
	} else {
		list, err := p.t.list(d)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			key := winfs.Fold(e.Name)
			o := old[key]
			out = append(out, name{name: e.Name, id: e.ID, below: o.Name, was: o.ID})
			delete(old, key)
		}
		for _, e := range old {
			out = append(out, name{name: e.Name, below: e.Name, was: e.ID})
		}
	}
	slices.SortFunc(out, func(a, b name) int {
		if (a.id == 0) != (b.id == 0) {
			if a.id == 0 {
				return -1
			}
			return 1
		}
		return winfs.CompareFold(a.name, b.name)
	})
	return out, nil
}

// maxDepth is greater than the depth of any path of 32,767 units.
const maxDepth = 16384

// dir plans a directory and everything below it. lower is the lower tree's directory at the
// same path, nil if there is none.
func (p *planner) dir(d *object, lower File, path string, depth int) error {
	if depth > maxDepth {
		return ErrNameTooLong
	}
	list, err := p.names(d, lower)
	if err != nil {
		return err
	}
	for _, n := range list {
		if n.id == 0 {
			if n.below != "" {
				p.out = append(p.out, planned{path: winfs.JoinPath(path, n.below), kind: layer.Whiteout, keep: true})
			}
			continue
		}
		if err := p.name(n, lower, winfs.JoinPath(path, n.name), depth); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) name(n name, lower File, path string, depth int) error {
	same := n.id == n.was && n.name == n.below
	o := p.t.objects[n.id]
	if o == nil {
		f, err := p.t.lower.File(n.id)
		if err != nil {
			return err
		}
		links, err := f.NumLinks()
		if err != nil {
			return err
		}
		o = &object{id: n.id, dir: f.IsDir(), lower: f, base: links}
	}
	if !o.dir {
		if o.lower != nil && o.base > 1 && !same && !p.full {
			return errNeedsAll // its other names may be anywhere
		}
		p.out = append(p.out, planned{path: path, kind: layer.File, id: o.id, same: same})
		return nil
	}
	var under File
	if n.was != 0 {
		f, err := p.t.lower.File(n.was)
		if err != nil {
			return err
		}
		if f.IsDir() {
			under = f
			dir, _ := winfs.SplitPath(path)
			path = winfs.JoinPath(dir, n.below)
		}
	}
	p.out = append(p.out, planned{path: path, kind: layer.Dir, id: o.id, keep: n.id != n.was || o.changed()})
	if n.id == n.was && !p.full && !p.touched[o.id] {
		return nil
	}
	return p.dir(o, under, path, depth+1)
}

// files decides for each name of a file whether it is the file, a link, or omitted.
func (p *planner) files() error {
	names := map[uint64][]int{}
	var order []uint64
	for i := range p.out {
		if e := &p.out[i]; e.kind == layer.File {
			if names[e.id] == nil {
				order = append(order, e.id)
			}
			names[e.id] = append(names[e.id], i)
		}
	}
	for _, id := range order {
		list := names[id]
		o := p.t.objects[id]
		first := -1
		if o == nil || !o.changed() {
			for _, i := range list {
				if p.out[i].same && first < 0 {
					first = i
				}
			}
		}
		unchanged := first >= 0
		if !unchanged {
			first = list[0]
		}
		for _, i := range list {
			e := &p.out[i]
			switch {
			case unchanged && e.same:
			case i == first:
				e.keep = true
			default:
				e.keep, e.kind, e.target = true, layer.Link, p.out[first].path
			}
		}
	}
	return nil
}

// prune removes entries that are as in the lower tree and lead to no change.
func (p *planner) prune() {
	needed := map[string]bool{}
	for i := len(p.out) - 1; i >= 0; i-- {
		e := &p.out[i]
		if e.kind == layer.Dir && needed[e.path] {
			e.keep = true
		}
		if e.keep {
			up, _ := winfs.SplitPath(e.path)
			needed[up] = true
		}
	}
	p.out = slices.DeleteFunc(p.out, func(e planned) bool { return !e.keep })
}

// changesReader yields the planned entries.
type changesReader struct {
	t    *Tree
	list []planned
	next int
	err  error

	entry   layer.Entry
	o       *object
	streams []altStream
	loaded  bool
	stream  layer.Stream
	data    io.Reader // of the current stream
	used    *content  // data file that is open for it
	finder  layer.ExtentFinder
	extent  extentState
}

type extentState uint8

const (
	extentUnused extentState = iota
	extentInside
	extentsDone
)

var (
	_ layer.Reader       = (*changesReader)(nil)
	_ layer.ExtentReader = (*changesReader)(nil)
)

func (r *changesReader) fail(err error) error {
	path := ""
	if r.next > 0 && r.next <= len(r.list) {
		path = r.list[r.next-1].path
	}
	r.err = &layer.Error{Op: "read changes", Layer: r.t.dir, Entry: path, Index: int64(r.next), Offset: -1, Err: err}
	return r.err
}

// Next returns the next entry.
func (r *changesReader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.endStream(); err != nil {
		return nil, r.fail(err)
	}
	r.o, r.streams, r.loaded = nil, nil, false
	if r.next == len(r.list) {
		r.err = io.EOF
		return nil, r.err
	}
	e := &r.list[r.next]
	r.next++
	r.entry = layer.Entry{Path: e.path, Kind: e.kind, Target: e.target}
	if e.kind == layer.Whiteout {
		return &r.entry, nil
	}
	if err := r.describe(e.id); err != nil {
		return nil, r.fail(err)
	}
	return &r.entry, nil
}

func (r *changesReader) describe(id uint64) error {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	o := t.objects[id]
	if o == nil {
		f, err := t.lower.File(id)
		if err != nil {
			return err
		}
		o = &object{id: id, dir: f.IsDir(), lower: f}
	}
	e := &r.entry
	e.Attributes, e.Times = o.attributes(), o.times()
	if e.Attributes == 0 {
		e.Attributes = winfs.AttrNormal
	}
	if e.Kind == layer.Link {
		return nil
	}
	e.Size = o.size()
	var err error
	if e.Security, err = o.security(); err != nil {
		return err
	}
	if e.Reparse, err = o.reparse(); err != nil {
		return err
	}
	eas, err := o.eas()
	if err != nil {
		return err
	}
	if e.EAs, err = winfs.DecodeEAs(eas); err != nil {
		return err
	}
	r.o = o
	return nil
}

// NextStream returns the next stream of the entry.
func (r *changesReader) NextStream() (*layer.Stream, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if err := r.endStream(); err != nil {
		return nil, r.fail(err)
	}
	if r.o == nil {
		return nil, io.EOF
	}
	s, err := r.openStream()
	if err != nil && err != io.EOF {
		return nil, r.fail(err)
	}
	return s, err
}

func (r *changesReader) openStream() (*layer.Stream, error) {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	if !r.loaded {
		r.loaded = true
		list, err := r.o.streamList()
		if err != nil {
			return nil, err
		}
		if !r.o.dir {
			main := altStream{data: r.o.main}
			if main.data == nil && r.o.lower != nil {
				if main.lower, err = r.o.lower.Open(); err != nil {
					return nil, err
				}
			}
			list = append([]altStream{main}, list...)
		}
		r.streams = list
	}
	if len(r.streams) == 0 {
		return nil, io.EOF
	}
	s := r.streams[0]
	r.streams = r.streams[1:]
	r.stream = layer.Stream{Name: s.name}
	switch {
	case s.data != nil:
		r.stream.Size = s.data.size.Load()
		if err := t.use(s.data); err != nil {
			return nil, err
		}
		r.used, r.data = s.data, io.NewSectionReader(s.data.file, 0, r.stream.Size)
	case s.lower != nil:
		r.stream.Size = s.lower.Size()
		r.data = io.NewSectionReader(s.lower, 0, r.stream.Size)
	default:
		r.data = io.MultiReader()
	}
	r.stream.Sparse = s.name == "" && r.entry.Attributes&winfs.AttrSparse != 0
	return &r.stream, nil
}

func (r *changesReader) endStream() error {
	r.data, r.extent = nil, extentUnused
	r.finder.Reset()
	if r.used == nil {
		return nil
	}
	c := r.used
	r.used = nil
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.t.closed {
		return nil
	}
	return r.t.done(c)
}

// Read reads the stream.
func (r *changesReader) Read(b []byte) (int, error) {
	if r.data == nil || r.extent == extentsDone {
		return 0, io.EOF
	}
	if r.finder.Active() {
		return r.finder.Read(b)
	}
	n, err := (*sized)(r).Read(b)
	if err != nil && err != io.EOF {
		err = r.fail(err)
	}
	return n, err
}

// sized reads the current stream and reports an error if it has become shorter.
type sized changesReader

func (r *sized) Read(b []byte) (int, error) {
	n, err := r.data.Read(b)
	if err == io.EOF {
		if s, ok := r.data.(*io.SectionReader); ok {
			if at, _ := s.Seek(0, io.SeekCurrent); at < s.Size() {
				err = io.ErrUnexpectedEOF
			}
		}
	}
	return n, err
}

// NextExtent finds the holes of a sparse stream.
func (r *changesReader) NextExtent() (layer.Extent, error) {
	if r.err != nil && r.err != io.EOF {
		return layer.Extent{}, r.err
	}
	if r.data == nil {
		return layer.Extent{}, io.EOF
	}
	if r.stream.Sparse {
		x, err := r.finder.Next((*sized)(r), r.stream.Size)
		if err != nil && err != io.EOF {
			err = r.fail(err)
		}
		return x, err
	}
	if r.extent != extentUnused || r.stream.Size == 0 {
		r.extent = extentsDone
		return layer.Extent{}, io.EOF
	}
	r.extent = extentInside
	return layer.Extent{Length: r.stream.Size}, nil
}

// Close closes the reader. The tree stays open.
func (r *changesReader) Close() error {
	err := r.endStream()
	if r.err == nil || errors.Is(r.err, io.EOF) {
		r.err = layer.ErrClosed
	}
	return err
}
