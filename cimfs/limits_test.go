package cimfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/winfs"
)

// create begins an image in a new directory.
func create(t *testing.T, opts *cimfs.Options) (*cimfs.Writer, string) {
	t.Helper()
	dir := t.TempDir()
	w, err := cimfs.Create(dir, "a.cim", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w, dir
}

// finish commits and compares the readers.
func finish(t *testing.T, w *cimfs.Writer, dir string) *plaincim.Tree {
	t.Helper()
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	tree := agree(t, dir, "a.cim")
	if wrong, dead := tree.Verify(dir); len(wrong) > 0 || dead > 0 {
		t.Errorf("%d dead objects, %s", dead, strings.Join(wrong, "\n"))
	}
	clean(t, dir, "a.cim")
	return tree
}

func meta() *cimfs.Meta {
	return &cimfs.Meta{Attributes: winfs.AttrArchive, Security: cimfs.NullDACL()}
}

// A file table holds 1,024 records.
func TestFileCounts(t *testing.T) {
	for _, n := range []int{0, 1, 1022, 1023, 1024, 1025, 2047, 2048, 2049} { // and the root
		for _, v := range []cimfs.Version{cimfs.V1, cimfs.V3} {
			w, dir := create(t, &cimfs.Options{Version: v})
			for i := range n {
				if err := w.AddFile(fmt.Sprintf("file %d", i), meta(), 0); err != nil {
					t.Fatal(err)
				}
			}
			tree := finish(t, w, dir)
			if len(tree.Files) != n+2 || len(tree.Root.Children) != n {
				t.Errorf("%d files: %d records, %d names", n, len(tree.Files)-1, len(tree.Root.Children))
			}
		}
	}
}

// Less than 1,024 bytes go to the small region, more to pages of their own.
func TestSizesAndRegions(t *testing.T) {
	for _, c := range []struct {
		size    int
		regions string
	}{
		{0, "0"}, {1, "0 2"}, {23, "0 2"}, {24, "0 2"}, {25, "0 2"}, {1023, "0 2"}, {1024, "0 1"}, {1025, "0 1"},
		{4095, "0 1"}, {4096, "0 1"}, {4097, "0 1"}, {1 << 20, "0 1"}, {3<<20 + 1, "0 1"},
	} {
		w, dir := create(t, nil)
		data := bytes.Repeat([]byte("mullion "), c.size/8+1)[:c.size]
		if err := w.AddFile("f", meta(), int64(c.size)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		tree := finish(t, w, dir)
		if !bytes.Equal(tree.Root.Children[0].File.Main.Data, data) {
			t.Errorf("%d bytes came back otherwise", c.size)
		}
		im, err := cimfs.Open(dir, "a.cim")
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		regions, err := im.Regions()
		if err != nil {
			t.Fatal(err)
		}
		var types []string
		for _, r := range regions {
			types = append(types, fmt.Sprint(int(r.Type)))
		}
		if got := strings.Join(types, " "); got != c.regions {
			t.Errorf("%d bytes: regions of type %s, want %s", c.size, got, c.regions)
		}
	}
}

func TestEqualContentIsStoredOnce(t *testing.T) {
	w, dir := create(t, nil)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	for i := range 10 {
		if err := w.AddFile(fmt.Sprint(i), meta(), int64(len(data))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	tree := finish(t, w, dir)
	info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("region_%s_1", tree.GUID)))
	if err != nil || info.Size() != 4096+16384 {
		t.Errorf("%d bytes: %v", info.Size(), err)
	}
}

func TestMetadataLimits(t *testing.T) {
	// A descriptor with owner and group whose DACL is padded by ACEs: 1 + n of them.
	descriptor := func(size int) []byte {
		sid := []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}
		b := []byte{1, 0, 4, 0x80, 20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0}
		b = append(append(b, sid...), sid...)
		n := size - len(b)
		acl := make([]byte, n)
		acl[0], acl[2], acl[3] = 2, byte(n), byte(n>>8)
		return append(b, acl...)
	}
	eas := func(size int) []byte {
		b, err := winfs.EncodeEAs([]winfs.EA{{Name: "A", Value: make([]byte, 65535-2000)}, {Name: "B", Value: make([]byte, size-(65536-2000)-20)}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	reparse := func(size int) []byte {
		b := make([]byte, size)
		b[0], b[3] = 0x23, 0x80
		b[4], b[5] = byte(size-8), byte((size-8)>>8)
		return b
	}
	for _, c := range []struct {
		name string
		m    cimfs.Meta
		ok   bool
	}{
		{"largest descriptor", cimfs.Meta{Security: descriptor(65532)}, true},
		{"descriptor too large", cimfs.Meta{Security: descriptor(65536)}, false},
		{"empty descriptor", cimfs.Meta{Security: []byte{}}, true}, // the same as none
		{"EAs", cimfs.Meta{EAs: eas(65500)}, true},
		{"EAs too large", cimfs.Meta{EAs: eas(66000)}, false},
		{"malformed EAs", cimfs.Meta{EAs: []byte{1, 2, 3}}, false},
		{"reparse data", cimfs.Meta{Reparse: reparse(16384)}, true},
		{"reparse data of 65,536 bytes", cimfs.Meta{Reparse: make([]byte, 65536)}, false},
		{"malformed reparse data", cimfs.Meta{Reparse: []byte{1, 2, 3}}, false},
		{"hole", cimfs.Meta{Hole: true}, true},
	} {
		w, dir := create(t, nil)
		if err := w.AddFile("f", &c.m, 0); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !c.ok {
			continue
		}
		f := finish(t, w, dir).Root.Children[0].File
		if !bytes.Equal(f.Security, c.m.Security) || !bytes.Equal(f.EA, bytes.TrimRight(c.m.EAs, "\x00")) && len(f.EA) < len(c.m.EAs)-3 || !bytes.Equal(f.Reparse, c.m.Reparse) {
			t.Errorf("%s came back otherwise", c.name)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("ä", 255)
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{long, true}, {long + "x", false}, {strings.Repeat("\U0001F600", 127) + "x", true}, {strings.Repeat("\U0001F600", 128), false},
		{"\xed\xa0\x80", true}, {"\xed\xbf\xbf.txt", true}, {"\uffff", true}, {"\xff", false}, {"\xed\xa0\xbd\xed\xb8\x80", false},
		{"a:b", false}, {"a/b", false}, {`a\`, false}, {`\a`, false}, {"..", false}, {".", false}, {"a\x00b", false}, {"con", true},
		{"trailing.", true}, {"*", false},
	} {
		w, dir := create(t, nil)
		err := w.AddFile(c.name, meta(), 0)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, cimfs.ErrName) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", c.name, err)
		}
		if err == nil {
			if got := finish(t, w, dir).Root.Children[0].Name; got != c.name {
				t.Errorf("%q came back as %q", c.name, got)
			}
		}
	}
}

// A path has at most 32,767 units.
func TestLongPath(t *testing.T) {
	w, dir := create(t, nil)
	path := ""
	for range 127 {
		path = winfs.JoinPath(path, strings.Repeat("d", 255))
		if err := w.AddDir(path, meta()); err != nil {
			t.Fatal(err)
		}
	}
	// 127*255 + 126 separators = 32,511.
	if err := w.AddFile(path+`\`+strings.Repeat("f", 255), meta(), 0); err != nil {
		t.Fatal(err)
	}
	last := path + `\` + strings.Repeat("g", 255)
	if err := w.AddFile(last+`x`, meta(), 0); !errors.Is(err, cimfs.ErrName) {
		t.Errorf("a path of %d units: %v", len(last)+1, err)
	}
	finish(t, w, dir)
}

func TestStreamSizes(t *testing.T) {
	w, _ := create(t, nil)
	if err := w.AddFile("f", meta(), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("four")); !errors.Is(err, cimfs.ErrStreamSize) {
		t.Errorf("too many bytes: %v", err)
	}
	if err := w.Commit(); err == nil {
		t.Error("an image was published after an error")
	}
	w, dir := create(t, nil)
	if err := w.AddFile("f", meta(), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("four")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); !errors.Is(err, cimfs.ErrStreamSize) {
		t.Errorf("too few bytes: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	clean(t, dir)
}

func TestNothingIsLeftWithoutCommit(t *testing.T) {
	w, dir := create(t, nil)
	if err := w.AddFile("f", meta(), 100000); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 50000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	clean(t, dir)
}

func TestExistingImageIsNotReplaced(t *testing.T) {
	w, dir := create(t, nil)
	finish(t, w, dir)
	before := files(t, dir)
	if _, err := cimfs.Create(dir, "a.cim", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	for name, b := range files(t, dir) {
		if !bytes.Equal(b, before[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}

// What is inferred is refused on demand, and what is proven is not.
func TestProvenOnly(t *testing.T) {
	opts := &cimfs.Options{ProvenOnly: true}
	reparse, err := winfs.EncodeSymlink("target")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func(w *cimfs.Writer) error
	}{
		{"hard link", func(w *cimfs.Writer) error { return w.Link("b", "a") }},
		{"alternate stream", func(w *cimfs.Writer) error { return w.CreateStream("a", "s", 0) }},
		{"reparse point", func(w *cimfs.Writer) error { return w.AddFile("b", &cimfs.Meta{Reparse: reparse}, 0) }},
		{"sparse file", func(w *cimfs.Writer) error { return w.AddFile("b", &cimfs.Meta{Hole: true}, 10) }},
	} {
		w, _ := create(t, opts)
		if err := w.AddFile("a", meta(), 0); err != nil {
			t.Fatal(err)
		}
		if err := c.do(w); !errors.Is(err, cimfs.ErrUnproven) {
			t.Errorf("%s: %v", c.name, err)
		}
		w, _ = create(t, nil)
		if err := w.AddFile("a", meta(), 0); err != nil {
			t.Fatal(err)
		}
		if err := c.do(w); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	w, dir := create(t, nil)
	finish(t, w, dir)
	if _, err := cimfs.Create(dir, "fork.cim", &cimfs.Options{Parent: "a.cim", ProvenOnly: true}); !errors.Is(err, cimfs.ErrUnproven) {
		t.Errorf("fork: %v", err)
	}
}

func TestVersionTwoIsNotWritten(t *testing.T) {
	if _, err := cimfs.Create(t.TempDir(), "a.cim", &cimfs.Options{Version: cimfs.V2}); !errors.Is(err, cimfs.ErrVersion) {
		t.Errorf("%v", err)
	}
}
