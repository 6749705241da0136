package fusefs

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// lookUp follows a path.
func lookUp(t *testing.T, tree Tree, names ...string) File {
	t.Helper()
	f, err := tree.Root()
	for _, n := range names {
		if err == nil {
			f, err = f.Child(n)
		}
	}
	if err != nil {
		t.Fatalf("%v: %v", names, err)
	}
	return f
}

func content(t *testing.T, f File) string {
	t.Helper()
	s, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	return string(b)
}

func TestFSTree(t *testing.T) {
	when := time.Date(2021, 8, 3, 10, 11, 12, 1300, time.UTC)
	tree := FSTree(fstest.MapFS{
		"Files/Readme.txt": {Data: []byte("read me"), Mode: 0o444, ModTime: when},
		"Files/README.TXT": {Data: []byte("READ ME"), Mode: 0o644},
		"Files/link":       {Data: []byte("../Files/Readme.txt"), Mode: fs.ModeSymlink | 0o777},
	})
	f := lookUp(t, tree, "FILES", "Readme.txt")
	if content(t, f) != "read me" || f.Size() != 7 || f.Attributes() != winfs.AttrReadOnly || f.IsDir() {
		t.Errorf("%q, %d, %v", content(t, f), f.Size(), f.Attributes())
	}
	if !f.Times().LastWrite.Time().Equal(when) {
		t.Errorf("%v, want %v", f.Times().LastWrite, when)
	}
	if f.ID() != lookUp(t, tree, "files", "Readme.txt").ID() || f.ID() == lookUp(t, tree, "files", "README.TXT").ID() {
		t.Error("inode numbers do not stay, or are shared")
	}
	if got := content(t, lookUp(t, tree, "files", "README.TXT")); got != "READ ME" {
		t.Errorf("a name in its own spelling gives %q", got)
	}
	if got := content(t, lookUp(t, tree, "files", "readme.txt")); got != "READ ME" && got != "read me" {
		t.Errorf("a name in another spelling gives %q", got)
	}
	link := lookUp(t, tree, "files", "LINK")
	b, err := link.Reparse()
	if err != nil {
		t.Fatal(err)
	}
	p, err := winfs.ParseReparse(b)
	if err != nil || p.Target() != `..\Files\Readme.txt` || link.Attributes()&winfs.AttrReparsePoint == 0 {
		t.Errorf("%+v, %v, %v", p, err, link.Attributes())
	}
	root, _ := tree.Root()
	if _, err := root.Child("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := f.Child("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %v", err)
	}
	var names []string
	for e, err := range lookUp(t, tree, "Files").Entries() {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID != lookUp(t, tree, "Files", e.Name).ID() {
			t.Errorf("%s is listed as another inode than it has", e.Name)
		}
		names = append(names, e.Name)
	}
	if len(names) != 3 || names[0] != "link" {
		t.Errorf("%v", names)
	}
}

// The files of an archive can only be read sequentially.
func TestFSTreeWithoutReadAt(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("Dir/Big")
	if err == nil {
		_, err = f.Write(want)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := lookUp(t, FSTree(r), "dir", "big").Open()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1000)
	for _, at := range []int64{1_000_000, 5, 1_599_500, 1_200_000, 0} {
		n, err := s.ReadAt(got, at)
		if end := min(at+1000, int64(len(want))); !bytes.Equal(got[:n], want[at:end]) || n < 1000 && err != io.EOF {
			t.Errorf("at %d: %d bytes and %v, or other ones", at, n, err)
		}
	}
	if err := s.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "mullion-file-*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if got := content(t, lookUp(t, FSTree(r), "dir", "big")); got != string(want) {
		t.Error("read to the end it differs")
	}
}

// A CimFS image through io/fs has the metadata that it has as a tree of its own.
func TestFSTreeMetadata(t *testing.T) {
	im, err := cimfs.Open(testenv.Corpus(t, "cim", "synthetic-v1"), "synthetic.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	want, err := treeItems(CimTree(im))
	if err != nil {
		t.Fatal(err)
	}
	got, err := treeItems(FSTree(im.FS()))
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Items) != len(got.Items) || len(want.Items) < 20 {
		t.Fatalf("%d names, want %d", len(got.Items), len(want.Items))
	}
	byPath := map[string]int{}
	for i, it := range got.Items {
		byPath[it.Path] = i
	}
	for _, w := range want.Items {
		i, ok := byPath[w.Path]
		if !ok {
			t.Errorf("%s is not there", w.Path)
			continue
		}
		g := got.Items[i]
		if w.Target == "" && (g.Attributes != w.Attributes || g.Times != w.Times || !bytes.Equal(g.Security, w.Security) ||
			!bytes.Equal(g.Reparse, w.Reparse) || len(g.EAs) != len(w.EAs)) {
			t.Errorf("%s: %+v, want %+v", w.Path, g.Entry, w.Entry)
		}
		if w.Kind == layer.File && !bytes.Equal(g.Streams[0].Data, w.Streams[0].Data) {
			t.Errorf("%s differs in content", w.Path)
		}
	}
}
