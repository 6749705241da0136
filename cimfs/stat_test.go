package cimfs

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/mullion/mullion/finding"
)

// A fork knows what is the parent's, and can name a file of the parent that it has
// removed.
func TestForkStat(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("Files", Meta{})
	b.dir(`Files\d`, Meta{})
	b.file(`Files\d\f`, Meta{}, []byte("content"))
	b.stream(`Files\d`, "s", []byte("stream"))
	b.dir(`Files\j`, Meta{Reparse: sampleReparse()})
	b.commit(dir, "a.cim")
	a, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	f, err := a.Lookup(`Files\d\f`)
	if err != nil {
		t.Fatal(err)
	}

	w, err := Create(dir, "b.cim", &Options{Parent: "a.cim"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	stat := func(path string, want Status) {
		t.Helper()
		if got := w.Stat(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	step := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	stat("", Status{Exists: true, Dir: true})
	stat(`files\D`, Status{Exists: true, Dir: true, Old: true, Name: "d"})
	stat(`files\D\F`, Status{Exists: true, Old: true, Name: "f"})
	stat(`Files\j`, Status{Exists: true, Dir: true, Link: true, Old: true, Name: "j"})
	stat(`Files\none`, Status{})
	stat(`Files\d\f\below`, Status{})
	step(w.AddDir(`Files\j`, nil), nil)
	stat(`Files\j`, Status{Exists: true, Dir: true, Old: true, Name: "j"})
	step(w.AddFile(`Files\d\F`, nil, 0), nil)
	stat(`Files\d\f`, Status{Exists: true, Old: true, Name: "f"})
	step(w.RemoveStreams(`Files\d`), nil)
	step(w.RemoveStreams(`Files\none`), fs.ErrNotExist)
	step(w.LinkParent(`Files\back`, f.ID()), nil)
	step(w.LinkParent(`Files\d\F`, f.ID()), nil)
	d0, err := a.Lookup(`Files\d`)
	if err != nil {
		t.Fatal(err)
	}
	step(w.LinkParent(`Files\x`, d0.ID()), ErrIsDirectory)
	step(w.LinkParent(`Files\x`, 0), fs.ErrNotExist)
	step(w.LinkParent(`Files\x`, f.ID()+100), fs.ErrNotExist)
	step(w.LinkParent(`Files\none\x`, f.ID()), fs.ErrNotExist)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}

	im, err := Open(dir, "b.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if found, err := finding.Collect(im.Check(context.Background(), CheckOptions{})); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	ids := map[FileID]bool{}
	for _, p := range []string{`Files\back`, `Files\d\F`} {
		g, err := im.Lookup(p)
		if err != nil {
			t.Fatal(err)
		}
		if !g.Same(f) {
			t.Errorf("%s is another file", p)
		}
		ids[g.ID()] = true
	}
	if len(ids) != 1 {
		t.Errorf("two names of one file have the IDs %v", ids)
	}
	d, err := im.Lookup(`Files\d`)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := d.Streams(); err != nil || len(list) > 0 {
		t.Errorf("streams %v, %v", list, err)
	}
}
