package cimfs_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/winfs"
)

// model is a Windows file tree in memory: what an image must hold after a
// sequence of changes. It knows nothing of the format.
type model struct{ root *modelName }

// modelName is a name in a directory; several names may share a file.
type modelName struct {
	name     string
	file     *modelFile
	children map[string]*modelName // by folded name, nil if it is no directory
}

type modelFile struct {
	dir      bool
	attr     winfs.Attributes // without DIRECTORY and REPARSE_POINT
	times    winfs.Times
	security []byte
	eas      []winfs.EA
	reparse  []byte
	data     []byte
	sparse   int64 // length of a file that is all hole, 0 if it is not
	streams  map[string]modelStream
}

type modelStream struct {
	name string
	data []byte
}

func newModel() *model {
	return &model{&modelName{file: &modelFile{dir: true}, children: map[string]*modelName{}}}
}

// clone copies names and files, so that a fork may change them.
func (m *model) clone() *model {
	files := map[*modelFile]*modelFile{}
	var walk func(n *modelName) *modelName
	walk = func(n *modelName) *modelName {
		f := files[n.file]
		if f == nil {
			c := *n.file
			c.streams = maps.Clone(c.streams)
			f = &c
			files[n.file] = f
		}
		out := &modelName{name: n.name, file: f}
		if n.children != nil {
			out.children = map[string]*modelName{}
			for k, c := range n.children {
				out.children[k] = walk(c)
			}
		}
		return out
	}
	return &model{walk(m.root)}
}

// find returns the name at path, nil if there is none.
func (m *model) find(path string) *modelName {
	n := m.root
	if path == "" {
		return n
	}
	for _, c := range strings.Split(path, `\`) {
		if n = n.children[winfs.Fold(c)]; n == nil {
			return nil
		}
	}
	return n
}

// put sets the name at path, whose parent must be a directory.
func (m *model) put(path string, f *modelFile) {
	dir, base := winfs.SplitPath(path)
	n := &modelName{name: base, file: f}
	if f.dir {
		n.children = map[string]*modelName{}
	}
	m.find(dir).children[winfs.Fold(base)] = n
}

func (m *model) remove(path string) {
	dir, base := winfs.SplitPath(path)
	delete(m.find(dir).children, winfs.Fold(base))
}

// each calls fn for every name, the root's first.
func (m *model) each(fn func(n *modelName)) {
	var walk func(n *modelName)
	walk = func(n *modelName) {
		fn(n)
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(m.root)
}

// names counts the names of a file.
func (m *model) names(f *modelFile) (count int) {
	m.each(func(n *modelName) {
		if n.file == f {
			count++
		}
	})
	return count
}

// paths lists every name but the root's, sorted, that keep accepts.
func (m *model) paths(keep func(*modelName) bool) []string {
	var out []string
	var walk func(path string, n *modelName)
	walk = func(path string, n *modelName) {
		for _, k := range slices.Sorted(maps.Keys(n.children)) {
			c := n.children[k]
			p := winfs.JoinPath(path, c.name)
			if keep(c) {
				out = append(out, p)
			}
			walk(p, c)
		}
	}
	walk("", m.root)
	return out
}

// diff says how an image, as the independent reader saw it, differs.
func (m *model) diff(t *plaincim.Tree) []string {
	d := &modelDiff{tree: t, ids: map[*modelFile]uint32{}, files: map[uint32]*modelFile{}, names: map[uint32][]plaincim.Link{}}
	d.compare("", m.root, t.Root)
	d.parents()
	return d.out
}

type modelDiff struct {
	tree  *plaincim.Tree
	ids   map[*modelFile]uint32
	files map[uint32]*modelFile
	names map[uint32][]plaincim.Link // every name found, by file
	out   []string
}

func (d *modelDiff) say(path, format string, args ...any) {
	d.out = append(d.out, fmt.Sprintf("%q: ", path)+fmt.Sprintf(format, args...))
}

func (d *modelDiff) compare(path string, want *modelName, got *plaincim.Node) {
	if got.Name != want.name {
		d.say(path, "named %q, want %q", got.Name, want.name)
	}
	id := got.File.ID
	if other, ok := d.ids[want.file]; ok && other != id {
		d.say(path, "is file %d, another name of it is file %d", id, other)
	}
	if other := d.files[id]; other != nil && other != want.file {
		d.say(path, "file %d has a name too many", id)
	}
	d.ids[want.file], d.files[id] = id, want.file
	if path != "" { // the root's metadata is compared by tests of its own
		d.content(path, want.file, got.File)
	}
	left := maps.Clone(want.children)
	for _, c := range got.Children {
		d.names[c.File.ID] = append(d.names[c.File.ID], plaincim.Link{ID: id, Name: c.Name})
		p := winfs.JoinPath(path, c.Name)
		w := left[winfs.Fold(c.Name)]
		if w == nil {
			d.say(p, "should not be there")
			continue
		}
		delete(left, winfs.Fold(c.Name))
		d.compare(p, w, c)
	}
	for _, k := range slices.Sorted(maps.Keys(left)) {
		d.say(winfs.JoinPath(path, left[k].name), "is missing")
	}
}

// attributes as the format holds them.
func flagsOf(f *modelFile) uint16 {
	var flags uint16
	for i, bit := range []winfs.Attributes{winfs.AttrReadOnly, winfs.AttrHidden, winfs.AttrSystem, winfs.AttrArchive} {
		if f.attr&bit != 0 {
			flags |= 1 << i
		}
	}
	if f.attr&winfs.AttrSparse != 0 {
		flags |= 0x10
	}
	return flags
}

func (d *modelDiff) content(path string, want *modelFile, got *plaincim.File) {
	if got.Directory != want.dir {
		d.say(path, "directory %v", got.Directory)
	}
	if got.Flags != flagsOf(want) {
		d.say(path, "flags %#x, want %#x", got.Flags, flagsOf(want))
	}
	if times := (winfs.Times{Creation: got.Creation, LastAccess: got.Access, LastWrite: got.Write, Change: got.Change}); times != want.times {
		d.say(path, "times %v, want %v", times, want.times)
	}
	if !bytes.Equal(got.Security, want.security) {
		d.say(path, "descriptor %x, want %x", got.Security, want.security)
	}
	list := want.eas
	if got.Main.Type == 2 {
		list = append(slices.Clone(list), goldenHashes(want.data, [8]byte{})...)
	}
	if eas := encodeGoldenEAs(list); !bytes.Equal(got.EA, eas) {
		d.say(path, "EAs %x, want %x", got.EA, eas)
	}
	if !bytes.Equal(got.Reparse, want.reparse) {
		d.say(path, "reparse data %x, want %x", got.Reparse, want.reparse)
	}
	if len(want.reparse) > 0 && got.ReparseTag != uint32(want.reparse[0])|uint32(want.reparse[1])<<8|uint32(want.reparse[2])<<16|uint32(want.reparse[3])<<24 {
		d.say(path, "reparse tag %#x", got.ReparseTag)
	}
	if !want.dir {
		d.stream(path, want.data, want.sparse, got.Main)
	}
	var names []string
	for _, s := range got.Streams {
		names = append(names, s.Name)
		w, ok := want.streams[winfs.Fold(s.Name)]
		if !ok || w.name != s.Name {
			d.say(path, "stream %q, want %q", s.Name, w.name)
			continue
		}
		d.stream(path+":"+s.Name, w.data, 0, s)
	}
	if len(names) != len(want.streams) {
		d.say(path, "streams %q, want %d", names, len(want.streams))
	}
	if !sort.SliceIsSorted(names, func(i, j int) bool { return winfs.CompareFold(names[i], names[j]) < 0 }) {
		d.say(path, "streams in the order %q", names)
	}
}

func (d *modelDiff) stream(path string, data []byte, sparse int64, got plaincim.Stream) {
	size := uint64(len(data))
	if sparse > 0 {
		size = uint64(sparse)
	}
	if got.Size != size || !bytes.Equal(got.Data, data) || got.Sparse != (sparse > 0) {
		d.say(path, "%d bytes, sparse %v, want %d; equal %v", got.Size, got.Sparse, size, bytes.Equal(got.Data, data))
	}
}

// parents checks the parent file ID and the parent links against the names that
// were found.
func (d *modelDiff) parents() {
	for id, names := range d.names {
		f := d.tree.Files[id]
		if id <= d.tree.Inherited {
			d.inherited(f, names)
			continue
		}
		if d.tree.Major >= 2 && !slices.ContainsFunc(names, func(l plaincim.Link) bool { return l.ID == f.Parent }) {
			d.say(names[0].Name, "parent file ID %d is none of %v", f.Parent, names)
		}
		if d.tree.Major < 3 {
			continue
		}
		byText := func(a, b plaincim.Link) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
		a, b := slices.SortedFunc(slices.Values(names), byText), slices.SortedFunc(slices.Values(f.Links), byText)
		if !slices.Equal(a, b) {
			d.say(names[0].Name, "parent links %v, want %v", b, a)
		}
	}
	root := d.tree.Root.File
	if d.tree.Major >= 3 && (root.Parent != root.ID || !slices.Equal(root.Links, []plaincim.Link{{ID: root.ID, Name: "."}})) {
		d.say("", "parent %d, links %v", root.Parent, root.Links)
	}
}

// inherited checks the parents of a file whose record is that of the parent image. They
// are the directories as they were there, which may have new records here, and among
// its names may be some that it has lost.
func (d *modelDiff) inherited(f *plaincim.File, names []plaincim.Link) {
	if d.tree.Major < 3 {
		return
	}
	for _, l := range names {
		if !slices.ContainsFunc(f.Links, func(old plaincim.Link) bool {
			return old.Name == l.Name && (old.ID == l.ID || old.ID <= d.tree.Inherited)
		}) {
			d.say(l.Name, "is in directory %d, which is not among the links %v", l.ID, f.Links)
		}
	}
	if f.Parent > d.tree.Inherited || f.Parent == 0 {
		d.say(names[0].Name, "parent %d", f.Parent)
	}
}

// same fails the test where an image is not what the model says, or where its
// object tables are wrong. dead is how many unused objects are allowed.
func (m *model) same(t *testing.T, dir, path string, dead bool) *plaincim.Tree {
	t.Helper()
	tree, err := plaincim.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	out := m.diff(tree)
	wrong, unused := tree.Verify(dir)
	if unused > 0 && !dead {
		wrong = append(wrong, fmt.Sprintf("%d objects are unused", unused))
	}
	for i, s := range append(out, wrong...) {
		if i == 20 {
			t.Fatalf("... and %d more", len(out)+len(wrong)-20)
		}
		t.Error(s)
	}
	return tree
}
