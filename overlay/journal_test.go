package overlay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// copyDir copies the directory of a tree, the journal cut to a length.
func copyDir(t *testing.T, from string, journal []byte) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, dataName), os.DirFS(filepath.Join(from, dataName))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, journalName), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// A journal that ends at any byte produces the tree of the last complete record, and so
// does one with a wrong byte in the record after it.
func TestTornJournal(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	m := randomModel(t, r)
	lower := m.lower()
	dir := t.TempDir()
	tr, err := Open(dir, lower, &Options{KeepJournal: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{r: r, tr: tr, m: m}
	// Contents are written in place, so that names and metadata alone can be
	// compared with an earlier moment.
	type moment struct {
		end  int64
		view *layertest.Layer
	}
	moments := []moment{{tr.journal.size, viewLayer(t, tr)}}
	for len(moments) < 25 {
		if what, problem := s.step(); problem != "" {
			t.Fatalf("%s: %s", what, problem)
		}
		s.checkOpen(t)
		if tr.journal.size != moments[len(moments)-1].end {
			moments = append(moments, moment{tr.journal.size, viewLayer(t, tr)})
		}
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	// One operation may write several records: a journal between two states must open, and
	// produce one of the two or a state in between.
	check := func(what string, journal []byte, want *layertest.Layer) {
		t.Helper()
		dir := copyDir(t, dir, journal)
		tr, err := Open(dir, lower, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		view := viewLayer(t, tr)
		if want != nil {
			ignore := layer.AspectContent | layer.AspectSize | layer.AspectStreams | layer.AspectTimes
			if d := differ(t, want, view, ignore); d != "" {
				t.Errorf("%s: not the tree of that moment:\n%s", what, d)
			}
		}
		if err := tr.Close(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		again, err := os.ReadFile(filepath.Join(dir, journalName))
		if err != nil {
			t.Fatal(err)
		}
		if tr = open(t, dir, lower); differ(t, view, viewLayer(t, tr), 0) != "" {
			t.Errorf("%s: opened again it is another tree; the journal has %d bytes", what, len(again))
		}
	}
	step := 1
	if !long() && len(journal) > 1500 {
		step = 7
	}
	at := 0
	for n := 0; n <= len(journal); n++ {
		exact := false
		for at+1 < len(moments) && moments[at+1].end <= int64(n) {
			at++
		}
		exact = moments[at].end == int64(n)
		if !exact && n%step != 0 {
			continue
		}
		var want *layertest.Layer
		if exact || n < len(journalMagic) {
			want = moments[at].view
		}
		check(fmt.Sprintf("cut at %d", n), journal[:n], want)
		if exact && n < len(journal) {
			// A byte of the next record is wrong, and nothing behind it counts.
			bad := bytes.Clone(journal)
			bad[min(n+recordHeader+1, len(bad)-1)] ^= 0x10
			check(fmt.Sprintf("flipped behind %d", n), bad, want)
		}
	}
}

// FuzzJournal opens trees from arbitrary journals. A tree that opens can be read, changed,
// closed, and is the same when it is opened again.
func FuzzJournal(f *testing.F) {
	m := &model{newDir()}
	for _, p := range []string{"a", `a\b`, `a\b\c`, "d"} {
		m.create(p, p != "d")
	}
	m.create(`a\f`, false)
	m.link(`a\f`, `a\b\g`)
	lower := m.lower()
	add := func(ops ...op) {
		b := []byte{0}
		for i := range ops {
			b = ops[i].append(b)
		}
		f.Add(b)
	}
	start := op{code: opLower, name: "model"}
	id := func(path string) uint64 { _, _, n := m.find(path); return n.id }
	add(start, op{code: opNew, id: firstNew, n: 1}, op{code: opName, dir: 2, name: "n", id: firstNew})
	add(start, op{code: opAdopt, id: id("a"), dir: 2, name: "a"}, op{code: opName, dir: 2, name: "a", n: id("a"), below: id("a")})
	add(start, op{code: opAdopt, id: id("a"), dir: 2, name: "a"}, op{code: opAdopt, id: id(`a\b`), dir: id("a"), name: "b"},
		op{code: opName, dir: id(`a\b`), name: "loop", id: id("a")})
	add(start, op{code: opAdopt, id: id("d"), dir: 2, name: "d"}, op{code: opData, id: id("d"), n: 1}, op{code: opDirty, id: id("d")},
		op{code: opSet, id: id("d"), set: overrides{mask: allFields, eas: []byte{1}, reparse: []byte{2}}})
	f.Add(append([]byte{1}, journalMagic+"\x05\x00\x00\x00torn"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		journal := b[1:]
		if b[0]&1 == 0 {
			journal = appendRecord([]byte(journalMagic), b[1:])
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, journalName), journal, 0o600); err != nil {
			t.Fatal(err)
		}
		tr, err := Open(dir, lower, nil)
		if err != nil {
			return
		}
		list := func(tr *Tree) (out []string) {
			var walk func(path string, id uint64, depth int)
			walk = func(path string, id uint64, depth int) {
				if depth > 64 {
					t.Fatalf("a journal has made a loop: %s", path)
				}
				entries, err := tr.ReadDir(id)
				if err != nil {
					out = append(out, fmt.Sprint(path, err))
					return
				}
				for _, e := range entries {
					i, err := tr.Lookup(id, e.Name)
					out = append(out, fmt.Sprint(path, "/", e.Name, e.ID, i.ID, i.Size, i.Attributes, i.Times, i.EAs, err))
					if err != nil {
						continue
					}
					if i.Attributes&winfs.AttrDirectory != 0 {
						walk(path+"/"+e.Name, i.ID, depth+1)
					}
					tr.Forget(i.ID, 1)
				}
			}
			walk("", tr.Root(), 0)
			return out
		}
		before := list(tr)
		if r, err := tr.Changes(); err == nil {
			layertest.Collect(r, true)
			r.Close()
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if tr, err = Open(dir, lower, nil); err != nil {
			t.Fatalf("it opened once: %v", err)
		}
		defer tr.Close()
		if after := list(tr); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("opened again:\n%q\nwas\n%q", after, before)
		}
	})
}
