package overlay

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mullion/mullion/winfs"
)

// firstNew is the first number of an object that the lower tree does not have.
const firstNew = 1 << 40

// object is a file or directory that is in use or was changed.
type object struct {
	id    uint64
	dir   bool
	lower File // nil for a new object
	base  int  // names that it has in the lower tree
	delta int  // names more or less than that

	over    overrides
	main    *content            // of the main stream; nil: the lower tree's
	streams map[string]*altered // by folded name
	names   map[string]nameRef  // of a directory, by folded name: those that differ from the lower tree
	dirty   bool                // the main stream was written since its times were recorded

	// place is one name of the object; dir is 0 if none is known.
	place struct {
		dir  uint64
		name string
	}
	adopted bool // the object is in the journal

	refs    uint64 // of callers that looked it up
	handles int
	pins    int // objects whose place is in this directory

	copying sync.Mutex // held while the main stream is copied up or truncated
}

// nameRef is the object of a name that differs from the lower tree; id 0 is none.
type nameRef struct {
	name  string // its spelling
	id    uint64
	below uint64 // its object in the lower tree, 0 for none
}

// altered is an alternate stream that was written or removed.
type altered struct {
	name string
	data *content // nil: removed
}

// content is a file below data/.
type content struct {
	n    uint64
	size atomic.Int64
	file *os.File // while opens > 0
	open int
}

func (o *object) links() int { return max(o.base+o.delta, 0) }

// changed reports whether the object itself, apart from its names, differs from the lower
// tree.
func (o *object) changed() bool {
	return o.lower == nil || o.over.mask != 0 || o.main != nil || len(o.streams) > 0
}

func (o *object) attributes() winfs.Attributes {
	var a winfs.Attributes
	if o.over.mask&setAttributes != 0 {
		a = o.over.attributes
	} else if o.lower != nil {
		a = o.lower.Attributes()
	}
	a &^= winfs.AttrDirectory | winfs.AttrReparsePoint
	if o.dir {
		a |= winfs.AttrDirectory
	}
	if o.over.mask&setReparse != 0 && len(o.over.reparse) > 0 ||
		o.over.mask&setReparse == 0 && o.lower != nil && o.lower.Attributes()&winfs.AttrReparsePoint != 0 {
		a |= winfs.AttrReparsePoint
	}
	return a
}

func (o *object) times() winfs.Times {
	if o.over.mask&setTimes != 0 || o.lower == nil {
		return o.over.times
	}
	return o.lower.Times()
}

func (o *object) security() ([]byte, error) {
	if o.over.mask&setSecurity != 0 || o.lower == nil {
		return o.over.security, nil
	}
	return o.lower.Security()
}

func (o *object) eas() ([]byte, error) {
	if o.over.mask&setEAs != 0 || o.lower == nil {
		return o.over.eas, nil
	}
	return o.lower.EAs()
}

func (o *object) reparse() ([]byte, error) {
	if o.over.mask&setReparse != 0 || o.lower == nil {
		return o.over.reparse, nil
	}
	if o.lower.Attributes()&winfs.AttrReparsePoint == 0 {
		return nil, nil
	}
	return o.lower.Reparse()
}

func (o *object) size() int64 {
	switch {
	case o.dir:
		return 0
	case o.main != nil:
		return o.main.size.Load()
	case o.lower != nil:
		return o.lower.Size()
	}
	return 0
}

// link returns the reparse point of a symbolic link or junction, nil for any other
// object.
func (o *object) link() (*winfs.ReparsePoint, error) {
	if o.attributes()&winfs.AttrReparsePoint == 0 {
		return nil, nil
	}
	b, err := o.reparse()
	if err != nil {
		return nil, err
	}
	return linkOf(b), nil
}

// linkOf parses the buffer of a link; it returns nil if it is not one.
func linkOf(b []byte) *winfs.ReparsePoint {
	p, err := winfs.ParseReparse(b)
	if err != nil || p.Tag != winfs.ReparseTagSymlink && p.Tag != winfs.ReparseTagMountPoint {
		return nil
	}
	return p
}

// isDir reports whether programs see a directory, which a link to one is not.
func (o *object) isDir() (bool, error) {
	if !o.dir {
		return false, nil
	}
	p, err := o.link()
	return p == nil, err
}

// streamList returns the alternate streams, those of the lower tree first.
func (o *object) streamList() ([]altStream, error) {
	var out []altStream
	if o.lower != nil {
		list, err := o.lower.Streams()
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if _, ok := o.streams[winfs.Fold(s.Name())]; !ok {
				out = append(out, altStream{name: s.Name(), lower: s})
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.streams)) {
		if a := o.streams[key]; a.data != nil {
			out = append(out, altStream{name: a.name, data: a.data})
		}
	}
	return out, nil
}

// altStream is an alternate stream, in the lower tree or in a data file.
type altStream struct {
	name  string
	lower Stream
	data  *content
}

func (s altStream) size() int64 {
	if s.data != nil {
		return s.data.size.Load()
	}
	return s.lower.Size()
}

// load returns an object of the lower tree, from memory or from the lower tree.
func (t *Tree) load(id uint64) (*object, error) {
	if o := t.objects[id]; o != nil {
		return o, nil
	}
	if id >= firstNew {
		return nil, fs.ErrNotExist
	}
	f, err := t.lower.File(id)
	if err != nil {
		return nil, err
	}
	return t.enter(f)
}

func (t *Tree) enter(f File) (*object, error) {
	id := f.ID()
	if o := t.objects[id]; o != nil {
		return o, nil
	}
	n, err := f.NumLinks()
	if err != nil {
		return nil, err
	}
	o := &object{id: id, dir: f.IsDir(), lower: f, base: n}
	t.objects[id] = o
	return o, nil
}

// setPlace records a name of an object.
func (t *Tree) setPlace(o *object, dir uint64, name string) {
	if o.place.dir == dir {
		o.place.name = name
		return
	}
	if d := t.objects[o.place.dir]; d != nil && o.place.dir != 0 {
		if d.pins--; d.pins == 0 && t.settled {
			t.idle = append(t.idle, d)
		}
	}
	o.place.dir, o.place.name = dir, name
	if d := t.objects[dir]; d != nil && dir != 0 {
		d.pins++
	}
}

// drop forgets an object that is not needed: one without a name that is not open, or one
// that is as in the lower tree.
func (t *Tree) drop(o *object) {
	for t.settled && o != nil && o.id != t.root && o.refs == 0 && o.handles == 0 && o.pins == 0 {
		if o.links() > 0 && (o.adopted || o.changed() || len(o.names) > 0) {
			return
		}
		if t.objects[o.id] != o {
			return
		}
		delete(t.objects, o.id)
		t.discard(o.main)
		for _, a := range o.streams {
			t.discard(a.data)
		}
		var up *object
		if o.place.dir != 0 {
			if up = t.objects[o.place.dir]; up != nil {
				up.pins--
			}
			o.place.dir = 0
		}
		o = up
	}
}
