package overlay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// model is a naive tree in memory: the expected contents of a Tree.
type model struct{ root *node }

type node struct {
	id       uint64 // in the lower tree, 0 for objects created later
	dir      bool
	content  []byte
	attr     winfs.Attributes
	eas      []byte
	security []byte
	reparse  []byte
	streams  map[string]stream // by folded name
	children map[string]child  // by folded name
}

type stream struct {
	name string
	data []byte
}

type child struct {
	name string
	node *node
}

func newDir() *node {
	return &node{dir: true, attr: winfs.AttrDirectory, children: map[string]child{}, security: dirSecurity}
}

// find returns the directory and the last name of a path, and the object there.
func (m *model) find(path string) (*node, string, *node) {
	d := m.root
	dir, name := winfs.SplitPath(path)
	for _, c := range strings.FieldsFunc(dir, func(r rune) bool { return r == '\\' }) {
		if d == nil || !d.dir {
			return nil, name, nil
		}
		d = d.children[winfs.Fold(c)].node
	}
	if d == nil || !d.dir {
		return nil, name, nil
	}
	return d, name, d.children[winfs.Fold(name)].node
}

func (m *model) create(path string, dir bool) error {
	d, name, old := m.find(path)
	switch {
	case d == nil:
		return fs.ErrNotExist
	case checkName(name) != nil:
		return ErrName
	case old != nil:
		return fs.ErrExist
	}
	n := &node{attr: winfs.AttrArchive, security: fileSecurity}
	if dir {
		n = newDir()
	}
	d.children[winfs.Fold(name)] = child{name, n}
	return nil
}

func (m *model) remove(path string, dir bool) error {
	d, name, old := m.find(path)
	switch {
	case d == nil || old == nil:
		return fs.ErrNotExist
	case old.isDir() && !dir:
		return ErrIsDirectory
	case !old.isDir() && dir:
		return ErrNotDirectory
	case old.isDir() && len(old.children) > 0:
		return ErrNotEmpty
	}
	delete(d.children, winfs.Fold(name))
	return nil
}

func (n *node) isDir() bool { return n.dir && linkOf(n.reparse) == nil }

func (m *model) link(from, to string) error {
	_, _, n := m.find(from)
	d, name, old := m.find(to)
	switch {
	case n == nil || d == nil:
		return fs.ErrNotExist
	case n.dir:
		return ErrIsDirectory
	case checkName(name) != nil:
		return ErrName
	case old != nil:
		return fs.ErrExist
	}
	d.children[winfs.Fold(name)] = child{name, n}
	return nil
}

func (n *node) contains(other *node) bool {
	if n == other {
		return true
	}
	for _, c := range n.children {
		if c.node.contains(other) {
			return true
		}
	}
	return false
}

func (m *model) rename(from, to string, flags RenameFlag) error {
	d, name, n := m.find(from)
	e, newName, old := m.find(to)
	key, newKey := winfs.Fold(name), winfs.Fold(newName)
	same := d == e && key == newKey
	switch {
	case d == nil || e == nil || n == nil:
		return fs.ErrNotExist
	case checkName(newName) != nil:
		return ErrName
	case n.dir && n.contains(e):
		return ErrMoved
	case same && flags == NoReplace, old != nil && flags == NoReplace:
		return fs.ErrExist
	case flags == Exchange && old == nil:
		return fs.ErrNotExist
	case flags == Exchange && same:
		return nil
	case flags == Exchange && old.dir && old != n && old.contains(d):
		return ErrMoved
	case flags == Exchange:
		d.children[key] = child{d.children[key].name, old}
		e.children[newKey] = child{e.children[newKey].name, n}
		return nil
	case same:
		d.children[key] = child{newName, n}
		return nil
	case old == n:
		return nil
	case old != nil && n.isDir() && !old.isDir():
		return ErrNotDirectory
	case old != nil && !n.isDir() && old.isDir():
		return ErrIsDirectory
	case old != nil && old.isDir() && len(old.children) > 0:
		return ErrNotEmpty
	}
	delete(d.children, key)
	e.children[newKey] = child{newName, n}
	return nil
}

// file returns a file for writing.
func (m *model) file(path string) (*node, error) {
	_, _, n := m.find(path)
	switch {
	case n == nil:
		return nil, fs.ErrNotExist
	case n.dir:
		return nil, ErrIsDirectory
	}
	return n, nil
}

func (n *node) resize(size int) {
	for len(n.content) < size {
		n.content = append(n.content, 0)
	}
	n.content = n.content[:size:size]
}

// layer returns the model as a layer without times.
func (m *model) layer() *layertest.Layer {
	l := &layertest.Layer{}
	seen := map[*node]string{}
	var walk func(path string, d *node)
	walk = func(path string, d *node) {
		for _, key := range slices.Sorted(maps.Keys(d.children)) {
			c := d.children[key]
			at := winfs.JoinPath(path, c.name)
			if first, ok := seen[c.node]; ok {
				l.Items = append(l.Items, layertest.Item{Entry: layer.Entry{Path: at, Kind: layer.Link, Target: first}})
				continue
			}
			n := c.node
			it := layertest.Item{Entry: layer.Entry{
				Path: at, Kind: layer.Dir, Attributes: n.attributes(), Security: n.security, Reparse: n.reparse,
			}}
			it.EAs, _ = winfs.DecodeEAs(n.eas)
			if !n.dir {
				it.Kind, it.Size = layer.File, int64(len(n.content))
				it.Streams = append(it.Streams, memStream("", n.content))
				seen[n] = at
			}
			for _, key := range slices.Sorted(maps.Keys(n.streams)) {
				it.Streams = append(it.Streams, memStream(n.streams[key].name, n.streams[key].data))
			}
			l.Items = append(l.Items, it)
			if n.dir {
				walk(at, n)
			}
		}
	}
	walk("", m.root)
	return l
}

func (n *node) attributes() winfs.Attributes {
	a := n.attr &^ (winfs.AttrDirectory | winfs.AttrReparsePoint)
	if n.dir {
		a |= winfs.AttrDirectory
	}
	if len(n.reparse) > 0 {
		a |= winfs.AttrReparsePoint
	}
	if a == 0 {
		a = winfs.AttrNormal
	}
	return a
}

// memLower is a model as a lower tree.
type memLower struct {
	files map[uint64]*memFile
}

type memFile struct {
	*node
	t     *memLower
	links int
}

// lower freezes the model as a lower tree.
func (m *model) lower() *memLower {
	t := &memLower{map[uint64]*memFile{}}
	var walk func(n *node) *node
	copies := map[*node]*node{}
	walk = func(n *node) *node {
		if c := copies[n]; c != nil {
			t.files[c.id].links++
			return c
		}
		n.id = uint64(len(copies) + 2)
		c := *n
		copies[n] = &c
		c.content = bytes.Clone(n.content)
		c.streams = maps.Clone(n.streams)
		t.files[c.id] = &memFile{&c, t, 1}
		c.children = map[string]child{}
		for _, key := range slices.Sorted(maps.Keys(n.children)) {
			c.children[key] = child{n.children[key].name, walk(n.children[key].node)}
		}
		return &c
	}
	walk(m.root)
	return t
}

func (t *memLower) Root() (File, error) { return t.File(2) }
func (t *memLower) Identity() string    { return "model" }
func (t *memLower) File(id uint64) (File, error) {
	if f := t.files[id]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (f *memFile) ID() uint64                   { return f.id }
func (f *memFile) IsDir() bool                  { return f.dir }
func (f *memFile) Size() int64                  { return int64(len(f.content)) }
func (f *memFile) NumLinks() (int, error)       { return f.links, nil }
func (f *memFile) Attributes() winfs.Attributes { return f.attributes() }
func (f *memFile) Times() winfs.Times {
	t := winfs.Filetime(f.id * 1e7)
	return winfs.Times{Creation: t, LastAccess: t, LastWrite: t, Change: t}
}
func (f *memFile) Security() ([]byte, error) { return f.security, nil }
func (f *memFile) EAs() ([]byte, error)      { return f.eas, nil }
func (f *memFile) Reparse() ([]byte, error)  { return f.reparse, nil }
func (f *memFile) Child(name string) (File, error) {
	c := f.children[winfs.Fold(name)]
	if c.node == nil {
		return nil, fs.ErrNotExist
	}
	return f.t.File(c.node.id)
}

func (f *memFile) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(f.children)) {
			c := f.children[key]
			if !yield(Entry{Name: c.name, ID: c.node.id}, nil) {
				return
			}
		}
	}
}

type memContent struct {
	*bytes.Reader
	name string
}

func (c memContent) Name() string { return c.name }
func (c memContent) Size() int64  { return c.Reader.Size() }

func (f *memFile) Open() (Stream, error) { return memContent{bytes.NewReader(f.content), ""}, nil }
func (f *memFile) Streams() ([]Stream, error) {
	var out []Stream
	for _, key := range slices.Sorted(maps.Keys(f.streams)) {
		out = append(out, memContent{bytes.NewReader(f.streams[key].data), f.streams[key].name})
	}
	return out, nil
}

// lowerLayer reads a lower tree as a layer.
func lowerLayer(l *memLower) *layertest.Layer {
	m := model{l.files[2].node}
	out := m.layer()
	// With its times, which the model has not.
	for i := range out.Items {
		if it := &out.Items[i]; it.Kind != layer.Link {
			_, _, n := m.find(it.Path)
			it.Times = l.files[n.id].Times()
		}
	}
	return out
}

// viewLayer reads a tree, through its methods alone, as a layer.
func viewLayer(t *testing.T, tr *Tree) *layertest.Layer {
	t.Helper()
	l := &layertest.Layer{}
	seen := map[uint64]string{}
	var walk func(path string, id uint64, depth int)
	walk = func(path string, id uint64, depth int) {
		list, err := tr.ReadDir(id)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if depth > 200 {
			t.Fatalf("the tree is too deep: %s", path)
		}
		for _, e := range list {
			at := winfs.JoinPath(path, e.Name)
			i, err := tr.Lookup(id, e.Name)
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			if i.ID != e.ID {
				t.Fatalf("%s is %d in the list and %d when looked up", at, e.ID, i.ID)
			}
			if first, ok := seen[i.ID]; ok {
				l.Items = append(l.Items, layertest.Item{Entry: layer.Entry{Path: at, Kind: layer.Link, Target: first}})
				tr.Forget(i.ID, 1)
				continue
			}
			it := layertest.Item{Entry: layer.Entry{Path: at, Kind: layer.Dir, Attributes: i.Attributes, Times: i.Times}}
			if it.Attributes == 0 {
				it.Attributes = winfs.AttrNormal
			}
			it.Security, err = tr.Security(i.ID)
			if err == nil {
				it.Reparse, err = tr.Reparse(i.ID)
			}
			if err == nil {
				it.EAs, err = winfs.DecodeEAs(i.EAs)
			}
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			if i.Attributes&winfs.AttrDirectory == 0 {
				it.Kind, it.Size = layer.File, i.Size
				it.Streams = append(it.Streams, memStream("", readFile(t, tr, i.ID)))
				seen[i.ID] = at
			}
			streams, err := tr.Streams(i.ID)
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			for _, s := range streams {
				b, err := tr.ReadStream(i.ID, s.Name, 1<<20)
				if err != nil || int64(len(b)) != s.Size {
					t.Fatalf("%s:%s: %v", at, s.Name, err)
				}
				it.Streams = append(it.Streams, memStream(s.Name, b))
			}
			l.Items = append(l.Items, it)
			if it.Kind == layer.Dir {
				walk(at, i.ID, depth+1)
			}
			tr.Forget(i.ID, 1)
		}
	}
	walk("", tr.Root(), 0)
	return l
}

func readFile(t *testing.T, tr *Tree, id uint64) []byte {
	t.Helper()
	h, err := tr.Open(id, false, false)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	b, err := io.ReadAll(io.NewSectionReader(h, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dirSpelling, as an aspect, leaves out the case of directories' names.
const dirSpelling layer.Aspect = 1 << 31

// differ says how two layers differ, "" if they do not.
func differ(t *testing.T, before, after layer.Source, ignore layer.Aspect) string {
	t.Helper()
	list, err := layer.Diff(context.Background(), before, after, layer.IgnoreAspects(ignore))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range list {
		if ignore&dirSpelling != 0 && c.What == layer.AspectName {
			_, was := winfs.SplitPath(c.Before.Path)
			if _, is := winfs.SplitPath(c.After.Path); was == is || c.After.Kind == layer.Dir {
				continue
			}
		}
		fmt.Fprintf(&b, "%v %v %s\n", c.Kind, c.What, c.Path)
	}
	return b.String()
}

// script is a source of random operations on a tree and its model.
type script struct {
	r    *rand.Rand
	tr   *Tree
	m    *model
	log  []string
	open []*openFile
}

type openFile struct {
	h *Handle
	n *node
}

var poolNames = []string{"a", "B", "cc", "d e", "Änder", "f.txt"}

// path returns a random path, existing or missing.
func (s *script) path() string {
	path := ""
	d := s.m.root
	for range 4 {
		name := poolNames[s.r.IntN(len(poolNames))]
		if keys := slices.Sorted(maps.Keys(d.children)); len(keys) > 0 && s.r.IntN(3) > 0 {
			name = d.children[keys[s.r.IntN(len(keys))]].name
		}
		if s.r.IntN(4) == 0 {
			name = strings.ToUpper(name)
		}
		path = winfs.JoinPath(path, name)
		next := d.children[winfs.Fold(name)].node
		if next == nil || !next.dir || s.r.IntN(3) == 0 {
			break
		}
		d = next
	}
	return path
}

// resolve finds a path in the tree. Each number is held until done is called.
func (s *script) resolve(path string) (dir uint64, name string, done func(), err error) {
	var held []uint64
	done = func() {
		for _, id := range held {
			s.tr.Forget(id, 1)
		}
	}
	up, name := winfs.SplitPath(path)
	dir = s.tr.Root()
	for _, c := range strings.FieldsFunc(up, func(r rune) bool { return r == '\\' }) {
		i, err := s.tr.Lookup(dir, c)
		if err != nil {
			return 0, name, done, err
		}
		held = append(held, i.ID)
		if i.Attributes&winfs.AttrDirectory == 0 {
			return 0, name, done, fs.ErrNotExist
		}
		dir = i.ID
	}
	return dir, name, done, nil
}

// with calls fn with the number of the object at path.
func (s *script) with(path string, fn func(id uint64) error) error {
	dir, name, done, err := s.resolve(path)
	defer done()
	if err != nil {
		return err
	}
	i, err := s.tr.Lookup(dir, name)
	if err != nil {
		return err
	}
	defer s.tr.Forget(i.ID, 1)
	return fn(i.ID)
}

func (s *script) bytes() []byte {
	b := make([]byte, s.r.IntN(200))
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return b
}

// kinds of errors that the model distinguishes.
var kinds = []error{fs.ErrNotExist, fs.ErrExist, ErrName, ErrIsDirectory, ErrNotDirectory, ErrNotEmpty, ErrMoved}

func kindOf(err error) error {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return k
		}
	}
	return err
}

// step performs one operation on both and returns the operation and the difference of the
// results.
func (s *script) step() (what, problem string) {
	path := s.path()
	var want, got error
	switch k := s.r.IntN(16); k {
	case 0, 1, 2:
		dir := s.r.IntN(2) == 0
		what = fmt.Sprintf("create %s %v", path, dir)
		want = s.m.create(path, dir)
		d, name, done, err := s.resolve(path)
		if got = err; err == nil {
			var i Info
			if i, got = s.tr.Create(d, name, New{Dir: dir}); got == nil {
				s.tr.Forget(i.ID, 1)
			}
		}
		done()
	case 3, 4, 5:
		dir := s.r.IntN(2) == 0
		what = fmt.Sprintf("remove %s %v", path, dir)
		want = s.m.remove(path, dir)
		d, name, done, err := s.resolve(path)
		if got = err; err == nil && dir {
			got = s.tr.Rmdir(d, name)
		} else if err == nil {
			got = s.tr.Unlink(d, name)
		}
		done()
	case 6, 7, 8:
		to := s.path()
		flags := []RenameFlag{0, 0, 0, NoReplace, Exchange}[s.r.IntN(5)]
		what = fmt.Sprintf("rename %s %s %d", path, to, flags)
		want = s.m.rename(path, to, flags)
		d, name, done, err := s.resolve(path)
		e, newName, done2, err2 := s.resolve(to)
		if got = errors.Join(err, err2); got == nil {
			got = s.tr.Rename(d, name, e, newName, flags)
		}
		done()
		done2()
	case 9, 10:
		to := s.path()
		what = fmt.Sprintf("link %s %s", path, to)
		want = s.m.link(path, to)
		e, newName, done, err := s.resolve(to)
		got = s.with(path, func(id uint64) error {
			if err != nil {
				return err
			}
			i, err := s.tr.Link(id, e, newName)
			if err == nil {
				s.tr.Forget(i.ID, 1)
			}
			return err
		})
		done()
	case 11, 12:
		b, off := s.bytes(), s.r.IntN(300)
		what = fmt.Sprintf("write %s %d at %d", path, len(b), off)
		n, err := s.m.file(path)
		if want = err; err == nil && len(b) > 0 {
			n.resize(max(len(n.content), off+len(b)))
			copy(n.content[off:], b)
		}
		got = s.with(path, func(id uint64) error {
			h, err := s.tr.Open(id, true, false)
			if err != nil {
				return err
			}
			if len(b) > 0 {
				if _, err := h.WriteAt(b, int64(off)); err != nil {
					return err
				}
			}
			if s.r.IntN(4) == 0 && len(s.open) < 5 {
				s.open = append(s.open, &openFile{h, n})
				return nil
			}
			return h.Close()
		})
	case 13:
		size := s.r.IntN(300)
		what = fmt.Sprintf("truncate %s %d", path, size)
		n, err := s.m.file(path)
		if want = err; err == nil {
			n.resize(size)
		}
		got = s.with(path, func(id uint64) error { return s.tr.Truncate(id, int64(size)) })
	case 14:
		b, name := s.bytes(), []string{"s", "T", "ß"}[s.r.IntN(3)]
		what = fmt.Sprintf("stream %s:%s %d", path, name, len(b))
		_, _, n := s.m.find(path)
		if want = fs.ErrNotExist; n != nil {
			want = nil
			if n.streams == nil {
				n.streams = map[string]stream{}
			}
			key := winfs.Fold(name)
			if old, ok := n.streams[key]; ok && len(b)%3 == 0 {
				delete(n.streams, key)
				what = "remove " + what
				got = s.with(path, func(id uint64) error { return s.tr.RemoveStream(id, old.name) })
				break
			}
			n.streams[key] = stream{name, b}
		}
		got = s.with(path, func(id uint64) error { return s.tr.WriteStream(id, name, b) })
	case 15:
		what = "set " + path
		_, _, n := s.m.find(path)
		attr := []winfs.Attributes{winfs.AttrHidden, winfs.AttrReadOnly | winfs.AttrArchive}[s.r.IntN(2)]
		var eas []byte
		if s.r.IntN(2) == 0 {
			eas, _ = winfs.EncodeEAs([]winfs.EA{{Name: "X", Value: binary.LittleEndian.AppendUint32(nil, s.r.Uint32())}})
		}
		if want = fs.ErrNotExist; n != nil {
			want = nil
			n.attr, n.eas = attr, eas
		}
		got = s.with(path, func(id uint64) error { return s.tr.Set(id, Change{Attributes: &attr, EAs: &eas}) })
	}
	s.log = append(s.log, what)
	if kindOf(want) != kindOf(got) {
		return what, fmt.Sprintf("is %v, want %v", got, want)
	}
	return what, ""
}

// checkOpen compares the content that open handles read, and closes them.
func (s *script) checkOpen(t *testing.T) {
	for _, f := range s.open {
		b := make([]byte, len(f.n.content)+1)
		n, err := f.h.ReadAt(b, 0)
		if err != nil && err != io.EOF || !bytes.Equal(b[:n], f.n.content) {
			t.Fatalf("an open file reads %d bytes, %v; want %d\n%s", n, err, len(f.n.content), strings.Join(s.log, "\n"))
		}
		if err := f.h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.open = nil
}

// randomModel makes a lower tree of random operations.
func randomModel(t *testing.T, r *rand.Rand) *model {
	m := &model{newDir()}
	tr, err := Open(t.TempDir(), NoLower(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s := script{r: r, tr: tr, m: m}
	for range 60 {
		if what, problem := s.step(); problem != "" {
			t.Fatalf("%s: %s", what, problem)
		}
	}
	s.checkOpen(t)
	return m
}

// After random operations the tree equals a naive one, also when it is opened again, and
// its changes over the lower tree produce the same contents.
func TestModel(t *testing.T) {
	seeds := 60
	if long() {
		seeds = 2000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testModel(t, uint64(seed)) })
	}
}

func testModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &model{newDir()}
	if seed%4 != 0 {
		m = randomModel(t, r)
	}
	lower := m.lower()
	below := lowerLayer(lower)
	dir := t.TempDir()
	s := &script{r: r, m: m}
	reopen := func() {
		t.Helper()
		if s.tr != nil {
			s.checkOpen(t)
			if err := s.tr.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if s.tr, err = Open(dir, lower, &Options{KeepJournal: seed%2 == 0}); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(s.log, "\n"))
		}
	}
	reopen()
	defer func() {
		if s.tr != nil {
			s.tr.Close()
		}
	}()
	for n := range 120 {
		if what, problem := s.step(); problem != "" {
			t.Fatalf("%s: %s\n%s", what, problem, strings.Join(s.log, "\n"))
		}
		if r.IntN(30) == 0 {
			reopen()
		}
		if n%20 != 19 {
			continue
		}
		s.checkOpen(t)
		view := viewLayer(t, s.tr)
		if d := differ(t, m.layer(), view, layer.AspectTimes); d != "" {
			t.Fatalf("the tree is not the model:\n%s\n%s", d, strings.Join(s.log, "\n"))
		}
		changes := layer.SourceFunc(s.tr.Changes)
		v, err := layer.Union(context.Background(), []layer.Source{below, changes})
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(s.log, "\n"))
		}
		if d := differ(t, v.Source(), view, dirSpelling); d != "" {
			t.Fatalf("the changes over the lower tree are not the tree:\n%s\n%s", d, strings.Join(s.log, "\n"))
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		// Rewriting the journal does not change the tree.
		if n == 119 {
			compacted(t, s, lower, view)
		}
	}
}

// compacted writes the journal of a tree anew and compares.
func compacted(t *testing.T, s *script, lower Lower, view *layertest.Layer) {
	t.Helper()
	s.tr.mu.Lock()
	records := s.tr.snapshot()
	s.tr.journal.f.Close()
	j, err := createJournal(s.tr.disk, records)
	s.tr.journal = j
	s.tr.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.tr.Dir()
	if err := s.tr.Close(); err != nil {
		t.Fatal(err)
	}
	if s.tr, err = Open(dir, lower, nil); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(s.log, "\n"))
	}
	if d := differ(t, view, viewLayer(t, s.tr), 0); d != "" {
		t.Fatalf("the journal written anew gives another tree:\n%s\n%s", d, strings.Join(s.log, "\n"))
	}
}

func memStream(name string, data []byte) layertest.Stream {
	return layertest.Stream{Name: name, Data: data}
}

func long() bool { return os.Getenv("MULLION_LONG") != "" }
