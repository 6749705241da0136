package draft

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// Lower is the merged tree below a draft. An image.Tree is one, and so is a *Draft. Paths
// are compared without regard to case; a missing one is fs.ErrNotExist. A tree that has files
// with several names must be a [Namer].
type Lower interface {
	Lookup(path string) (*layer.Item, error)
	Children(path string) iter.Seq2[*layer.Item, error]
	Open(path string) (layer.Reader, error)
}

// Namer is a tree that knows all names of a file.
type Namer interface {
	NamesOf(path string) ([]string, error)
}

// Content is the main stream of a file. It is opened when a layer with it is read, at any
// time after Write and possibly more than once, and then must have Size bytes. A Content is
// kept as long as the draft is.
type Content interface {
	Size() int64
	Open() (io.ReadCloser, error)
}

// Options are options of a draft.
type Options struct {
	// Now is the time of everything that is made or changed without a time of its own.
	// 0 leaves times unset.
	Now winfs.Filetime
	// Limits bound the draft: Entries the names that it keeps, Depth and MetadataLen each of
	// them, FileSize and TotalSize the content.
	Limits layer.Limits
}

// Meta is metadata of a new file or directory. Zero fields are those that Windows gives.
type Meta struct {
	// Owner is the owner, and the one that a creator owner entry of the parent stands for;
	// zero is the administrators. It has no meaning for a file that exists already.
	Owner winsec.SID
	// Security is a complete self-relative descriptor in place of the inherited one.
	Security []byte
	// Attributes; 0 is ARCHIVE for files and none for directories. DIRECTORY and
	// REPARSE_POINT are set by the draft.
	Attributes winfs.Attributes
	// Times; those that are 0 are LastWrite, and LastWrite is Options.Now.
	Times winfs.Times
}

// Draft is a tree with changes over a lower one. It is used by one goroutine at a time. A
// failed call changes nothing, except that RemoveAll and Rename of directories can end in
// between when the lower tree cannot be read.
//
// Paths lead through symbolic links and junctions whose targets are in the image: relative
// ones, and absolute ones on drive C, which is the directory Files, or UtilityVM\Files for
// links in there. The last component of a path is never followed. Any other link on the way
// is [ErrLinkOutside]. Names that exist keep their spelling.
//
// The names of one file stay the names of one file: what changes it through one of them
// changes it under all, and the layer has the file once and the other names as hard links,
// also those that layers below have made. It is so on the volume of a container while no
// filter is in between, it is what package overlay does, and it is what a reader of the
// result can rely on: a layer cannot express that half of the names of a file have become
// another file otherwise than by repeating them.
type Draft struct {
	lower  Lower
	now    winfs.Filetime
	limits layer.Limits
	root   *node

	inherited map[inheritKey][]byte
	resolved  map[string]string // real paths of directories by the path that was asked for
	security  map[string][]byte // descriptors of directories by real path
	nodes     int64
	total     int64 // bytes of content
	removed   bool  // names of the lower tree have been removed or replaced
	closers   []io.Closer
}

// Keep closes c with the draft: a file that contents of the draft read.
func (d *Draft) Keep(c io.Closer) { d.closers = append(d.closers, c) }

// Close closes what was given to Keep. Layers and drafts over this one cannot be read after
// it. It does not close the lower tree.
func (d *Draft) Close() error {
	var errs []error
	for _, c := range d.closers {
		errs = append(errs, c.Close())
	}
	d.closers = nil
	return errors.Join(errs...)
}

// New returns a draft without changes. lower must not change while the draft is used.
func New(lower Lower, opt Options) *Draft {
	if lower == nil {
		lower = NoLower
	}
	return &Draft{lower: lower, now: opt.Now, limits: opt.Limits.WithDefaults(), root: &node{},
		inherited: map[inheritKey][]byte{}, resolved: map[string]string{}, security: map[string][]byte{}}
}

// node is a name that differs from the lower tree, or leads to one that does.
type node struct {
	name string
	up   *node
	kids map[string]*node // by folded name
	// o is what the name is: nil for a directory of the lower tree that leads to changes, and
	// with gone for a name that was removed.
	o    *object
	gone bool
	// opaque is set where nothing of the lower tree shows below the path.
	opaque bool
}

// object is a file or directory of the draft.
type object struct {
	entry layer.Entry // without Path
	names []*node     // of a file
	data  Content     // the only stream, or nil
	// from has all streams at the path at, if data is nil.
	from Lower
	at   string
	// below are the folded names of a file of the lower tree, with their spelling there;
	// changed is set when it differs from that.
	below   map[string]string
	changed bool
	counted int64 // of its size, in Draft.total
}

// NoLower is the tree below a base layer: an empty root.
var NoLower Lower = noLower{}

type noLower struct{}

func (noLower) Lookup(path string) (*layer.Item, error) {
	if path != "" {
		return nil, fail("lookup", path, fs.ErrNotExist)
	}
	return rootItem(), nil
}

func (noLower) Children(path string) iter.Seq2[*layer.Item, error] {
	return func(yield func(*layer.Item, error) bool) {
		if path != "" {
			yield(nil, fail("lookup", path, fs.ErrNotExist))
		}
	}
}

func (noLower) Open(path string) (layer.Reader, error) {
	return nil, fail("open", path, fs.ErrNotExist)
}

func rootItem() *layer.Item {
	it := &layer.Item{Layer: -1, Links: 1}
	it.Kind, it.Attributes = layer.Dir, winfs.AttrDirectory
	return it
}

func fail(op, path string, err error) error {
	var e *layer.Error
	if errors.As(err, &e) && e.Entry == path {
		return err
	}
	return &layer.Error{Op: op, Entry: path, Offset: -1, Err: err}
}

// place is a name in the tree.
type place struct {
	path string // real, as far as names exist in their spelling
	n    *node  // or nil: as below, or nothing
	low  bool   // the lower tree shows through here
}

// step goes from a directory to a name in it.
func (p place) step(name string) place {
	q := p.descend(name)
	if q.path = winfs.JoinPath(p.path, name); q.n != nil {
		q.path = winfs.JoinPath(p.path, q.n.name)
	}
	return q
}

// descend is step without the path.
func (p place) descend(name string) place {
	q := place{low: p.low}
	if p.n == nil {
		return q
	}
	if p.n.opaque {
		q.low = false
	}
	if q.n = p.n.kids[winfs.Fold(name)]; q.n != nil {
		q.low = q.low && !q.n.gone
	}
	return q
}

// at finds a real path, without following links.
func (d *Draft) at(path string) place {
	p := place{n: d.root, low: true}
	for rest := path; rest != "" && p.n != nil; {
		var name string
		name, rest = cut(rest)
		p = p.descend(name)
	}
	p.path = path
	return p
}

func cut(p string) (first, rest string) {
	for i := range len(p) {
		if p[i] == '\\' {
			return p[:i], p[i+1:]
		}
	}
	return p, ""
}

// item returns what is at a place, fs.ErrNotExist if nothing is.
func (d *Draft) item(p place) (*layer.Item, error) {
	switch {
	case p.path == "":
		return rootItem(), nil
	case p.n != nil && p.n.gone, p.n == nil && !p.low:
		return nil, fs.ErrNotExist
	case p.n != nil && p.n.o != nil:
		return p.n.o.item(p.path), nil
	}
	it, err := d.lower.Lookup(p.path)
	if err != nil {
		return nil, err
	}
	return it, d.countLinks(it)
}

// countLinks corrects the number of names of a file that is as below.
func (d *Draft) countLinks(it *layer.Item) error {
	if it.Links < 2 || !d.removed || it.Kind != layer.File {
		return nil
	}
	names, err := d.namesBelow(it)
	it.Links = len(names)
	return err
}

// item describes an object under one of its names.
func (o *object) item(path string) *layer.Item {
	it := &layer.Item{Entry: o.entry, Layer: -1, Links: max(1, len(o.names))}
	it.Path = path
	it.EAs = slices.Clone(it.EAs)
	return it
}

// Lookup returns the file or directory at a path, and for a link the link itself. The path of
// the item is the real one, as it is spelled; the layer of a change is -1.
func (d *Draft) Lookup(path string) (*layer.Item, error) {
	p, err := d.find(path)
	if err != nil {
		return nil, fail("lookup", path, err)
	}
	it, err := d.item(p)
	if err != nil {
		return nil, fail("lookup", path, err)
	}
	return it, nil
}

// Children yields the content of a directory in the order of NTFS, nothing for a file. The
// draft must not be changed in between.
func (d *Draft) Children(path string) iter.Seq2[*layer.Item, error] {
	return func(yield func(*layer.Item, error) bool) {
		p, err := d.find(path)
		if err == nil {
			var it *layer.Item
			if it, err = d.item(p); err == nil && it.Kind != layer.Dir {
				return
			}
		}
		if err != nil {
			yield(nil, fail("lookup", path, err))
			return
		}
		for it, err := range d.children(p) {
			if err != nil {
				yield(nil, fail("lookup", path, err))
				return
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

// children yields what is in the directory at a place.
func (d *Draft) children(p place) iter.Seq2[*layer.Item, error] {
	return func(yield func(*layer.Item, error) bool) {
		kids := p.sorted()
		own := func(k *node) bool {
			if k.gone {
				return true
			}
			it, err := d.item(p.step(k.name))
			return yield(it, err) && err == nil
		}
		if p.low && (p.n == nil || !p.n.opaque) {
			for it, err := range d.lower.Children(p.path) {
				if err != nil {
					yield(nil, err)
					return
				}
				_, name := winfs.SplitPath(it.Path)
				shadowed := false
				for len(kids) > 0 && !shadowed {
					c := winfs.CompareFold(kids[0].name, name)
					if c > 0 {
						break
					}
					shadowed = c == 0
					if !own(kids[0]) {
						return
					}
					kids = kids[1:]
				}
				if shadowed {
					continue
				}
				if err := d.countLinks(it); err != nil {
					yield(nil, err)
					return
				}
				if !yield(it, nil) {
					return
				}
			}
		}
		for _, k := range kids {
			if !own(k) {
				return
			}
		}
	}
}

// sorted returns the names at a place that are nodes.
func (p place) sorted() []*node {
	if p.n == nil || len(p.n.kids) == 0 {
		return nil
	}
	list := make([]*node, 0, len(p.n.kids))
	for _, k := range p.n.kids {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *node) int { return winfs.CompareFold(a.name, b.name) })
	return list
}

// NamesOf returns all names of the file at a path.
func (d *Draft) NamesOf(path string) ([]string, error) {
	p, err := d.find(path)
	var it *layer.Item
	if err == nil {
		it, err = d.item(p)
	}
	var names []string
	switch {
	case err != nil:
	case p.n != nil && p.n.o != nil && it.Kind == layer.File:
		for _, n := range p.n.o.names {
			names = append(names, n.path())
		}
	default:
		names, err = d.namesBelow(it)
	}
	if err != nil {
		return nil, fail("lookup", path, err)
	}
	slices.SortFunc(names, winfs.CompareFold)
	return names, nil
}

// namesBelow returns those names of a file of the lower tree that are still there.
func (d *Draft) namesBelow(it *layer.Item) ([]string, error) {
	if it.Links < 2 || it.Kind != layer.File {
		return []string{it.Path}, nil
	}
	n, ok := d.lower.(Namer)
	if !ok {
		return nil, fmt.Errorf("%w: the other names of a file with %d", layer.ErrUnsupported, it.Links)
	}
	all, err := n.NamesOf(it.Path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if p := d.at(name); p.low && p.n == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// path returns the path of a name.
func (n *node) path() string {
	if n.up == nil {
		return ""
	}
	return winfs.JoinPath(n.up.path(), n.name)
}

// Open returns a reader of the one entry at a path with its streams. The caller closes it.
func (d *Draft) Open(path string) (layer.Reader, error) {
	p, err := d.find(path)
	if err == nil {
		_, err = d.item(p)
	}
	switch {
	case err != nil:
		return nil, fail("open", path, err)
	case p.path == "":
		return nil, fail("open", path, fs.ErrInvalid)
	case p.n != nil && p.n.o != nil:
		return &reader{d: d, list: []planned{{path: p.path, kind: p.n.o.entry.Kind, o: p.n.o}}}, nil
	}
	return d.lower.Open(p.path)
}

// Empty reports whether there are no changes.
func (d *Draft) Empty() bool {
	list, err := d.plan()
	return err == nil && len(list) == 0
}
