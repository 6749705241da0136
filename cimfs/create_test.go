package cimfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// CreateFile makes anew what is at a path, and keeps its name as it is spelled; AddDir
// keeps what is in a directory. In an image that stands alone and in a fork.
func TestCreateFile(t *testing.T) {
	directory := &Meta{Attributes: winfs.AttrDirectory}
	for _, v := range []Version{V1, V3} {
		for _, fork := range []bool{false, true} {
			dir := t.TempDir()
			b := newBuilder(t, dir, "a.cim", &Options{Version: v})
			b.dir("d", Meta{})
			b.dir(`d\e`, Meta{})
			b.file(`d\e\f`, Meta{}, []byte("deep"))
			b.stream("d", "s", []byte("stream"))
			b.file("f", Meta{}, []byte("file"))
			b.stream("f", "s", []byte("stream"))
			b.link("g", "f")
			b.dir("kept", Meta{})
			b.file(`kept\f`, Meta{}, []byte("kept"))
			name := "a.cim"
			if fork {
				b.commit(dir, name)
				name = "b.cim"
				b = newBuilder(t, dir, name, &Options{Parent: "a.cim"})
			}
			b.ok(b.w.CreateFile("D", directory, 0))
			b.m.removeBelow("d")
			b.add("d", &modelFile{dir: true, meta: *directory})

			b.ok(b.w.CreateFile("F", nil, 3))
			b.write([]byte("new"))
			b.add("f", &modelFile{data: "new"})
			if !fork { // all names of a file that the image has made show the new one
				b.m["g"] = b.m["f"]
			}

			b.ok(b.w.CreateFile("kept", nil, 0)) // a directory that is full becomes a file
			b.m.removeBelow("kept")
			b.add("kept", &modelFile{})

			b.dir("e", Meta{})
			b.ok(b.w.CreateFile("", &Meta{Attributes: winfs.AttrHidden}, 0))
			b.add("", &modelFile{dir: true, meta: Meta{Attributes: winfs.AttrHidden | winfs.AttrDirectory}})
			b.file("t", Meta{}, nil)
			b.dir("over", Meta{})
			b.file(`over\x`, Meta{}, nil)
			b.m.removeBelow("over")
			b.link("over", "t")
			b.link(`d\of itself`, "t")
			b.commit(dir, name)
		}
	}
}

// removeBelow forgets everything below a directory.
func (m model) removeBelow(p string) {
	for q := range m {
		if winfs.Under(q, p) {
			delete(m, q)
		}
	}
}

// A file that takes the place of the directory that it is in stays a file.
func TestLinkOverItsDirectory(t *testing.T) {
	for _, fork := range []bool{false, true} {
		dir := t.TempDir()
		b := newBuilder(t, dir, "a.cim", nil)
		b.dir("d", Meta{})
		b.file(`d\f`, Meta{}, []byte("content"))
		b.file(`d\g`, Meta{}, []byte("gone"))
		name := "a.cim"
		if fork {
			b.commit(dir, name)
			name = "b.cim"
			b = newBuilder(t, dir, name, &Options{Parent: "a.cim"})
		}
		b.ok(b.w.Link("d", `d\f`))
		b.m["d"] = b.m[`d\f`]
		b.m.removeBelow("d")
		b.commit(dir, name)
	}
}

// A fork that changes nothing is a header, and forks of it are forks of its parent.
func TestForkWithoutChanges(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("d", Meta{})
	b.file(`d\f`, Meta{}, []byte("content"))
	b.commit(dir, "a.cim")
	newBuilder(t, dir, "b.cim", &Options{Parent: "a.cim"}).commit(dir, "b.cim")
	im, err := Open(dir, "b.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if names := im.FileNames(); len(names) != 1 {
		t.Errorf("files %v", names)
	}
	c := newBuilder(t, dir, "c.cim", &Options{Parent: "b.cim"})
	c.file(`d\g`, Meta{}, []byte("more"))
	c.commit(dir, "c.cim")
	if err := Delete(dir, "b.cim"); err != nil {
		t.Fatal(err)
	}
	wantClean(t, dir, "a.cim")
}

// A name of the parent image that a corrupt table has twice, or that leads nowhere, is an
// error as soon as the fork needs it.
func TestForkOfCorruptDirectory(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("d", Meta{})
	b.file(`d\f`, Meta{}, []byte("one"))
	b.file(`d\g`, Meta{}, []byte("two"))
	b.commit(dir, "a.cim")
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	d, err := im.Lookup("d")
	if err != nil {
		t.Fatal(err)
	}
	at := RegionOffset(d.rec.data.offset)
	r := regionName(im.guid, at.Region())
	im.Close()
	set := readSet(t, dir)
	for what, edit := range map[string]func(b []byte){
		"equal names":         func(b []byte) { b[len(b)-2] = 'f' },
		"a file out of range": func(b []byte) { le.PutUint32(b[8:], 100) },
	} {
		dir := t.TempDir()
		for name, b := range set {
			b = append([]byte(nil), b...)
			if name == r {
				edit(b[at.Offset():][:d.rec.data.length()])
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w, err := Create(dir, "b.cim", &Options{Parent: "a.cim"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AddFile(`d\h`, nil, 0); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
		w.Close()
	}
}
