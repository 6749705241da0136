package compare

import (
	"context"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Tree is one side of a comparison of files, in the order of paths: a directory before its
// content, the names of a directory in the order of NTFS.
type Tree struct {
	scan   *Scanner
	tables []*Table
	names  []name
	paths  paths
	// views show the paths that are compared; a tree is used by one goroutine at a time.
	views [2]pathBuffer
}

// name is a path of a tree.
type name struct {
	path  place
	table int16 // -1 for a directory that no layer mentions
	kind  layer.Kind
	entry int32 // in the table
	first int32 // the first name of the same file, as an index of names
	count int32 // names of the file, counted at its first one
}

// Merge returns the tree of a container over a chain of layers, base first. The tables must
// be of one scanner. The error is that of [layer.Union]. No tables make an empty tree.
func Merge(ctx context.Context, scan *Scanner, tables ...*Table) (*Tree, error) {
	t := &Tree{scan: scan, tables: tables}
	sources := make([]layer.Source, len(tables))
	for i := range tables {
		sources[i] = tables[i]
	}
	v, err := layer.Union(ctx, sources, layer.WithUnionLimits(scan.limits))
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var first []int32 // by object, plus 1
	for n := range v.Names() {
		at := int32(len(t.names))
		x := name{path: t.paths.add(n.Path), table: int16(n.Layer), kind: n.Kind, entry: int32(n.Ordinal), first: at, count: 1}
		if n.Kind == layer.File {
			for len(first) <= n.Object {
				first = append(first, 0)
			}
			if f := first[n.Object]; f > 0 {
				x.first = f - 1
				t.names[f-1].count++
			} else {
				first[n.Object] = at + 1
			}
		}
		t.names = append(t.names, x)
		if at%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	t.names = slices.Clip(t.names)
	t.paths.done()
	return t, nil
}

// maxLinkHops bounds how far a link to a link is followed, so that a long chain takes no
// more than linear time.
const maxLinkHops = 8

// Single returns the entries of one layer as they are stored, with whiteouts. Links are
// names of the files that they lead to if those are in the layer. A directory may be
// repeated, the last entry counts. The error is a *layer.Error around layer.ErrDuplicate
// for other entries with the same path.
func Single(scan *Scanner, table *Table) (*Tree, error) {
	t := &Tree{scan: scan, tables: []*Table{table}}
	for i := range table.list {
		x := &table.list[i]
		t.names = append(t.names, name{path: t.paths.add(table.path(x)), kind: x.kind, entry: int32(i)})
	}
	t.paths.done()
	slices.SortStableFunc(t.names, func(a, b name) int {
		if c := t.order(a.path, b.path); c != 0 {
			return c
		}
		return effect(a.kind) - effect(b.kind)
	})
	kept := t.names[:0]
	for i, n := range t.names {
		if len(kept) > 0 && i > 0 {
			last := &kept[len(kept)-1]
			if effect(last.kind) == effect(n.kind) && t.order(last.path, n.path) == 0 {
				if last.kind == layer.Dir && n.kind == layer.Dir {
					*last = n
					continue
				}
				if effect(n.kind) != 0 {
					continue // a whiteout twice
				}
				return nil, &layer.Error{Op: "compare", Entry: t.paths.get(n.path), Index: int64(n.entry) + 1, Offset: -1, Err: layer.ErrDuplicate}
			}
		}
		kept = append(kept, n)
	}
	t.names = slices.Clip(kept)
	return t, t.groupLinks()
}

// order compares two paths of the tree.
func (t *Tree) order(a, b place) int {
	if a.dir == b.dir {
		return winfs.CompareFold(string(t.paths.name(a)), string(t.paths.name(b)))
	}
	return comparePaths(t.views[0].of(&t.paths, a), t.views[1].of(&t.paths, b))
}

// path returns the path of a name, valid until the next one.
func (t *Tree) path(i int32) []byte { return t.views[0].of(&t.paths, t.names[i].path) }

// effect distinguishes a whiteout from an entry of the same layer with the same path.
func effect(k layer.Kind) int {
	switch k {
	case layer.Whiteout:
		return 1
	case layer.Opaque:
		return 2
	}
	return 0
}

// groupLinks finds the files that the links of a single layer lead to.
func (t *Tree) groupLinks() error {
	first := map[int32]int32{} // by entry
	for i := range t.names {
		n := &t.names[i]
		n.first, n.count = int32(i), 1
		if n.kind != layer.File && n.kind != layer.Link {
			continue
		}
		to := int32(i)
		for hops := 0; t.names[to].kind == layer.Link && hops < maxLinkHops; hops++ {
			target, err := t.scan.store.get(t.tables[0].list[t.names[to].entry].target)
			if err != nil {
				return err
			}
			next, ok := t.find(target)
			if !ok {
				break
			}
			to = next
		}
		if t.names[to].kind != layer.File {
			continue // the file is in a layer below
		}
		n.entry, n.kind = t.names[to].entry, layer.File
		if f, ok := first[n.entry]; ok {
			n.first = f
			t.names[f].count++
		} else {
			first[n.entry] = int32(i)
		}
	}
	return nil
}

// find returns the file or link at a path.
func (t *Tree) find(path []byte) (int32, bool) {
	i, ok := slices.BinarySearchFunc(t.names, path, func(n name, p []byte) int {
		return comparePaths(t.views[0].of(&t.paths, n.path), p)
	})
	if !ok {
		return 0, false
	}
	for i > 0 && comparePaths(t.views[0].of(&t.paths, t.names[i-1].path), path) == 0 {
		i-- // an entry is before the whiteouts of its path
	}
	k := t.names[i].kind
	return int32(i), k == layer.File || k == layer.Link
}

// Len returns the number of paths.
func (t *Tree) Len() int { return len(t.names) }

// comparePaths compares paths name by name as NTFS sorts names, a directory before what is
// in it.
func comparePaths(a, b []byte) int {
	// Most neighbours in a tree share their directory.
	same := 0
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '\\' {
			same = i + 1
		}
	}
	x, y := string(a[same:]), string(b[same:])
	for {
		p, restX, moreX := strings.Cut(x, `\`)
		q, restY, moreY := strings.Cut(y, `\`)
		if c := winfs.CompareFold(p, q); c != 0 {
			return c
		}
		switch {
		case !moreX && !moreY:
			return 0
		case !moreX:
			return -1
		case !moreY:
			return 1
		}
		x, y = restX, restY
	}
}

// File is what one side of a comparison has at a path.
type File struct {
	// Entry holds the metadata. Target is the path of the file of a Link: of the first name
	// of a file with several names.
	layer.Entry
	// Layer is the number of the layer that the entry is from, from 0, the base; -1 for a
	// directory that no layer mentions.
	Layer int
	// Sum is the SHA-256 of the main stream of a file.
	Sum Sum
	// Streams are the alternate streams in the order of their names.
	Streams []Stream
	// Links is the number of names of the file, 1 for most.
	Links int
}

// File returns what is at path number i, from 0.
func (t *Tree) File(i int) (*File, error) {
	n := &t.names[i]
	f := &File{Layer: int(n.table), Links: int(t.names[n.first].count)}
	f.Path, f.Kind = t.paths.get(n.path), n.kind
	if n.table < 0 {
		f.Attributes = winfs.AttrDirectory
		return f, nil
	}
	x := t.entry(n)
	f.Attributes, f.Times, f.Size, f.Sum = x.attributes, x.times, x.size, x.sum
	st := t.scan.store
	records := map[uint32][]byte{}
	for _, id := range []uint32{x.security, x.eas, x.reparse, x.object, x.streams, x.target} {
		b, err := st.get(id)
		if err != nil {
			return nil, err
		}
		records[id] = b
	}
	f.Security, f.Reparse, f.ObjectID = records[x.security], records[x.reparse], records[x.object]
	f.EAs, f.Streams = decodeEAs(records[x.eas]), decodeStreams(records[x.streams])
	if n.kind == layer.Link {
		f.Target = string(records[x.target])
	}
	if n.first != int32(i) {
		f.Kind, f.Target = layer.Link, t.paths.get(t.names[n.first].path)
	}
	return f, nil
}

// noEntry is the entry of a directory that no layer mentions.
var noEntry = entry{kind: layer.Dir, attributes: winfs.AttrDirectory, sum: emptySum}

func (t *Tree) entry(n *name) *entry {
	if n.table < 0 {
		return &noEntry
	}
	return &t.tables[n.table].list[n.entry]
}
