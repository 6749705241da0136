package cimfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// changer applies random changes to a writer and to a model alike.
type changer struct {
	t      *testing.T
	r      *rand.Rand
	w      *cimfs.Writer
	m      *model
	own    map[string]bool // folded paths of names that this writer has made
	old    map[*modelFile]bool
	proven bool // nothing that is inferred
	v1     bool
	log    []string
	last   []byte // content that the next file may repeat
}

var oddNames = []string{
	"a", "A", "b.txt", "B.TXT", "straße", "STRASSE", "ÿ.dll", "Ÿ.DLL", "日本語", "_under", "~tilde", "\U0001F600.txt",
	"\xed\xa0\x80", "x\xed\xb0\x80", "\uffff", "ı", "I", "ſ", "s", "dž", "Dž", "DŽ", "space in name", "..dots", "...x", "\u00a0",
}

func (c *changer) name() string {
	if n := c.r.IntN(40); n < len(oddNames) {
		return oddNames[n]
	}
	n := fmt.Sprintf("name%d", c.r.IntN(25))
	if c.r.IntN(60) == 0 {
		n = strings.Repeat("é", 250) + fmt.Sprintf("%05d", c.r.IntN(3)) // 255 units
	}
	return n
}

// place returns a path below an existing directory.
func (c *changer) place() string {
	dirs := append(c.m.paths(func(n *modelName) bool { return n.file.dir }), "")
	dir := dirs[c.r.IntN(len(dirs))]
	if strings.Count(dir, `\`) > 5 {
		dir = ""
	}
	return winfs.JoinPath(dir, c.name())
}

// some returns a path that keep accepts, "" if there is none.
func (c *changer) some(keep func(*modelName) bool) string {
	if p := c.m.paths(keep); len(p) > 0 {
		return p[c.r.IntN(len(p))]
	}
	return ""
}

func isFile(n *modelName) bool { return !n.file.dir }

func (c *changer) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.r.UintN(4)) // long runs and equal pieces
	}
	return b
}

// content makes file content around the edges of the format.
func (c *changer) content() []byte {
	switch c.r.IntN(12) {
	case 0:
		return nil
	case 1, 2: // seen before: one object
		return c.last
	case 3:
		c.last = c.executable()
		return c.last
	}
	edges := []int{1, 7, 8, 23, 24, 25, 100, 1023, 1024, 1025, 4095, 4096, 4097, 8192, 70000}
	c.last = c.bytes(edges[c.r.IntN(len(edges))])
	return c.last
}

func (c *changer) executable() []byte {
	p := pePlan{pe32: c.r.IntN(2) == 0}
	at := uint32(0x400)
	for range 1 + c.r.IntN(6) {
		size := uint32(0x200 * c.r.IntN(12))
		p.sections = append(p.sections, peSection{at, size})
		if size == 0 {
			p.sections[len(p.sections)-1].ptr = 0
		}
		at += size
	}
	p.length = int(at)
	if c.r.IntN(2) == 0 {
		p.length += c.r.IntN(3000)
	}
	return buildPE(p)
}

func (c *changer) file(dir bool) *modelFile {
	f := &modelFile{dir: dir, streams: map[string]modelStream{}}
	for _, bit := range []winfs.Attributes{winfs.AttrReadOnly, winfs.AttrHidden, winfs.AttrSystem, winfs.AttrArchive} {
		if c.r.IntN(3) == 0 {
			f.attr |= bit
		}
	}
	for _, p := range []*winfs.Filetime{&f.times.Creation, &f.times.LastAccess, &f.times.LastWrite, &f.times.Change} {
		if c.r.IntN(5) > 0 {
			*p = winfs.Filetime(c.r.Int64N(1 << 58))
		}
	}
	// One of a few descriptors, so that they are shared: owner and group, no DACL.
	f.security = cimfs.NullDACL()
	if n := c.r.IntN(5); n > 0 {
		f.security = []byte{1, 0, 0, 0x80, 20, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, byte(17 + n), 0, 0, 0}
	}
	for i := range c.r.IntN(3) {
		if c.r.IntN(3) == 0 {
			f.eas = append(f.eas, winfs.EA{Name: fmt.Sprintf("MULLION.%d", i), Flags: byte(c.r.IntN(2)) << 7, Value: c.bytes(c.r.IntN(40))})
		}
	}
	if !c.proven && c.r.IntN(8) == 0 {
		f.reparse = binary.LittleEndian.AppendUint32(nil, 0x80000023)
		data := c.bytes(1 + c.r.IntN(30))
		f.reparse = binary.LittleEndian.AppendUint16(f.reparse, uint16(len(data)))
		f.reparse = append(append(f.reparse, 0, 0), data...)
	}
	if !dir && f.reparse == nil {
		if !c.proven && !c.v1 && c.r.IntN(10) == 0 {
			f.sparse = 1 + c.r.Int64N(1<<40)
			if c.r.IntN(4) > 0 { // the attribute and the hole are told apart
				f.attr |= winfs.AttrSparse
			}
		} else {
			f.data = c.content()
		}
	}
	if c.proven && len(f.data) == 0 {
		f.eas = nil
	}
	return f
}

func metaFor(t *testing.T, f *modelFile) *cimfs.Meta {
	eas, err := winfs.EncodeEAs(f.eas)
	if err != nil {
		t.Fatal(err)
	}
	return &cimfs.Meta{Attributes: f.attr, Times: f.times, Security: f.security, EAs: eas, Reparse: f.reparse, Hole: f.sparse > 0}
}

// change makes one random change.
func (c *changer) change() {
	switch n := c.r.IntN(20); {
	case n < 9:
		c.add(c.place(), false)
	case n < 13:
		c.add(c.place(), true)
	case n < 15:
		c.remove()
	case n < 17 && !c.proven:
		c.link()
	case n < 19 && !c.proven:
		c.stream()
	default:
		if p := c.some(isFile); p != "" {
			c.add(p, false) // replace under its own spelling
		}
	}
}

// expect compares an error with what the model says must happen.
func (c *changer) expect(what string, err, want error) bool {
	c.t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		c.t.Fatalf("%s: %v, want %v; after\n%s", what, err, want, strings.Join(c.log, "\n"))
	}
	c.log = append(c.log, what)
	return err == nil
}

// conflict reports whether path differs only in case from what this writer added.
func (c *changer) conflict(path string) bool {
	_, base := winfs.SplitPath(path)
	old := c.m.find(path)
	return old != nil && c.own[winfs.Fold(path)] && old.name != base
}

func (c *changer) add(path string, dir bool) {
	old := c.m.find(path)
	f := c.file(dir)
	what := fmt.Sprintf("add %q, directory %v, %d bytes, sparse %d", path, dir, len(f.data), f.sparse)
	var want error
	switch {
	case c.conflict(path):
		want = cimfs.ErrCaseConflict
	case !dir && old != nil && len(old.children) > 0:
		want = cimfs.ErrNotEmpty
	}
	if dir {
		if !c.expect(what, c.w.AddDir(path, metaFor(c.t, f)), want) {
			return
		}
	} else {
		size := int64(len(f.data))
		if f.sparse > 0 {
			size = f.sparse
		}
		if !c.expect(what, c.w.AddFile(path, metaFor(c.t, f), size), want) {
			return
		}
		c.write(f.data)
	}
	if old == nil {
		c.own[winfs.Fold(path)] = true
	}
	switch {
	case dir && old != nil && old.file.dir:
		f.streams = old.file.streams // metadata is replaced; name, children and streams stay
		old.file = f
	case old == nil:
		c.m.put(path, f)
	default: // the spelling stays
		if !c.old[old.file] && !(dir && c.m.names(old.file) > 1) {
			*old.file = *f // all names of the file show the new one
			f = old.file
		}
		old.file, old.children = f, nil
		if dir {
			old.children = map[string]*modelName{}
		}
	}
}

// changed takes a name away from a file of the parent image: what changes under one name
// leaves the others as they were.
func (c *changer) changed(n *modelName) *modelFile {
	if c.old[n.file] {
		f := *n.file
		f.streams = maps.Clone(f.streams)
		n.file = &f
	}
	return n.file
}

// write sends data in pieces.
func (c *changer) write(data []byte) {
	for len(data) > 0 {
		n := 1 + c.r.IntN(len(data))
		if k, err := c.w.Write(data[:n]); k != n || err != nil {
			c.t.Fatalf("write %d: %d, %v", n, k, err)
		}
		data = data[n:]
	}
	if c.r.IntN(2) == 0 { // otherwise the next call must do it
		c.expect("close stream", c.w.CloseStream(), nil)
	}
}

func (c *changer) remove() {
	path := c.some(func(*modelName) bool { return true })
	if path == "" || c.r.IntN(6) == 0 {
		path = winfs.JoinPath(path, "not there")
		err := c.w.Remove(path)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, cimfs.ErrNotDirectory) {
			c.t.Fatalf("remove %q: %v", path, err)
		}
		return
	}
	if c.r.IntN(3) > 0 && len(c.m.find(path).children) > 0 { // keep the tree growing
		return
	}
	if !c.expect(fmt.Sprintf("remove %q", path), c.w.Remove(path), nil) {
		return
	}
	c.m.remove(path)
	for p := range c.own {
		if winfs.Under(p, winfs.Fold(path)) {
			delete(c.own, p)
		}
	}
	delete(c.own, winfs.Fold(path))
}

func (c *changer) link() {
	target := c.some(isFile)
	if target == "" {
		return
	}
	path := c.place()
	old := c.m.find(path)
	if old != nil && (old.file.dir || old == c.m.find(target)) {
		return
	}
	if !c.expect(fmt.Sprintf("link %q to %q", path, target), c.w.Link(path, target), nil) {
		return
	}
	f := c.changed(c.m.find(target))
	if old != nil {
		old.file = f
		return
	}
	c.own[winfs.Fold(path)] = true
	c.m.put(path, f)
}

func (c *changer) stream() {
	path := c.some(func(*modelName) bool { return true })
	if path == "" {
		return
	}
	f := c.changed(c.m.find(path))
	name := []string{"Zone.Identifier", "a", "stream é", "\xed\xa0\x80x"}[c.r.IntN(4)]
	key := winfs.Fold(name)
	if _, ok := f.streams[key]; ok && c.r.IntN(2) == 0 {
		c.expect(fmt.Sprintf("remove stream %q of %q", name, path), c.w.RemoveStream(path, name), nil)
		delete(f.streams, key)
		return
	}
	data := c.content()
	c.expect(fmt.Sprintf("stream %q of %q, %d bytes", name, path, len(data)), c.w.CreateStream(path, name, int64(len(data))), nil)
	c.write(data)
	if old, ok := f.streams[key]; ok {
		name = old.name // the spelling stays
	}
	f.streams[key] = modelStream{name, data}
}

// randomImage writes an image of random changes, a fork if parent has a name, and
// returns what it must hold.
func randomImage(t *testing.T, dir, name, parent string, base *model, seed uint64, changes int, opts cimfs.Options) *model {
	t.Helper()
	opts.Parent = parent
	w, err := cimfs.Create(dir, name, &opts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := &changer{t: t, r: rand.New(rand.NewPCG(seed, 42)), w: w, m: newModel(), own: map[string]bool{}, old: map[*modelFile]bool{},
		proven: opts.ProvenOnly, v1: opts.Version == cimfs.V1}
	if base != nil {
		c.m = base.clone()
		c.m.each(func(n *modelName) { c.old[n.file] = true })
	}
	for range changes {
		c.change()
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("commit: %v, after\n%s", err, strings.Join(c.log, "\n"))
	}
	return c.m
}

// clean fails the test if Check has anything to say, or if the directory holds
// what belongs to no image.
func clean(t *testing.T, dir string, names ...string) {
	t.Helper()
	want := map[string]bool{}
	for _, name := range names {
		found, err := finding.Collect(cimfs.Check(context.Background(), dir, name, cimfs.CheckOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("%s: %v", name, f)
		}
		im, err := cimfs.Open(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range im.FileNames() {
			want[n] = true
		}
		im.Close()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !want[e.Name()] {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

func TestRandomImages(t *testing.T) {
	rounds := 40
	if os.Getenv("MULLION_LONG") == "1" {
		rounds = 1500
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			opts := cimfs.Options{Version: cimfs.V3, ProvenOnly: seed%5 == 4, PlainExecutables: seed%7 == 6}
			if seed%3 == 1 {
				opts.Version = cimfs.V1
			}
			dir := t.TempDir()
			m := randomImage(t, dir, "a.cim", "", nil, seed, 20+int(seed)*3%150, opts)
			tree := m.same(t, dir, filepath.Join(dir, "a.cim"), true)
			agree(t, dir, "a.cim")
			clean(t, dir, "a.cim")
			if opts.PlainExecutables {
				for _, f := range tree.Files {
					if f != nil && f.Main.Type == 2 {
						t.Errorf("file %d was expanded", f.ID)
					}
				}
			}
		})
	}
}

func TestRandomForks(t *testing.T) {
	rounds := 25
	if os.Getenv("MULLION_LONG") == "1" {
		rounds = 600
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			opts := cimfs.Options{Version: cimfs.V3}
			if seed%4 == 3 {
				opts.Version = cimfs.V1
			}
			dir := t.TempDir()
			var models []*model
			var names []string
			var parent string
			for i := range 2 + int(seed%3) {
				var base *model
				if i > 0 {
					base = models[i-1]
				}
				name := fmt.Sprintf("%d.cim", i)
				models = append(models, randomImage(t, dir, name, parent, base, seed*16+uint64(i), 10+int(seed)*5%60, opts))
				names = append(names, name)
				parent = name
			}
			// Every image of the chain, older ones too, is still what it was.
			for i, m := range models {
				m.same(t, dir, filepath.Join(dir, names[i]), true)
				agree(t, dir, names[i])
			}
			clean(t, dir, names...)
		})
	}
}

// files returns the bytes of all files in a directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Equal input gives equal names and bytes, forks included.
func TestSameInputSameBytes(t *testing.T) {
	for seed := range uint64(8) {
		var sets []map[string][]byte
		for range 2 {
			dir := t.TempDir()
			base := randomImage(t, dir, "base.cim", "", nil, 900+seed, 60, cimfs.Options{Version: cimfs.V3})
			randomImage(t, dir, "fork.cim", "base.cim", base, 950+seed, 30, cimfs.Options{})
			sets = append(sets, files(t, dir))
		}
		if len(sets[0]) != len(sets[1]) {
			t.Errorf("seed %d: %d and %d files", seed, len(sets[0]), len(sets[1]))
		}
		for name, b := range sets[0] {
			if !bytes.Equal(b, sets[1][name]) {
				t.Errorf("seed %d: %s differs", seed, name)
			}
		}
	}
}

// ids lists the names of an image with the places of their file IDs among all IDs that
// have a name.
func ids(tree *plaincim.Tree) (out []string) {
	var all []uint32
	tree.Walk(func(_ string, n *plaincim.Node) { all = append(all, n.File.ID) })
	slices.Sort(all)
	all = slices.Compact(all)
	tree.Walk(func(path string, n *plaincim.Node) {
		i, _ := slices.BinarySearch(all, n.File.ID)
		out = append(out, fmt.Sprintf("%s=%d", path, i))
	})
	return out
}

// A rewritten image holds the same, with IDs in the same order, and rewriting it again
// gives the same bytes; a fork becomes an image that stands alone.
func TestRewriteRandomImages(t *testing.T) {
	for seed := range uint64(12) {
		dir, alone, again := t.TempDir(), t.TempDir(), t.TempDir()
		version := []cimfs.Version{cimfs.V3, cimfs.V1}[seed%2]
		m := randomImage(t, dir, "base.cim", "", nil, 500+seed, 60, cimfs.Options{Version: version})
		name := "base.cim"
		if seed%3 == 2 {
			m = randomImage(t, dir, "fork.cim", "base.cim", m, 600+seed, 30, cimfs.Options{Version: version})
			name = "fork.cim"
		}
		rewrite := func(from, fromName, to string) {
			im, err := cimfs.Open(from, fromName)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			if err := cimfs.Rewrite(t.Context(), to, "out.cim", im, nil); err != nil {
				t.Fatal(err)
			}
		}
		before := agree(t, dir, name)
		rewrite(dir, name, alone)
		m.same(t, alone, filepath.Join(alone, "out.cim"), false)
		after := agree(t, alone, "out.cim")
		clean(t, alone, "out.cim")
		if len(after.Parents) != 0 {
			t.Errorf("seed %d: %d parents are left", seed, len(after.Parents))
		}
		if a, b := ids(before), ids(after); !slices.Equal(a, b) {
			t.Errorf("seed %d: IDs %v became %v", seed, a, b)
		}
		rewrite(alone, "out.cim", again)
		x, y := files(t, alone), files(t, again)
		if len(x) != len(y) {
			t.Errorf("seed %d: %d files, then %d", seed, len(x), len(y))
		}
		for n := range x {
			if !bytes.Equal(x[n], y[n]) {
				t.Errorf("seed %d: %s differs after a second rewriting", seed, n)
			}
		}
	}
}
