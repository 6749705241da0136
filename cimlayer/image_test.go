package cimlayer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// item is an entry with its streams, for scripts of tests.
type item struct {
	layer.Entry
	streams []stream
}

type stream struct {
	name  string
	data  string
	hole  int64 // zeros before the data
	after int64 // and behind it
}

func file(path, data string) item {
	return item{layer.Entry{Path: path, Kind: layer.File, Attributes: winfs.AttrArchive}, []stream{{data: data}}}
}
func dir(path string) item {
	return item{layer.Entry{Path: path, Kind: layer.Dir, Attributes: winfs.AttrDirectory}, nil}
}
func junction(path string) item {
	it := dir(path)
	it.Attributes |= winfs.AttrReparsePoint
	it.Reparse, _ = winfs.EncodeMountPoint(`C:\d`)
	return it
}
func link(path, target string) item {
	return item{layer.Entry{Path: path, Kind: layer.Link, Target: target}, nil}
}
func whiteout(path string) item { return item{layer.Entry{Path: path, Kind: layer.Whiteout}, nil} }
func opaque(path string) item   { return item{layer.Entry{Path: path, Kind: layer.Opaque}, nil} }

// send writes items and commits.
func send(w *cimlayer.ImageWriter, items []item) error {
	for i := range items {
		if err := w.Add(&items[i].Entry); err != nil {
			return err
		}
		for _, s := range items[i].streams {
			size := s.hole + int64(len(s.data)) + s.after
			if err := w.AddStream(&layer.Stream{Name: s.name, Size: size, Sparse: s.hole+s.after > 0}); err != nil {
				return err
			}
			if s.hole > 0 {
				if err := w.WriteHole(s.hole); err != nil {
					return err
				}
			}
			if _, err := w.Write([]byte(s.data)); err != nil {
				return err
			}
			if s.after > 0 {
				if err := w.WriteHole(s.after); err != nil {
					return err
				}
			}
		}
	}
	return w.Commit()
}

// build writes an image, a fork if parent has a name.
func build(t *testing.T, folder, name, parent string, opts cimfs.Options, items ...item) error {
	t.Helper()
	var up *cimfs.Image
	if parent != "" {
		var err error
		if up, err = cimfs.Open(folder, parent); err != nil {
			t.Fatal(err)
		}
		defer up.Close()
	}
	opts.Parent = parent
	opts.DefaultSecurity = cimfs.NullDACL()
	w, err := cimfs.Create(folder, name, &opts)
	if err != nil {
		t.Fatal(err)
	}
	iw := cimlayer.NewImageWriter(w, up, cimlayer.ImageOptions{Name: name})
	err = send(iw, items)
	if closed := iw.Close(); closed != nil {
		t.Error(closed)
	}
	if err == nil {
		found, checkErr := finding.Collect(cimfs.Check(context.Background(), folder, name, cimfs.CheckOptions{}))
		for _, f := range found {
			t.Error(f)
		}
		if checkErr != nil {
			t.Error(checkErr)
		}
	}
	return err
}

// show renders an image as its reader yields it: "path=data", "path/" for a
// directory, "path->target" for a link, streams and holes behind.
func show(t *testing.T, folder, name string) (out []string) {
	t.Helper()
	im, err := cimfs.Open(folder, name)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	r := cimlayer.NewImageReader(im)
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text := e.Path
		switch e.Kind {
		case layer.Dir:
			text += "/"
		case layer.Link:
			text += "->" + e.Target
		}
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil || int64(len(b)) != s.Size {
				t.Fatalf("%s: %d of %d bytes: %v", e.Path, len(b), s.Size, err)
			}
			if s.Name != "" {
				text += ":" + s.Name
			}
			if s.Sparse {
				text += fmt.Sprintf("=hole %d", s.Size)
			} else {
				text += "=" + strings.ReplaceAll(string(b), "\x00", "0")
			}
		}
		out = append(out, text)
	}
}

func expect(t *testing.T, folder, name string, want ...string) {
	t.Helper()
	if got := show(t, folder, name); !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", name, got, want)
	}
}

func TestWriterAndReader(t *testing.T) {
	for _, v := range []cimfs.Version{cimfs.V1, cimfs.V3} {
		folder := t.TempDir()
		full := file(`Files\a.txt`, "alpha")
		full.streams = append(full.streams, stream{name: "s", data: "stream"}, stream{name: "empty"})
		dirWithStream := dir(`Files\d`)
		dirWithStream.streams = []stream{{name: "ads", data: "on a directory"}}
		hole := item{layer.Entry{Path: `Files\hole`, Kind: layer.File}, []stream{{hole: 1 << 16}}}
		holes := item{layer.Entry{Path: `Files\holes`, Kind: layer.File}, []stream{{hole: 2, data: "x", after: 3}}}
		bare := item{layer.Entry{Path: `Files\nothing`, Kind: layer.File}, nil}
		err := build(t, folder, "a.cim", "", cimfs.Options{Version: v},
			link(`Files\early`, `Files\late`), // its target comes later
			link(`Files\chain`, `Files\early`),
			full, dirWithStream, hole, holes, bare,
			file(`Files\made\up\f`, "deep"), // parents are made
			dir(`Files\made`),
			file(`Files\late`, "late"))
		if err != nil {
			t.Fatal(err)
		}
		const sparse = `Files\hole=hole 65536`
		expect(t, folder, "a.cim", `Files/`, `Files\a.txt=alpha:empty=:s=stream`, `Files\chain=late`, `Files\d/:ads=on a directory`,
			`Files\early->Files\chain`, sparse, `Files\holes=00x000`, `Files\late->Files\chain`,
			`Files\made/`, `Files\made\up/`, `Files\made\up\f=deep`, `Files\nothing=`)
	}
}

func TestMetadataSurvives(t *testing.T) {
	reparse, err := winfs.EncodeSymlink(`..\x`)
	if err != nil {
		t.Fatal(err)
	}
	want := layer.Entry{Path: "f", Kind: layer.File, Attributes: winfs.AttrHidden | winfs.AttrSystem | winfs.AttrReparsePoint,
		Times: winfs.Times{Creation: 1, LastAccess: 2, LastWrite: 3, Change: 4}, Security: cimfs.NullDACL(),
		EAs: []winfs.EA{{Name: "ONE", Value: []byte("1")}, {Name: "TWO", Flags: winfs.EANeed}}, Reparse: reparse}
	folder := t.TempDir()
	if err := build(t, folder, "a.cim", "", cimfs.Options{}, item{want, nil},
		item{layer.Entry{Path: "n", Kind: layer.File, Attributes: winfs.AttrNormal}, nil},
		item{layer.Entry{Path: "o", Kind: layer.File}, nil}); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(folder, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	r := cimlayer.NewImageReader(im)
	got, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	for _, attr := range []winfs.Attributes{winfs.AttrNormal, winfs.AttrArchive} {
		if e, err := r.Next(); err != nil || e.Attributes != attr {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestRootMetadata(t *testing.T) {
	folder := t.TempDir()
	w, err := cimfs.Create(folder, "a.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	iw := cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{})
	defer iw.Close()
	if err := iw.SetRoot(&layer.Entry{Times: winfs.Times{Creation: 9}}); err != nil {
		t.Fatal(err)
	}
	if err := iw.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(folder, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if root, err := cimlayer.NewImageReader(im).Root(); err != nil || root.Times.Creation != 9 {
		t.Errorf("root %+v, %v", root, err)
	}
}

func TestFork(t *testing.T) {
	base := []item{
		dir("Files"), file(`Files\keep`, "keep"), file(`Files\old`, "old"), file(`Files\d\one`, "1"), file(`Files\d\two`, "2"),
		file(`Files\d\e\three`, "3"), link(`Files\again`, `Files\keep`),
	}
	all := []string{`Files/`, `Files\again=keep`, `Files\d/`, `Files\d\e/`, `Files\d\e\three=3`, `Files\d\one=1`, `Files\d\two=2`,
		`Files\keep->Files\again`, `Files\old=old`}
	without := func(drop ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
			return slices.ContainsFunc(drop, func(d string) bool { return strings.HasPrefix(s, d) })
		})
	}
	for _, c := range []struct {
		name  string
		items []item
		want  []string
	}{
		{"nothing", nil, all},
		{"whiteout of a file", []item{whiteout(`FILES\OLD`)}, without(`Files\old`)},
		{"whiteout of a directory", []item{whiteout(`Files\d`)}, without(`Files\d`)},
		{"whiteout of nothing", []item{whiteout(`Files\none\at\all`), whiteout(`Files\old\x`)}, all},
		{"whiteout spares the layer's own, before", []item{file(`Files\d\new`, "n"), whiteout(`Files\d`)},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d/`, `Files\d\new=n`), `Files\keep->Files\again`, `Files\old=old`)},
		{"whiteout spares the layer's own, after", []item{whiteout(`Files\d`), file(`Files\d\new`, "n")},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d/`, `Files\d\new=n`), `Files\keep->Files\again`, `Files\old=old`)},
		{"whiteout and file of one name", []item{file(`Files\old`, "new"), whiteout(`Files\old`)}, append(without(`Files\old`), `Files\old=new`)},
		{"opaque", []item{opaque(`Files\d`), file(`Files\d\e\four`, "4")},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d/`, `Files\d\e/`, `Files\d\e\four=4`), `Files\keep->Files\again`, `Files\old=old`)},
		{"file over a directory", []item{file(`Files\d`, "file")},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d=file`), `Files\keep->Files\again`, `Files\old=old`)},
		{"directory over a file", []item{file(`Files\old\in`, "in"), dir(`Files\old`)}, nil},
		{"link to the parent's file", []item{link(`Files\z`, `Files\OLD`)}, append(without(`Files\old`), `Files\old=old`, `Files\z->Files\old`)},
		{"link to the parent's file that is hidden", []item{whiteout(`Files\old`), link(`Files\z`, `Files\old`)}, append(without(`Files\old`), `Files\z=old`)},
		{"link before a replacement of its target", []item{link(`Files\z`, `Files\old`), file(`Files\old`, "new")}, append(without(`Files\old`), `Files\old=new`, `Files\z=old`)},
		{"link after a replacement of its target", []item{file(`Files\old`, "new"), link(`Files\z`, `Files\old`)}, append(without(`Files\old`), `Files\old=new`, `Files\z->Files\old`)},
		{"replace in another case", []item{file(`files\OLD`, "new")}, append(without(`Files\old`), `Files\old=new`)},
		{"a new directory entry keeps its children", []item{dir(`Files\d`)}, all},
		{"junction over a directory", []item{junction(`Files\d`)},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d/`), `Files\keep->Files\again`, `Files\old=old`)},
		{"link to a file in a directory that becomes a file", []item{file(`Files\d`, "file"), link(`Files\z`, `Files\d\one`)},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d=file`), `Files\keep->Files\again`, `Files\old=old`, `Files\z=1`)},
		{"links to a file in a directory that one of them replaces", []item{link(`Files\d`, `Files\d\e\three`), link(`Files\z`, `Files\d\e\three`)},
			append(append(without(`Files\d`, `Files\keep`, `Files\old`), `Files\d=3`), `Files\keep->Files\again`, `Files\old=old`, `Files\z->Files\d`)},
		{"link to a name that a later link takes", []item{link(`Files\z`, `Files\old`), link(`Files\old`, `Files\d\one`)},
			append(without(`Files\d\one`, `Files\d\two`, `Files\keep`, `Files\old`), `Files\d\one=1`, `Files\d\two=2`, `Files\keep->Files\again`, `Files\old->Files\d\one`, `Files\z=old`)},
	} {
		folder := t.TempDir()
		if err := build(t, folder, "base.cim", "", cimfs.Options{}, base...); err != nil {
			t.Fatal(err)
		}
		expect(t, folder, "base.cim", all...)
		err := build(t, folder, "fork.cim", "base.cim", cimfs.Options{}, c.items...)
		if c.want == nil {
			if !errors.Is(err, layer.ErrNotDirectory) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := show(t, folder, "fork.cim"); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
		expect(t, folder, "base.cim", all...)
	}
}

func TestRefused(t *testing.T) {
	id := file("f", "")
	id.ObjectID = make([]byte, 64)
	short := file("f", "")
	short.streams = []stream{{data: "x"}}
	for _, c := range []struct {
		name  string
		items []item
		want  error
	}{
		{"whiteout without a parent", []item{whiteout("f")}, layer.ErrWhiteout},
		{"opaque without a parent", []item{opaque("f")}, layer.ErrWhiteout},
		{"link to nothing", []item{link("f", "g")}, layer.ErrLinkTarget},
		{"link to itself", []item{link("f", "F")}, layer.ErrLinkTarget},
		{"links in a circle", []item{link("f", "g"), link("g", "f")}, layer.ErrLinkTarget},
		{"link to a directory", []item{dir("d"), link("f", "d")}, layer.ErrLinkTarget},
		{"object identifier", []item{id}, layer.ErrUnsupported},
		{"outside", []item{file(`..\f`, "")}, winfs.ErrInvalidName},
		{"file as a directory", []item{file("f", ""), file(`f\g`, "")}, layer.ErrNotDirectory},
		{"names that differ in case", []item{file("f", ""), file("F", "")}, layer.ErrCaseConflict},
		{"a file twice", []item{file("f", "1"), file("f", "2")}, layer.ErrDuplicate},
		{"a file that becomes a directory", []item{file("f", ""), dir("f")}, layer.ErrDuplicate},
		{"a directory that becomes a file", []item{dir("f"), file("f", "")}, layer.ErrDuplicate},
		{"a directory that becomes a junction", []item{dir("f"), junction("f")}, layer.ErrDuplicate},
		{"a junction that becomes a directory", []item{junction("f"), dir("f")}, layer.ErrDuplicate},
		{"a link in place of a file", []item{file("f", ""), file("g", ""), link("f", "g")}, layer.ErrDuplicate},
		{"a file through a junction", []item{junction("f"), file(`f\g`, "")}, layer.ErrNotDirectory},
		{"a directory through a junction", []item{junction("f"), dir(`F\g`)}, layer.ErrNotDirectory},
		{"no kind", []item{{layer.Entry{Path: "f"}, nil}}, layer.ErrUnsupported},
		{"the root", []item{dir("")}, layer.ErrInvalidName},
	} {
		folder := t.TempDir()
		if err := build(t, folder, "a.cim", "", cimfs.Options{}, c.items...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := cimfs.Open(folder, "a.cim"); err == nil {
			t.Errorf("%s: an image was published", c.name)
		}
	}
}

// What a fork refuses although the parent image has a file or directory there.
func TestForkRefuses(t *testing.T) {
	base := []item{dir("Files"), file(`Files\f`, "f"), file(`Files\d\x`, "x"), junction(`Files\j`)}
	for _, c := range []struct {
		name  string
		items []item
		want  error
	}{
		{"a file twice", []item{file(`Files\f`, "1"), file(`Files\f`, "2")}, layer.ErrDuplicate},
		{"a directory that becomes a junction", []item{dir(`Files\d`), junction(`Files\d`)}, layer.ErrDuplicate},
		{"a junction over the layer's own", []item{file(`Files\d\new`, ""), junction(`Files\d`)}, layer.ErrNotDirectory},
		{"through the parent's junction", []item{file(`Files\j\new`, "")}, layer.ErrNotDirectory},
		{"through a new junction", []item{junction(`Files\d`), file(`Files\d\new`, "")}, layer.ErrNotDirectory},
		{"links in a circle", []item{link(`Files\new`, `Files\d\new`), link(`Files\d\new`, `Files\new`)}, layer.ErrLinkTarget},
		{"link to a directory of the parent", []item{link(`Files\z`, `Files\d`)}, layer.ErrLinkTarget},
		{"link through the parent's junction", []item{link(`Files\z`, `Files\j\x`)}, layer.ErrLinkTarget},
	} {
		folder := t.TempDir()
		if err := build(t, folder, "base.cim", "", cimfs.Options{}, base...); err != nil {
			t.Fatal(err)
		}
		if err := build(t, folder, "fork.cim", "base.cim", cimfs.Options{}, c.items...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// The streams of a directory are those of its last entry, in a fork and in one layer.
func TestDirectoryStreamsAreReplaced(t *testing.T) {
	with := dir("d")
	with.streams = []stream{{name: "s", data: "1"}}
	folder := t.TempDir()
	if err := build(t, folder, "base.cim", "", cimfs.Options{}, with, file(`d\f`, "f")); err != nil {
		t.Fatal(err)
	}
	expect(t, folder, "base.cim", `d/:s=1`, `d\f=f`)
	if err := build(t, folder, "fork.cim", "base.cim", cimfs.Options{}, dir("d")); err != nil {
		t.Fatal(err)
	}
	expect(t, folder, "fork.cim", `d/`, `d\f=f`)
	if err := build(t, folder, "twice.cim", "", cimfs.Options{}, with, dir("d")); err != nil {
		t.Fatal(err)
	}
	expect(t, folder, "twice.cim", `d/`)
}

func TestStreamsMustBeComplete(t *testing.T) {
	for _, c := range []func(w *cimlayer.ImageWriter) error{
		func(w *cimlayer.ImageWriter) error { return w.AddStream(&layer.Stream{Size: 3}) },
		func(w *cimlayer.ImageWriter) error { return w.AddStream(&layer.Stream{Size: 3, Sparse: true}) },
		func(w *cimlayer.ImageWriter) error {
			err := w.AddStream(&layer.Stream{Size: 3, Sparse: true})
			return errors.Join(err, w.WriteHole(2))
		},
		func(w *cimlayer.ImageWriter) error { return w.AddStream(&layer.Stream{Name: "s", Size: 3}) },
	} {
		w, err := cimfs.Create(t.TempDir(), "a.cim", nil)
		if err != nil {
			t.Fatal(err)
		}
		iw := cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{})
		if err := iw.Add(&layer.Entry{Path: "f", Kind: layer.File}); err != nil {
			t.Fatal(err)
		}
		if err := c(iw); err != nil {
			t.Fatal(err)
		}
		if err := iw.Commit(); !errors.Is(err, layer.ErrStreamSize) {
			t.Errorf("%v", err)
		}
		if err := iw.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Corpus images survive the way through entries: what is read from the copy is
// what is read from the original.
func TestCorpusThroughEntries(t *testing.T) {
	for _, c := range []struct{ folder, name string }{{"hello-v3", "hello.cim"}, {"synthetic-v1", "synthetic.cim"}} {
		im, err := cimfs.Open(testenv.Corpus(t, "cim", c.folder), c.name)
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		folder := t.TempDir()
		w, err := cimfs.Create(folder, "copy.cim", &cimfs.Options{Version: im.Version(), GUID: im.GUID(), ProvenOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		iw := cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{})
		defer iw.Close()
		if _, err := layer.Copy(context.Background(), iw, cimlayer.NewImageReader(im)); err != nil {
			t.Fatal(err)
		}
		if err := iw.Commit(); err != nil {
			t.Fatal(err)
		}
		a, b := show(t, testenv.Corpus(t, "cim", c.folder), c.name), show(t, folder, "copy.cim")
		if !slices.Equal(a, b) || len(a) == 0 {
			t.Errorf("%s: %q became %q", c.name, a, b)
		}
	}
}

// A reader that is closed early leaves nothing running and says so.
func TestCloseEarly(t *testing.T) {
	folder := t.TempDir()
	if err := build(t, folder, "a.cim", "", cimfs.Options{}, file("a", "x"), file("b", "y")); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(folder, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	r := cimlayer.NewImageReader(im)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.NextStream(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	x, err := r.NextExtent()
	if err != nil || x != (layer.Extent{Length: 1}) {
		t.Errorf("%v, %v", x, err)
	}
	if _, err := b.ReadFrom(r); err != nil || b.String() != "x" {
		t.Errorf("%q, %v", b.String(), err)
	}
	if _, err := r.NextExtent(); err != io.EOF {
		t.Errorf("%v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Next(); !errors.Is(err, layer.ErrClosed) {
		t.Errorf("%v", err)
	}
}
