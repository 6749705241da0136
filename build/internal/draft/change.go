package draft

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// maxNames is the number of names that NTFS gives a file.
const maxNames = 1024

// Mkdir makes a directory in one that exists.
func (d *Draft) Mkdir(path string, m Meta) error {
	dir, name, err := d.newName(path)
	if err == nil {
		err = d.mkdir(dir, name, m)
	}
	if err != nil {
		return fail("mkdir", path, err)
	}
	return nil
}

func (d *Draft) mkdir(dir place, name string, m Meta) error {
	e := layer.Entry{Kind: layer.Dir, Attributes: m.Attributes}
	if err := d.describe(dir, name, &e, m); err != nil {
		return err
	}
	_, err := d.put(dir, name, &object{entry: e, changed: true})
	return err
}

// MkdirAll makes a directory with its parents, all with the same metadata. Those that exist
// stay as they are.
func (d *Draft) MkdirAll(path string, m Meta) error {
	if err := winfs.ValidatePath(path); err != nil {
		return fail("mkdir", path, err)
	}
	// From the end: the deepest directory that exists.
	var todo []string
	for up := path; ; up, _ = winfs.SplitPath(up) {
		p, err := d.dir(up)
		if err == nil {
			break
		}
		if !isNotExist(err) {
			return fail("mkdir", path, err)
		}
		if it, err := d.Lookup(up); err == nil && IsLink(&it.Entry) {
			return fail("mkdir", path, fmt.Errorf("%w: the target of the link %s", fs.ErrNotExist, p.path))
		}
		todo = append(todo, up)
	}
	for _, dir := range slices.Backward(todo) {
		if err := d.Mkdir(dir, m); err != nil {
			return err
		}
	}
	return nil
}

// Write makes a file in a directory that exists, or replaces the content of one as a program
// does that creates a file over another (CREATE_ALWAYS; MS-FSA 2.1.5.1.2): its alternate
// streams and extended attributes go, its descriptor and creation time stay, and so do its
// attributes where m says nothing. All names of the file show the new content. A link at the
// path is replaced by a file of its own.
func (d *Draft) Write(path string, c Content, m Meta) error {
	if err := d.write(path, c, m); err != nil {
		return fail("write", path, err)
	}
	return nil
}

func (d *Draft) write(path string, c Content, m Meta) error {
	size := c.Size()
	if size < 0 {
		return fmt.Errorf("%w: size %d", ErrContent, size)
	}
	return d.fill(path, source{data: c, size: size}, m)
}

// source is what a file is made of.
type source struct {
	data       Content
	size       int64
	from       Lower
	at         string
	attributes winfs.Attributes
	eas        []winfs.EA
}

// fill gives a file its content, a new one or one that exists.
func (d *Draft) fill(path string, src source, m Meta) error {
	dir, name, it, err := d.target(path)
	if err != nil {
		return err
	}
	if it != nil && it.Kind == layer.Dir {
		return ErrIsDir
	}
	replaced := int64(0)
	if n := dir.step(name).n; n != nil && n.o != nil {
		replaced = n.o.counted
	}
	switch {
	case src.size > d.limits.FileSize:
		return &layer.LimitError{Limit: "FileSize", Max: d.limits.FileSize}
	case src.size > d.limits.TotalSize-d.total+replaced:
		return &layer.LimitError{Limit: "TotalSize", Max: d.limits.TotalSize}
	}
	if it == nil || IsLink(&it.Entry) {
		e := layer.Entry{Kind: layer.File, Attributes: m.Attributes, EAs: src.eas, Size: src.size}
		if e.Attributes == 0 {
			e.Attributes = src.attributes
		}
		if err := d.describe(dir, name, &e, m); err != nil {
			return err
		}
		_, err := d.put(dir, name, &object{entry: e, data: src.data, from: src.from, at: src.at, changed: true, counted: src.size})
		if err == nil {
			d.total += src.size
		}
		return err
	}
	o, err := d.adopt(dir.step(name), it)
	if err != nil {
		return err
	}
	e := o.entry
	e.EAs, e.Reparse, e.Size, e.NoMain = src.eas, nil, src.size, false
	e.Attributes &^= winfs.AttrReparsePoint | winfs.AttrSparse
	switch {
	case m.Attributes != 0:
		e.Attributes = m.Attributes
	case src.attributes != 0:
		e.Attributes = src.attributes
	default:
		e.Attributes |= winfs.AttrArchive
	}
	e.Attributes = proper(e.Attributes, &e)
	if m.Security != nil {
		e.Security = m.Security
	}
	for _, t := range []struct {
		to   *winfs.Filetime
		want winfs.Filetime
		or   winfs.Filetime
	}{
		{&e.Times.Creation, m.Times.Creation, 0}, {&e.Times.LastAccess, m.Times.LastAccess, d.now},
		{&e.Times.LastWrite, m.Times.LastWrite, d.now}, {&e.Times.Change, m.Times.Change, d.now},
	} {
		if t.want == 0 {
			t.want = t.or
		}
		if t.want != 0 {
			*t.to = t.want
		}
	}
	if err := d.check(path, &e); err != nil {
		return err
	}
	d.total += src.size - o.counted
	o.counted = src.size
	o.entry, o.data, o.from, o.at, o.changed = e, src.data, src.from, src.at, true
	return nil
}

// Copy makes or replaces a file with all streams and the extended attributes of another file
// of the draft, as CopyFile does: the attributes and the time of the last write are those of
// the source where m says nothing, the descriptor is that of the target, or inherited. A link
// is copied as a link.
func (d *Draft) Copy(from, to string, m Meta) error {
	p, err := d.find(from)
	var it *layer.Item
	if err == nil {
		it, err = d.item(p)
	}
	if err != nil {
		return fail("copy", from, err)
	}
	src := source{from: d.lower, at: it.Path}
	if p.n != nil && p.n.o != nil {
		o := p.n.o
		src = source{data: o.data, from: o.from, at: o.at}
		if q, err := d.find(to); err == nil && q.n != nil && q.n.o == o {
			return fail("copy", to, fmt.Errorf("%w: a file is copied to itself", fs.ErrInvalid))
		}
	} else if real, err := d.find(to); err == nil && winfs.EqualFold(real.path, p.path) {
		return fail("copy", to, fmt.Errorf("%w: a file is copied to itself", fs.ErrInvalid))
	}
	return d.copy(src, it, to, m)
}

// Import is Copy from another tree, which must not change nor be closed while the draft is
// used.
func (d *Draft) Import(tree Lower, from, to string, m Meta) error {
	it, err := tree.Lookup(from)
	if err != nil {
		return fail("copy", from, err)
	}
	return d.copy(source{from: tree, at: it.Path}, it, to, m)
}

func (d *Draft) copy(src source, it *layer.Item, to string, m Meta) error {
	if it.Defect != nil {
		return fail("copy", it.Path, fmt.Errorf("%w: %w", ErrDefect, it.Defect))
	}
	if m.Times.LastWrite == 0 {
		m.Times.LastWrite = it.Times.LastWrite
		for _, t := range []*winfs.Filetime{&m.Times.Creation, &m.Times.LastAccess, &m.Times.Change} {
			if *t == 0 {
				*t = d.now
			}
		}
	}
	if IsLink(&it.Entry) {
		if m.Attributes == 0 {
			m.Attributes = it.Attributes
		}
		if err := d.link(to, it.Kind == layer.Dir, it.Reparse, m); err != nil {
			return fail("copy", to, err)
		}
		return nil
	}
	if it.Kind == layer.Dir {
		return fail("copy", it.Path, ErrIsDir)
	}
	src.attributes, src.size = it.Attributes, it.Size
	if src.attributes == 0 {
		src.attributes = winfs.AttrArchive
	}
	for _, a := range it.EAs {
		src.eas = append(src.eas, winfs.EA{Name: a.Name, Flags: a.Flags, Value: slices.Clone(a.Value)})
	}
	if err := d.fill(to, src, m); err != nil {
		return fail("copy", to, err)
	}
	// A reparse point that is no link, such as a compressed file, is part of the content.
	if len(it.Reparse) > 0 {
		p, err := d.find(to)
		if err != nil {
			return fail("copy", to, err)
		}
		p.n.o.entry.Reparse = slices.Clone(it.Reparse)
		p.n.o.entry.Attributes = proper(p.n.o.entry.Attributes, &p.n.o.entry)
	}
	return nil
}

// Link makes path another name of the file target.
func (d *Draft) Link(path, target string) error {
	if err := d.hardLink(path, target); err != nil {
		return fail("link", path, err)
	}
	return nil
}

func (d *Draft) hardLink(path, target string) error {
	p, err := d.find(target)
	if err != nil {
		return err
	}
	it, err := d.item(p)
	if err != nil {
		return err
	}
	dir, name, err := d.newName(path)
	if err != nil {
		return err
	}
	e := layer.Entry{Kind: layer.Link, Path: winfs.JoinPath(dir.path, name), Target: it.Path}
	if it.Kind != layer.File {
		return fmt.Errorf("%w: %s is a directory", layer.ErrLinkTarget, it.Path)
	}
	if err := layer.CheckPlace(&e); err != nil {
		return err
	}
	if it.Links >= maxNames {
		return fmt.Errorf("%w: NTFS gives a file %d names at most", layer.ErrUnsupported, maxNames)
	}
	o, err := d.adopt(p, it)
	if err != nil {
		return err
	}
	_, err = d.put(dir, name, o)
	return err
}

// Reparse makes a file, or with dir a directory, with a reparse buffer, such as a link; or
// sets the buffer of a file or empty directory that exists.
func (d *Draft) Reparse(path string, dir bool, buffer []byte, m Meta) error {
	if err := d.link(path, dir, buffer, m); err != nil {
		return fail("make reparse point", path, err)
	}
	return nil
}

func (d *Draft) link(path string, isDir bool, buffer []byte, m Meta) error {
	if err := winfs.CheckReparse(buffer); err != nil {
		return err
	}
	dir, name, it, err := d.target(path)
	if err != nil {
		return err
	}
	kind := layer.File
	if isDir {
		kind = layer.Dir
	}
	e := layer.Entry{Kind: kind, Path: winfs.JoinPath(dir.path, name), Reparse: slices.Clone(buffer)}
	if err := layer.CheckPlace(&e); err != nil {
		return err
	}
	if it != nil && it.Kind != kind {
		return fmt.Errorf("%w: the kinds of the link and of what is there differ", fs.ErrExist)
	}
	d.forget()
	if it != nil {
		p := dir.step(name)
		if kind == layer.Dir && IsLink(&e) {
			if err := d.empty(p); err != nil {
				return err
			}
		}
		o, err := d.adopt(p, it)
		if err != nil {
			return err
		}
		n := o.entry
		n.Reparse = e.Reparse
		if m.Attributes != 0 {
			n.Attributes = m.Attributes
		}
		n.Attributes = proper(n.Attributes, &n)
		if err := d.check(path, &n); err != nil {
			return err
		}
		o.entry, o.changed = n, true
		return nil
	}
	e.Path, e.Attributes = "", m.Attributes
	if err := d.describe(dir, name, &e, m); err != nil {
		return err
	}
	_, err = d.put(dir, name, &object{entry: e, changed: true})
	return err
}

// empty returns ErrNotEmpty for a directory that has something in it.
func (d *Draft) empty(p place) error {
	for _, err := range d.children(p) {
		if err != nil {
			return err
		}
		return ErrNotEmpty
	}
	return nil
}

// Remove removes a file, a link or an empty directory.
func (d *Draft) Remove(path string) error {
	dir, p, it, err := d.existing(path)
	if err == nil && it.Kind == layer.Dir && !IsLink(&it.Entry) {
		err = d.empty(p)
	}
	if err == nil {
		err = d.remove(dir, p, it)
	}
	if err != nil {
		return fail("remove", path, err)
	}
	return nil
}

// RemoveAll removes a file or directory with all that is in it. A link is removed, never its
// target. That nothing is there is no error.
func (d *Draft) RemoveAll(path string) error {
	dir, p, it, err := d.existing(path)
	if isNotExist(err) {
		return nil
	}
	if err == nil {
		err = d.remove(dir, p, it)
	}
	if err != nil {
		return fail("remove", path, err)
	}
	return nil
}

// existing finds what is at a path, which is not a root of the layer.
func (d *Draft) existing(path string) (dir, p place, it *layer.Item, err error) {
	dir, name, err := d.parent(path)
	if err != nil {
		return dir, p, nil, err
	}
	if dir.path == "" {
		return dir, p, nil, fmt.Errorf("%w: a layer needs its roots", layer.ErrWhiteout)
	}
	p = dir.step(name)
	if it, err = d.item(p); err == nil {
		p.path = it.Path
	}
	return dir, p, it, err
}

// remove removes a name with everything below it.
func (d *Draft) remove(dir, p place, it *layer.Item) error {
	_, name := winfs.SplitPath(p.path)
	low := false
	if dir.low && (dir.n == nil || !dir.n.opaque) {
		below, err := d.lower.Lookup(p.path)
		if err != nil && !isNotExist(err) {
			return err
		}
		if low = err == nil; low {
			p.path = below.Path
			_, name = winfs.SplitPath(below.Path)
			if err := layer.CheckPlace(&layer.Entry{Kind: layer.Whiteout, Path: p.path}); err != nil {
				return err
			}
		}
	}
	if it.Kind == layer.Dir || IsLink(&it.Entry) {
		d.forget()
	}
	if !low {
		d.drop(p.n)
		delete(p.n.up.kids, winfs.Fold(name))
		d.nodes--
		return nil
	}
	n := p.n
	if n == nil {
		up, err := d.ensure(dir.path)
		if err != nil {
			return err
		}
		if n, err = d.add(up, name); err != nil {
			return err
		}
	} else {
		d.drop(n)
	}
	d.removed = true
	n.name, n.gone = name, true
	return nil
}

// drop takes away what a name and those below it are.
func (d *Draft) drop(n *node) {
	for _, k := range n.kids {
		d.drop(k)
		d.nodes--
	}
	if o := n.o; o != nil && o.entry.Kind == layer.File {
		o.names = slices.DeleteFunc(o.names, func(m *node) bool { return m == n })
		if len(o.names) == 0 {
			d.total -= o.counted
		}
	}
	n.kids, n.o, n.opaque = nil, nil, false
}

// Rename moves a file or directory with its metadata. The new name must be free, or differ
// from the old one in case alone. A layer cannot change the spelling of a directory that the
// lower tree has: that does nothing.
func (d *Draft) Rename(from, to string) error {
	if err := d.rename(from, to); err != nil {
		return fail("rename", from, err)
	}
	return nil
}

func (d *Draft) rename(from, to string) error {
	dir, p, it, err := d.existing(from)
	if err != nil {
		return err
	}
	toDir, name, err := d.parent(to)
	if err != nil {
		return notFound(err)
	}
	q := toDir.step(name)
	if winfs.EqualFold(q.path, p.path) {
		return d.respell(p, it, name)
	}
	if winfs.Under(q.path, p.path) {
		return fmt.Errorf("%w: a directory is moved into itself", fs.ErrInvalid)
	}
	if toDir, name, err = d.newName(to); err != nil {
		return err
	}
	for _, e := range []layer.Entry{{Kind: layer.Whiteout, Path: p.path}, {Kind: layer.Whiteout, Path: winfs.JoinPath(toDir.path, name)}} {
		if err := layer.CheckPlace(&e); err != nil {
			return err
		}
	}
	d.forget()
	return d.move(dir, p, it, toDir, name)
}

func (d *Draft) respell(p place, it *layer.Item, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if it.Kind == layer.Dir {
		if below, err := d.lower.Lookup(p.path); err == nil && below.Kind == layer.Dir && winfs.EqualFold(below.Path, p.path) {
			return nil
		} else if err != nil && !isNotExist(err) && !errors.Is(err, layer.ErrNotDirectory) {
			return err
		}
	}
	if _, err := d.adopt(p, it); err != nil {
		return err
	}
	d.forget()
	d.at(p.path).n.name = name
	return nil
}

// move moves what is at p, with everything below it.
func (d *Draft) move(dir, p place, it *layer.Item, toDir place, name string) error {
	path := winfs.JoinPath(toDir.path, name)
	if err := winfs.ValidatePath(path); err != nil {
		return err
	}
	if err := d.limits.CheckDepth(path); err != nil {
		return err
	}
	o, err := d.adopt(p, it)
	if err != nil {
		return err
	}
	p.n = d.at(p.path).n
	if it.Kind == layer.File {
		// First away, then back: a file never has more names than it may.
		if err := d.remove(dir, p, it); err != nil {
			return err
		}
		if len(o.names) == 0 {
			d.total += o.counted
		}
		_, err := d.put(toDir, name, o)
		return err
	}
	var list []*layer.Item
	for it, err := range d.children(p) {
		if err != nil {
			return err
		}
		list = append(list, it)
	}
	n := *o
	n.changed = true
	if _, err := d.put(toDir, name, &n); err != nil {
		return err
	}
	to := d.at(path)
	for _, c := range list {
		_, base := winfs.SplitPath(c.Path)
		if err := d.move(d.at(p.path), d.at(c.Path), c, to, base); err != nil {
			return err
		}
	}
	return d.remove(dir, d.at(p.path), it)
}

// Set changes the metadata of a file or directory: attributes, times, descriptor, extended
// attributes, object identifier, under all its names. Other fields of the entry stay as they
// are.
func (d *Draft) Set(path string, change func(*layer.Entry) error) error {
	if err := d.set(path, change); err != nil {
		return fail("set metadata", path, err)
	}
	return nil
}

func (d *Draft) set(path string, change func(*layer.Entry) error) error {
	p, err := d.find(path)
	if err != nil {
		return err
	}
	it, err := d.item(p)
	if err != nil {
		return err
	}
	if it.Path == "" {
		return fs.ErrInvalid
	}
	e := it.Entry.Clone()
	if err := change(&e); err != nil {
		return err
	}
	n := it.Entry
	n.Path, n.Defect = "", nil
	n.Attributes, n.Times, n.Security, n.EAs, n.ObjectID = e.Attributes, e.Times, e.Security, e.EAs, e.ObjectID
	n.Attributes = proper(n.Attributes, &n)
	if err := d.check(it.Path, &n); err != nil {
		return err
	}
	o, err := d.adopt(p, it)
	if err != nil {
		return err
	}
	d.forget()
	o.entry, o.changed = n, true
	return nil
}

// target finds the place for something new, or what is there.
func (d *Draft) target(path string) (dir place, name string, it *layer.Item, err error) {
	dir, name, err = d.parent(path)
	if err != nil {
		return dir, name, nil, notFound(err)
	}
	it, err = d.item(dir.step(name))
	if err == nil {
		if dir.path == "" {
			return dir, name, it, ErrIsDir
		}
		_, name = winfs.SplitPath(it.Path)
		return dir, name, it, nil
	}
	if !isNotExist(err) {
		return dir, name, nil, err
	}
	if dir.path == "" {
		return dir, name, nil, fmt.Errorf("%w: only directories are at the root of a layer", layer.ErrNotDirectory)
	}
	return dir, name, nil, checkName(name)
}

// newName finds the place for a name that must be free.
func (d *Draft) newName(path string) (dir place, name string, err error) {
	dir, name, err = d.parent(path)
	if err != nil {
		return dir, name, notFound(err)
	}
	if _, err := d.item(dir.step(name)); !isNotExist(err) {
		if err == nil {
			err = fs.ErrExist
		}
		return dir, name, err
	}
	if dir.path == "" && name != layer.RootFiles && name != layer.RootHives && name != layer.RootUtilityVM {
		return dir, name, fmt.Errorf("%w: no root of a layer", layer.ErrInvalidName)
	}
	return dir, name, checkName(name)
}

// checkName refuses a new name under which Win32 would not find the file again, and those
// that layer tars use for whiteouts.
func checkName(name string) error {
	const whiteout = ".wh."
	if len(name) >= len(whiteout) && winfs.EqualFold(name[:len(whiteout)], whiteout) {
		return fmt.Errorf("%w: %q is the name of a whiteout in a layer", layer.ErrInvalidName, name)
	}
	if err := winfs.CheckName(name); err != nil {
		return &winfs.NameError{Name: name, Err: err}
	}
	return nil
}

// ensure returns the node of a real path, of which all components exist.
func (d *Draft) ensure(path string) (*node, error) {
	n := d.root
	for path != "" {
		var name string
		name, path = cut(path)
		k := n.kids[winfs.Fold(name)]
		if k == nil {
			var err error
			if k, err = d.add(n, name); err != nil {
				return nil, err
			}
		}
		n = k
	}
	return n, nil
}

func (d *Draft) add(up *node, name string) (*node, error) {
	if d.nodes >= d.limits.Entries {
		return nil, &layer.LimitError{Limit: "Entries", Max: d.limits.Entries}
	}
	d.nodes++
	n := &node{name: name, up: up}
	if up.kids == nil {
		up.kids = map[string]*node{}
	}
	up.kids[winfs.Fold(name)] = n
	return n, nil
}

// put makes a name that of an object, in place of anything that was there.
func (d *Draft) put(dir place, name string, o *object) (*node, error) {
	if o.entry.Kind == layer.Dir {
		// The directory of the lower tree shows through with its spelling.
		path := winfs.JoinPath(dir.path, name)
		below, err := d.lower.Lookup(path)
		if err == nil && below.Kind == layer.Dir && winfs.EqualFold(below.Path, path) {
			_, name = winfs.SplitPath(below.Path)
		} else if err != nil && !isNotExist(err) && !errors.Is(err, layer.ErrNotDirectory) {
			return nil, err
		}
	}
	up, err := d.ensure(dir.path)
	if err != nil {
		return nil, err
	}
	n := up.kids[winfs.Fold(name)]
	if n == nil {
		if n, err = d.add(up, name); err != nil {
			return nil, err
		}
		if dir.low {
			d.removed = true // a name below may be replaced
		}
	} else {
		d.drop(n)
	}
	n.name, n.gone, n.o, n.opaque = name, false, o, true
	if o.entry.Kind == layer.File {
		o.names = append(o.names, n)
	}
	return n, nil
}

// adopt returns the object of what exists at a place. A file of the lower tree becomes one
// under all its names.
func (d *Draft) adopt(p place, it *layer.Item) (*object, error) {
	if p.n != nil && p.n.o != nil {
		return p.n.o, nil
	}
	if it.Defect != nil {
		return nil, fmt.Errorf("%w: %w", ErrDefect, it.Defect)
	}
	o := &object{entry: it.Entry, from: d.lower, at: it.Path}
	o.entry.Path = ""
	if it.Kind == layer.Dir {
		n, err := d.ensure(it.Path)
		if err != nil {
			return nil, err
		}
		n.o = o
		return o, nil
	}
	names, err := d.namesBelow(it)
	if err != nil {
		return nil, err
	}
	if d.nodes > d.limits.Entries-int64(len(names)) {
		return nil, &layer.LimitError{Limit: "Entries", Max: d.limits.Entries}
	}
	o.below = make(map[string]string, len(names))
	for _, path := range names {
		n, err := d.ensure(path)
		if err != nil {
			return nil, err
		}
		n.o = o
		o.names = append(o.names, n)
		o.below[winfs.Fold(path)] = path
	}
	return o, nil
}

// forget empties the tables of what was found, after a change that concerns them.
func (d *Draft) forget() {
	clear(d.resolved)
	clear(d.security)
}

// describe completes the metadata of something new.
func (d *Draft) describe(dir place, name string, e *layer.Entry, m Meta) error {
	e.Times = d.times(m.Times)
	if e.Attributes == 0 && e.Kind == layer.File {
		e.Attributes = winfs.AttrArchive
	}
	e.Attributes = proper(e.Attributes, e)
	path := winfs.JoinPath(dir.path, name)
	switch {
	case m.Security != nil:
		if _, err := winsec.Parse(m.Security); err != nil {
			return err
		}
		e.Security = slices.Clone(m.Security)
	case inDrive(path):
		parent, err := d.directorySecurity(dir)
		if err != nil {
			return err
		}
		if e.Security, err = d.inherit(parent, m.Owner, e.Kind == layer.Dir); err != nil {
			return err
		}
	case isDrive(path):
		e.Security = winsec.BuilderDirectory()
	}
	return d.check(path, e)
}

func (d *Draft) times(t winfs.Times) winfs.Times {
	if t.LastWrite == 0 {
		t.LastWrite = d.now
	}
	for _, x := range []*winfs.Filetime{&t.Creation, &t.LastAccess, &t.Change} {
		if *x == 0 {
			*x = t.LastWrite
		}
	}
	return t
}

// proper completes an attribute word.
func proper(a winfs.Attributes, e *layer.Entry) winfs.Attributes {
	a &^= winfs.AttrDirectory | winfs.AttrReparsePoint
	if e.Kind == layer.Dir {
		a |= winfs.AttrDirectory
	}
	if e.IsReparsePoint() {
		a |= winfs.AttrReparsePoint
	}
	if a&^winfs.AttrNormal != 0 {
		a &^= winfs.AttrNormal
	}
	return a
}

// check refuses metadata that no layer can have.
func (d *Draft) check(path string, e *layer.Entry) error {
	if e.MetadataSize()+int64(len(path)) > d.limits.MetadataLen {
		return &layer.LimitError{Limit: "MetadataLen", Max: d.limits.MetadataLen}
	}
	if _, err := winfs.EncodeEAs(e.EAs); err != nil {
		return err
	}
	if n := winfs.PackedEASize(e.EAs); n > winfs.MaxPackedEAs {
		return fmt.Errorf("%w: %d bytes together, NTFS keeps %d", winfs.ErrEATooLarge, n, winfs.MaxPackedEAs)
	}
	if err := winfs.ValidatePath(path); err != nil {
		return err
	}
	return d.limits.CheckDepth(path)
}
