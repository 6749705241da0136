package cimfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/winfs"
)

func TestRoundTrip(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		for _, sd := range [][]byte{nil, NullDACL()} {
			t.Run(fmt.Sprintf("v%d/%d", v, len(sd)), func(t *testing.T) {
				opts := &Options{Version: v, DefaultSecurity: sd}
				one, two, three := t.TempDir(), t.TempDir(), t.TempDir()
				b := newBuilder(t, one, "a.cim", opts)
				everything(b, v)
				b.commit(one, "a.cim")

				// The same again gives the same bytes, with everything held in memory, file
				// after file, and one plain hasher, the plain way of the pipeline.
				b2 := newBuilder(t, two, "a.cim", opts)
				b2.w.placer.finish()
				b2.w.placer = newPlacer(b2.w.staging, v, nil, 1)
				b2.w.placer.buffered, b2.w.placer.most, b2.w.placer.plain = 8<<20, 1, true
				everything(b2, v)
				b2.commit(two, "a.cim")
				sameSets(t, readSet(t, one), readSet(t, two))

				im, err := Open(one, "a.cim")
				if err != nil {
					t.Fatal(err)
				}
				defer im.Close()
				if err := Rewrite(t.Context(), three, "a.cim", im, nil); err != nil {
					t.Fatal(err)
				}
				sameSets(t, readSet(t, one), readSet(t, three))
			})
		}
	}
}

func TestFSView(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("names", Meta{})
	for i, n := range []string{"\xed\xa0\xbd", "a\xed\xb8\x80b", "%uD83D", "%u0025", "%uZ", "ÿ", "\U0001F600", "b", "A"} {
		b.file(`names\`+n, Meta{}, bytesOf(int64(i), 10*i))
	}
	b.file("app.exe", Meta{}, samplePE(1, 5))
	b.dir("junction", Meta{Reparse: sampleReparse()})
	b.file("symlink", Meta{Reparse: sampleReparse()}, nil)
	b.dir("empty", Meta{})
	b.commit(dir, "a.cim")
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if err := fstest.TestFS(im.FS(), "names/%uD83D", "names/%u0025uD83D", "names/a%uDE00b", "names/%u0025u0025", "names/%uZ", "empty", "symlink"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"names/%u0025uZ", "names/b/c", "b", "/names", "names/"} {
		if _, err := fs.Stat(im.FS(), bad); err == nil {
			t.Errorf("%q can be opened", bad)
		}
	}
}

func TestRewriteChangesVersion(t *testing.T) {
	dir, to1, to3 := t.TempDir(), t.TempDir(), t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	everything(b, V1) // without what version 1 cannot hold
	b.commit(dir, "a.cim")
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if err := Rewrite(t.Context(), to1, "b.cim", im, &Options{Version: V1}); err != nil {
		t.Fatal(err)
	}
	wantClean(t, to1, "b.cim")
	b.m.diff(t, dumpFile(t, to1, "b.cim"))
	old, err := Open(to1, "b.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := Rewrite(t.Context(), to3, "a.cim", old, &Options{Version: V3}); err != nil {
		t.Fatal(err)
	}
	wantClean(t, to3, "a.cim") // which name of a linked file was the first is not in version 1
	b.m.diff(t, dumpFile(t, to3, "a.cim"))
}

// A version 2 image is made by hand: version 3 records without their last field.
func TestReadV2(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("d", Meta{})
	b.file(`d\f`, Meta{Times: sampleTimes(1)}, []byte("some content"))
	b.commit(dir, "a.cim")
	set := memOpener(readSet(t, dir))
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	table, err := im.fileTable(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range set {
		le.PutUint32(f[headerMajorAt:], 2)
	}
	r := set[regionName(im.guid, table.offset.Region())]
	for i := range table.count {
		copy(r[table.offset.Offset()+int64(i)*0x60:], r[table.offset.Offset()+int64(i)*0x68:][:0x60])
	}
	le.PutUint16(r[im.tablesAt.Offset()+10:], 0x60)
	v2, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer v2.Close()
	got, err := dump(v2)
	if err != nil || v2.Version() != V2 {
		t.Fatal(v2.Version(), err)
	}
	b.m.diff(t, got)
	if f, err := v2.Lookup(`D\F`); err != nil || f.ParentID() != 2 {
		t.Errorf("parent %v, %v", f, err)
	}
	out := t.TempDir()
	if err := Rewrite(t.Context(), out, "a.cim", v2, nil); err != nil {
		t.Fatal(err)
	}
	sameSets(t, readSet(t, dir), readSet(t, out)) // as version 3
}

func TestReplaceAndRemove(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		dir := t.TempDir()
		b := newBuilder(t, dir, "a.cim", &Options{Version: v})
		b.dir("d", Meta{})
		b.dir(`d\e`, Meta{})
		b.file(`d\e\f`, Meta{}, bytesOf(1, 3000))
		b.file(`d\g`, Meta{}, []byte("first"))
		b.link(`d\h`, `d\g`)
		b.file(`d\g`, Meta{}, []byte("second")) // and the other name shows it too
		b.dir("d", Meta{Attributes: winfs.AttrHidden})
		b.remove(`d\e`)
		b.file(`d\e`, Meta{}, []byte("now a file"))
		b.dir("x", Meta{})
		b.file("x", Meta{}, []byte("empty directories give way"))
		b.file("y", Meta{}, nil)
		b.dir("y", Meta{})
		b.file("z", Meta{}, nil)
		b.stream("z", "s", []byte("one"))
		b.stream("z", "s", []byte("two"))
		b.stream("z", "t", []byte("gone"))
		b.ok(b.w.RemoveStream("z", "T"))
		delete(b.m["z"].streams, "t")
		b.link("zz", "z")
		b.remove("z")
		b.commit(dir, "a.cim")
		im, err := Open(dir, "a.cim")
		if err != nil {
			t.Fatal(err)
		}
		if want := 9; int(im.NumFiles()) != want { // the file that was removed keeps its record
			t.Errorf("%d records, want %d", im.NumFiles(), want)
		}
		im.Close()
	}
}

func TestForks(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		dir := t.TempDir()
		b := newBuilder(t, dir, "base.cim", &Options{Version: v})
		everything(b, v)
		b.commit(dir, "base.cim")
		base := readSet(t, dir)

		b = newBuilder(t, dir, "one.cim", &Options{Parent: "base.cim"})
		b.dir("SIZES", Meta{Times: sampleTimes(77)}) // keeps its name
		b.m["sizes"] = b.m["SIZES"]
		delete(b.m, "SIZES")
		b.remove(`names`)
		b.file(`sizes\1025.bin`, Meta{}, []byte("replaced"))
		b.file(`sizes\new`, Meta{}, bytesOf(4096, 4096)) // content that the base has
		b.file(`sizes\new large`, Meta{}, bytesOf(3<<20+5, 3<<20+5))
		b.link(`meta\link to base`, `sizes\4097.bin`)
		b.stream(`meta\streams`, "third", []byte("3"))
		b.ok(b.w.RemoveStream(`meta\streams`, "ALPHA"))
		delete(b.m[`meta\streams`].streams, "Alpha")
		b.file("new.exe", Meta{}, samplePE(3, 700))
		b.commit(dir, "one.cim")
		one := dumpFile(t, dir, "one.cim")

		b = newBuilder(t, dir, "two.cim", &Options{Parent: "one.cim"})
		b.remove(`meta\streams`)
		b.dir("names", Meta{})
		b.file(`names\back`, Meta{}, []byte("again"))
		b.link(`names\exe`, "new.exe")
		b.remove("new.exe")
		b.commit(dir, "two.cim")
		two := dumpFile(t, dir, "two.cim")

		im, err := Open(dir, "two.cim")
		if err != nil {
			t.Fatal(err)
		}
		if len(im.Parents()) != 2 || le.Uint32(im.header[headerLengthAt:]) != imageSize+2*parentSetSize {
			t.Errorf("parents %v, header %x", im.Parents(), im.header)
		}
		regions, err := im.Regions()
		if err != nil {
			t.Fatal(err)
		}
		var own int64
		for _, r := range regions {
			if r.Own {
				own += r.Size
			}
		}
		if own > 300_000 {
			t.Errorf("the second fork has %d bytes of its own", own)
		}
		// The other header length is read, too.
		set := memOpener(readSet(t, dir))
		le.PutUint32(set["two.cim"][headerLengthAt:], imageSize)
		short, err := OpenFiles(set, "two.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := dump(short)
		if err != nil {
			t.Fatal(err)
		}
		two.diff(t, got)

		out := t.TempDir()
		if err := Rewrite(t.Context(), out, "flat.cim", im, nil); err != nil {
			t.Fatal(err)
		}
		im.Close()
		two.diff(t, dumpFile(t, out, "flat.cim"))
		onlyFiles(t, out, 7)

		if err := Delete(dir, "two.cim"); err != nil {
			t.Fatal(err)
		}
		one.diff(t, dumpFile(t, dir, "one.cim"))
		if err := Delete(dir, "one.cim"); err != nil {
			t.Fatal(err)
		}
		sameSets(t, base, readSet(t, dir))
	}
}

func TestProvenOnly(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", &Options{ProvenOnly: true})
	b.file("f", Meta{EAs: sampleEA()}, []byte("x"))
	for what, err := range map[string]error{
		"link":    b.w.Link("g", "f"),
		"stream":  b.w.CreateStream("f", "s", 1),
		"reparse": b.w.AddFile("r", &Meta{Reparse: sampleReparse()}, 0),
		"sparse":  b.w.AddFile("r", &Meta{Attributes: winfs.AttrSparse}, 0),
		"hole":    b.w.AddFile("r", &Meta{Hole: true}, 5),
	} {
		if !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.commit(dir, "a.cim")
	if _, err := Create(dir, "b.cim", &Options{ProvenOnly: true, Parent: "a.cim"}); !errors.Is(err, ErrUnproven) {
		t.Errorf("fork: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("Dir", Meta{})
	b.file(`Dir\File`, Meta{}, []byte("x"))
	w := b.w
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"no parent", w.AddFile(`none\f`, nil, 0), fs.ErrNotExist},
		{"parent is a file", w.AddFile(`Dir\File\f`, nil, 0), ErrNotDirectory},
		{"case of a file", w.AddFile(`Dir\FILE`, nil, 0), ErrCaseConflict},
		{"case of a directory", w.AddDir(`DIR`, nil), ErrCaseConflict},
		{"file over a full directory", w.AddFile(`Dir`, nil, 0), ErrNotEmpty},
		{"file over the root", w.AddFile(``, nil, 0), ErrIsDirectory},
		{"link to a directory", w.Link(`l`, `Dir`), ErrIsDirectory},
		{"link to nothing", w.Link(`l`, `no`), fs.ErrNotExist},
		{"remove the root", w.Remove(``), ErrName},
		{"remove nothing", w.Remove(`no`), fs.ErrNotExist},
		{"remove no stream", w.RemoveStream(`Dir`, "s"), fs.ErrNotExist},
		{"stream name", w.CreateStream(`Dir`, "s:$DATA", 0), ErrName},
		{"leading backslash", w.AddDir(`\x`, nil), ErrName},
		{"trailing backslash", w.AddDir(`x\`, nil), ErrName},
		{"dots", w.AddDir(`Dir\..`, nil), ErrName},
		{"slash", w.AddDir(`a/b`, nil), ErrName},
		{"null", w.AddDir("a\x00b", nil), ErrName},
		{"not UTF-8", w.AddDir("a\xffb", nil), ErrName},
		{"pair as two halves", w.AddDir("\xed\xa0\xbd\xed\xb8\x80", nil), ErrName},
		{"256 units", w.AddDir(strings.Repeat("n", 256), nil), ErrName},
		{"long path", w.AddDir(strings.Repeat(`nnnn\`, 7000)+"n", nil), ErrName},
		{"large descriptor", w.AddDir("x", &Meta{Security: make([]byte, 0x10000)}), ErrMetadata},
		{"absolute descriptor", w.AddDir("x", &Meta{Security: make([]byte, 20)}), ErrMetadata},
		{"EA without end", w.AddDir("x", &Meta{EAs: sampleEA()[:10]}), ErrMetadata},
		{"large EAs", w.AddDir("x", &Meta{EAs: make([]byte, 0x10000)}), ErrMetadata},
		{"reparse length", w.AddDir("x", &Meta{Reparse: sampleReparse()[:7]}), ErrMetadata},
		{"negative size", w.AddFile("x", nil, -1), ErrStreamSize},
		{"size of 2^48", w.AddFile("x", nil, 1<<48), ErrStreamSize},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, ErrSequence) {
		t.Errorf("Write without a stream: %v", err)
	}
	if err := w.CloseStream(); !errors.Is(err, ErrSequence) {
		t.Errorf("CloseStream without a stream: %v", err)
	}
	b.commit(dir, "a.cim") // nothing of it has done harm
	for i := range 2 {
		w, err := Create(dir, fmt.Sprintf("b%d.cim", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AddFile("f", nil, 10); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			_, err = w.Write(make([]byte, 11))
		} else if _, err = w.Write(make([]byte, 9)); err == nil {
			err = w.Commit()
		}
		if !errors.Is(err, ErrStreamSize) {
			t.Errorf("wrong size: %v", err)
		}
		if err := w.Commit(); err == nil {
			t.Error("committed after an error")
		}
		w.Close()
	}
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, ".x", "region_x", strings.Repeat("n", 201)} {
		if w, err := Create(dir, name, nil); !errors.Is(err, ErrName) {
			t.Errorf("Create(%q): %v", name, err)
			w.Close()
		}
	}
	if _, err := Create(dir, "a.cim", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over an image: %v", err)
	}
	if _, err := Create(dir, "v2.cim", &Options{Version: V2}); !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
	if _, err := Create(dir, "v1.cim", &Options{Version: V1, Parent: "a.cim"}); !errors.Is(err, ErrVersion) {
		t.Errorf("fork of another version: %v", err)
	}
	onlyFiles(t, dir, 5)
}

// Equal content in one directory gets GUIDs of its own, and a given GUID is never
// used twice.
// TestSetGUID holds names of files against the documented pattern.
func TestSetGUID(t *testing.T) {
	const text = "0fc70f8e-1b2c-4d3e-8f90-a1b2c3d4e5f6"
	for name, want := range map[string]bool{
		"region_" + text + "_0": true, "objectid_" + text + "_12": true,
		"region_" + text: false, "region_" + text + "_": false, "region_" + text + "_x": false, "region_x_0": false,
		"region_0FC70F8E-1B2C-4D3E-8F90-A1B2C3D4E5F6_0": false, "other_" + text + "_0": false, text + "_0": false, "": false,
	} {
		g, ok := SetGUID(name)
		if ok != want || ok && g.String() != text {
			t.Errorf("%q: %v, %v", name, g, ok)
		}
	}
}

func TestEqualImagesInOneDirectory(t *testing.T) {
	dir := t.TempDir()
	var guids []winfs.GUID
	for _, n := range []string{"a.cim", "b.cim", "c.cim"} {
		b := newBuilder(t, dir, n, nil)
		b.file("f", Meta{}, []byte("x"))
		b.commit(dir, n)
		guids = append(guids, b.w.GUID())
	}
	if guids[0] == guids[1] || guids[1] == guids[2] || guids[0] == guids[2] {
		t.Errorf("GUIDs %v", guids)
	}
	w, err := Create(dir, "d.cim", &Options{GUID: guids[0]})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("GUID used twice: %v", err)
	}
	for _, n := range []string{"b.cim", "a.cim"} {
		if err := Delete(dir, n); err != nil {
			t.Fatal(err)
		}
	}
	wantClean(t, dir, "c.cim")
	onlyFiles(t, dir, 5)
}

func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	everything(b, V3)
	b.commit(dir, "a.cim")
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m, err := dump(im)
			if err != nil {
				t.Error(err)
			}
			b.m.diff(t, m)
			for p := range b.m {
				if _, err := im.Lookup(winfs.Fold(p)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// countingOpener counts what is read.
type countingOpener struct {
	Opener
	n *int64
}
type countingSource struct {
	Source
	n *int64
}

func (o countingOpener) OpenFile(name string) (Source, error) {
	s, err := o.Opener.OpenFile(name)
	return countingSource{s, o.n}, err
}

func (s countingSource) ReadAt(p []byte, off int64) (int, error) {
	*s.n += int64(len(p))
	return s.Source.ReadAt(p, off)
}

func TestLookupReadsLittle(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, "a.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.AddDir("d", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 30_000 {
		if err := w.AddFile(fmt.Sprintf(`d\%0200d`, i), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	var n int64
	im, err := OpenFiles(countingOpener{memOpener(readSet(t, dir)), &n}, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := im.Lookup(fmt.Sprintf(`D\%0200d`, 12345)); err != nil || f.ID() != 12345+3 {
		t.Fatal(f, err)
	}
	if n > 64<<10 {
		t.Errorf("open and lookup read %d bytes", n)
	}
	t.Logf("open and lookup read %d bytes", n)
}

func TestPlainExecutables(t *testing.T) {
	for _, plain := range []bool{false, true} {
		dir := t.TempDir()
		b := newBuilder(t, dir, "a.cim", &Options{PlainExecutables: plain})
		b.file("a.exe", Meta{}, samplePE(1, 5))
		b.commit(dir, "a.cim")
		im, err := Open(dir, "a.cim")
		if err != nil {
			t.Fatal(err)
		}
		f, err := im.Lookup("a.exe")
		if err != nil || (f.StreamType() == PlainStream) != plain {
			t.Errorf("type %v, %v", f.StreamType(), err)
		}
		im.Close()
		if !bytes.Equal(bytes.Join(regionsOf(readSet(t, dir), 0), nil)[pageSize:][:2], []byte("MZ")) {
			t.Error("the executable is not the first object of region 0")
		}
	}
}

func regionsOf(set map[string][]byte, n int) (out [][]byte) {
	for name, b := range set {
		if ok, _ := filepath.Match(fmt.Sprintf("region_*_%d", n), name); ok {
			out = append(out, b)
		}
	}
	return out
}
