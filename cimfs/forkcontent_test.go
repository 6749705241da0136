package cimfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// A large file of a fork that the parent has at the same path is stored once, whatever the
// tables of the parent say. One that begins like it is stored whole.
func TestForkOfLargeFile(t *testing.T) {
	const size = 5*chunkSize + 100
	old := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(old)
	changed := func(at int) []byte {
		b := bytes.Clone(old)
		b[at] ^= 1
		return b
	}
	for _, c := range []struct {
		name    string
		content []byte
		noTable bool
		stored  bool
	}{
		{"same", old, false, false},
		{"other start", changed(0), false, true},
		{"other middle", changed(2*chunkSize + 5), false, true},
		{"other end", changed(size - 1), false, true},
		{"same without table", old, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			b := newBuilder(t, dir, "a.cim", nil)
			b.file("f", Meta{}, old)
			b.file("last", Meta{}, old[:4])
			b.commit(dir, "a.cim")
			if c.noTable {
				tables, err := filepath.Glob(filepath.Join(dir, "objectid_*"))
				if err != nil || len(tables) == 0 {
					t.Fatalf("tables %v: %v", tables, err)
				}
				for _, name := range tables {
					if err := os.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			b = newBuilder(t, dir, "b.cim", &Options{Parent: "a.cim"})
			b.file("first", Meta{}, bytes.Repeat([]byte("x"), size)) // so that the end of the region is not its start
			b.file("f", Meta{}, c.content)
			b.file("again", Meta{}, c.content)
			b.commit(dir, "b.cim")
			im, err := Open(dir, "b.cim")
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			var at [2]uint64
			for i, name := range []string{"f", "again"} {
				f, err := im.Lookup(name)
				if err != nil {
					t.Fatal(err)
				}
				at[i] = f.rec.data.offset
				s, err := f.Data()
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
				if err != nil || !bytes.Equal(got, c.content) {
					t.Errorf("%s: %d other bytes, %v", name, len(got), err)
				}
			}
			parents := 0
			for _, s := range im.Parents() {
				parents += s.Count
			}
			if stored := RegionOffset(at[0]).Region() >= parents; stored != c.stored || at[0] != at[1] {
				t.Errorf("stored at %#x and %#x, behind %d regions of the parent; want stored %v", at[0], at[1], parents, c.stored)
			}
		})
	}
}

// The content of a fork that is equal to the parent's is not written to its region first.
func TestOldContent(t *testing.T) {
	const size = bufferedMax + 1
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.file("f", Meta{}, make([]byte, size))
	b.dir("d", Meta{})
	b.commit(dir, "a.cim")
	w, err := Create(dir, "b.cim", &Options{Parent: "a.cim", DefaultSecurity: NullDACL()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for path, want := range map[string]bool{"f": true, "F": true, "d": false, "none": false, `f\below`: false} {
		if got := w.oldContent(path, size); got != 0 != want {
			t.Errorf("%s: %#x", path, got)
		}
	}
	if got := w.oldContent("f", size+1); got != 0 {
		t.Errorf("another size: %#x", got)
	}
}
