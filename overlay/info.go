package overlay

import (
	"bytes"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// Kind is the kind of an object as programs see it.
type Kind uint8

// The kinds. A symbolic link or junction is a Symlink, to Windows either a directory or a
// file. Hard links are names of one object and have no kind.
const (
	Regular Kind = iota
	Directory
	Symlink
)

// Info describes an object.
type Info struct {
	ID         uint64
	Kind       Kind
	Size       int64 // of the main stream
	Links      int
	Attributes winfs.Attributes
	Times      winfs.Times
	EAs        []byte              // FILE_FULL_EA_INFORMATION; nil: none
	Target     *winfs.ReparsePoint // of a Symlink
}

// info describes an object without counting a reference.
func (t *Tree) info(o *object) (Info, error) {
	i := Info{ID: o.id, Size: o.size(), Links: o.links(), Attributes: o.attributes(), Times: o.times()}
	var err error
	if i.EAs, err = o.eas(); err != nil {
		return Info{}, err
	}
	if i.Target, err = o.link(); err != nil {
		return Info{}, err
	}
	switch {
	case i.Target != nil:
		i.Kind = Symlink
	case o.dir:
		i.Kind = Directory
	}
	return i, nil
}

// hold describes an object and counts a reference.
func (t *Tree) hold(o *object) (Info, error) {
	i, err := t.info(o)
	if err != nil {
		t.drop(o)
		return Info{}, err
	}
	o.refs++
	return i, nil
}

// Lookup finds a name in a directory; the error is fs.ErrNotExist if it does not exist.
func (t *Tree) Lookup(dir uint64, name string) (Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return Info{}, ErrClosed
	}
	d, err := t.load(dir)
	if err != nil {
		return Info{}, err
	}
	o, _, err := t.child(d, name)
	if err != nil {
		return Info{}, err
	}
	return t.hold(o)
}

// Forget releases n references, counted by the calls that returned an Info.
func (t *Tree) Forget(id, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[id]; o != nil {
		o.refs -= min(n, o.refs)
		t.drop(o)
	}
}

// Stat describes an object without counting a reference.
func (t *Tree) Stat(id uint64) (Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return Info{}, err
	}
	return t.info(o)
}

// Path returns the path of an object from the root, with backslashes, under one of
// its names.
func (t *Tree) Path(id uint64) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var names []string
	for o := t.objects[id]; o != nil && o.id != t.root && len(names) <= winfs.MaxPath; o = t.objects[o.place.dir] {
		names = append(names, o.place.name)
	}
	slices.Reverse(names)
	path := ""
	for _, n := range names {
		path = winfs.JoinPath(path, n)
	}
	return path
}

// ReadDir lists a directory in the order of NTFS.
func (t *Tree) ReadDir(id uint64) ([]Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.load(id)
	if err != nil {
		return nil, err
	}
	return t.list(d)
}

func (t *Tree) list(d *object) ([]Entry, error) {
	if !d.dir {
		return nil, ErrNotDirectory
	}
	var out []Entry
	if d.lower != nil && d.links() > 0 {
		for e, err := range d.lower.Entries() {
			if err != nil {
				return nil, err
			}
			if len(d.names) > 0 {
				if _, ok := d.names[winfs.Fold(e.Name)]; ok {
					continue
				}
			}
			out = append(out, e)
		}
	}
	added := false
	for _, r := range d.names {
		if r.id != 0 {
			e := Entry{Name: r.name, ID: r.id}
			if o := t.objects[r.id]; o != nil {
				e.DirKnown = true
				e.Dir, _ = o.isDir()
			}
			out = append(out, e)
			added = true
		}
	}
	if added {
		slices.SortFunc(out, func(a, b Entry) int { return winfs.CompareFold(a.Name, b.Name) })
	}
	return out, nil
}

// Security returns the security descriptor, nil if there is none.
func (t *Tree) Security(id uint64) ([]byte, error) { return t.blob(id, (*object).security) }

// Reparse returns the reparse buffer, nil if there is none.
func (t *Tree) Reparse(id uint64) ([]byte, error) { return t.blob(id, (*object).reparse) }

func (t *Tree) blob(id uint64, get func(*object) ([]byte, error)) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return nil, err
	}
	return get(o)
}

// Change is the argument of Set; metadata of nil fields is not changed.
type Change struct {
	Attributes *winfs.Attributes // DIRECTORY and REPARSE_POINT follow from the object
	// Times; those that are nil are not changed, except Change, which becomes the current
	// time.
	Creation, LastAccess, LastWrite, Change *winfs.Filetime
	// Empty buffers remove the metadata.
	Security, EAs, Reparse *[]byte
}

// Set changes metadata of an object. The caller has checked that the buffers are in the
// form of Windows.
func (t *Tree) Set(id uint64, c Change) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return err
	}
	ops, err := t.adopt(nil, o)
	if err != nil {
		return err
	}
	set := overrides{mask: setTimes, times: o.times()}
	set.times.Change = t.now()
	for _, f := range []struct {
		from *winfs.Filetime
		to   *winfs.Filetime
	}{{c.Creation, &set.times.Creation}, {c.LastAccess, &set.times.LastAccess}, {c.LastWrite, &set.times.LastWrite}, {c.Change, &set.times.Change}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if c.Attributes != nil {
		set.mask |= setAttributes
		set.attributes = *c.Attributes &^ (winfs.AttrDirectory | winfs.AttrReparsePoint)
	}
	for _, f := range []struct {
		from *[]byte
		to   *[]byte
		mask fields
	}{{c.Security, &set.security, setSecurity}, {c.EAs, &set.eas, setEAs}, {c.Reparse, &set.reparse, setReparse}} {
		if f.from == nil {
			continue
		}
		if len(*f.from) > maxBlob {
			return ErrTooLarge
		}
		set.mask |= f.mask
		if *f.to = bytes.Clone(*f.from); len(*f.to) == 0 {
			*f.to = nil
		}
	}
	if o.links() == 0 {
		o.over.merge(&set) // open, but without a name
		return nil
	}
	return t.commit(append(ops, op{code: opSet, id: o.id, set: set}))
}
