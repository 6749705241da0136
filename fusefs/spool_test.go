package fusefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// treeItems reads a tree back as a layer. The first name of a file is the file, the
// others are links to it.
func treeItems(t Tree) (*layertest.Layer, error) {
	root, err := t.Root()
	if err != nil {
		return nil, err
	}
	out, seen := &layertest.Layer{}, map[uint64]string{}
	var walk func(dir File, path string) error
	walk = func(dir File, path string) error {
		for e, err := range dir.Entries() {
			if err != nil {
				return err
			}
			f, err := dir.Child(winfs.Fold(e.Name))
			if err != nil {
				return err
			}
			p := winfs.JoinPath(path, e.Name)
			if same, err := t.(overlay.Lower).File(f.ID()); err != nil || same.ID() != f.ID() || same.Size() != f.Size() {
				return fmt.Errorf("%s: another file has its ID: %v", winfs.JoinPath(path, e.Name), err)
			}
			if first := seen[f.ID()]; first != "" {
				out.Items = append(out.Items, layertest.Item{Entry: layer.Entry{Path: p, Kind: layer.Link, Target: first}})
				continue
			}
			seen[f.ID()] = p
			it, err := treeItem(f, p)
			if err != nil {
				return err
			}
			out.Items = append(out.Items, it)
			if f.IsDir() {
				if err := walk(f, p); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return out, walk(root, "")
}

func treeItem(f File, path string) (it layertest.Item, err error) {
	it.Entry = layer.Entry{Path: path, Kind: layer.File, Attributes: f.Attributes(), Times: f.Times(), Size: f.Size()}
	if f.IsDir() {
		it.Kind = layer.Dir
	}
	eas, err := f.EAs()
	if err == nil {
		it.EAs, err = winfs.DecodeEAs(eas)
	}
	if err == nil {
		it.Security, err = f.Security()
	}
	if err == nil {
		it.Reparse, err = f.Reparse()
	}
	if err != nil {
		return it, err
	}
	streams, err := f.Streams()
	if err == nil && !f.IsDir() {
		var main Stream
		main, err = f.Open()
		streams = append([]Stream{main}, streams...)
	}
	if err != nil {
		return it, err
	}
	for _, s := range streams {
		b := make([]byte, s.Size())
		if _, err := s.ReadAt(b, 0); err != nil && err != io.EOF {
			return it, err
		}
		it.Streams = append(it.Streams, layertest.Stream{Name: s.Name(), Data: b})
	}
	return it, nil
}

// kept leaves the spool open when the suite closes its writer: the committed layer is read
// from it.
type kept struct{ *Spool }

func (k kept) Close() error {
	if k.done {
		return nil
	}
	return k.Spool.Close()
}

// spoolLacks are the features that a tree does not have.
const spoolLacks = layertest.Whiteouts | layertest.Opaques | layertest.ObjectIDs | layertest.Sparse | layertest.Extents |
	layertest.LinkMetadata | layertest.NoMain

func newKept(tb testing.TB) kept {
	s, err := NewSpool(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return kept{s}
}

func TestSpool(t *testing.T) {
	layertest.Run(t, layertest.Format{
		Lacks: spoolLacks, Unordered: true, Publishes: true,
		New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
			k := newKept(tb)
			return k, func() (layer.Reader, error) {
				l, err := treeItems(k)
				if err != nil {
					return nil, err
				}
				return l.Open()
			}
		},
	})
}

func spoolOf(t *testing.T, entries ...layer.Entry) (*Spool, error) {
	t.Helper()
	s := newKept(t).Spool
	l := &layertest.Layer{}
	for _, e := range entries {
		l.Items = append(l.Items, layertest.Item{Entry: e})
	}
	r, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layer.Copy(context.Background(), s, r); err != nil {
		return s, err
	}
	return s, s.Commit()
}

func TestSpoolLinks(t *testing.T) {
	link := func(p, target string) layer.Entry { return layer.Entry{Path: p, Kind: layer.Link, Target: target} }
	file := func(p string) layer.Entry { return layer.Entry{Path: p, Kind: layer.File} }

	one, err := spoolOf(t, file(`Files\x`), file(`Files\y`))
	if err != nil {
		t.Fatal(err)
	}
	two, err := spoolOf(t, file(`Files\x`), file(`Files\y`))
	if err != nil || one.Identity() != two.Identity() {
		t.Errorf("equal layers are %s and %s: %v", one.Identity(), two.Identity(), err)
	}
	three, err := spoolOf(t, file(`Files\x`), file(`Files\z`))
	if err != nil || one.Identity() == three.Identity() {
		t.Errorf("different layers are both %s: %v", three.Identity(), err)
	}

	// Before its target, through other links, around in a circle, into the void.
	s, err := spoolOf(t, link(`Files\z`, `Files\Y`), link(`Files\y`, `files\x`), link(`Files\w`, `Files\z`), file(`Files\x`),
		link(`Files\a`, `Files\b`), link(`Files\b`, `Files\a`), link(`Files\c`, `Files\a`), link(`Files\d`, `Files\gone`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Missing() != 4 {
		t.Errorf("%d links are missing, want 4", s.Missing())
	}
	root, _ := s.Root()
	files, err := root.Child("FILES")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"w", "X", "y", "Z"} {
		f, err := files.Child(n)
		if err != nil {
			t.Fatalf("%s: %v", n, err)
		}
		if links, _ := f.NumLinks(); links != 4 {
			t.Errorf("%s has %d names, want 4", n, links)
		}
	}

	for _, c := range []struct {
		want    error
		entries []layer.Entry
	}{
		{layer.ErrDuplicate, []layer.Entry{file(`a`), file(`a`)}},
		{layer.ErrCaseConflict, []layer.Entry{file(`a`), file(`A`)}},
		{layer.ErrDuplicate, []layer.Entry{file(`a`), {Path: `a`, Kind: layer.Dir}}},
		{layer.ErrDuplicate, []layer.Entry{file(`a`), link(`b`, `a`), file(`b`)}},
		{layer.ErrCaseConflict, []layer.Entry{file(`a`), link(`b`, `a`), link(`B`, `a`)}},
		{layer.ErrNotDirectory, []layer.Entry{file(`a`), file(`a\b`)}},
		{layer.ErrLinkTarget, []layer.Entry{{Path: `d`, Kind: layer.Dir}, link(`b`, `d`)}},
	} {
		if _, err := spoolOf(t, c.entries...); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.entries, err, c.want)
		}
	}
}

// A chain of links of any length costs work in proportion.
func TestSpoolLongChain(t *testing.T) {
	const n = 50_000
	name := func(i int) string { return `Files\` + strings.Repeat("a", 1+i%3) + string(rune('0'+i%10)) + itoa(i) }
	var entries []layer.Entry
	for i := range n {
		entries = append(entries, layer.Entry{Path: name(i), Kind: layer.Link, Target: name(i + 1)})
	}
	entries = append(entries, layer.Entry{Path: name(n), Kind: layer.File})
	s, err := spoolOf(t, entries...)
	if err != nil {
		t.Fatal(err)
	}
	root, _ := s.Root()
	files, err := root.Child("Files")
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Child(name(0)[len(`Files\`):])
	if err != nil {
		t.Fatal(err)
	}
	if links, _ := f.NumLinks(); links != n+1 {
		t.Errorf("%d names, want %d", links, n+1)
	}
}

func itoa(n int) string {
	b := []byte{}
	for ; n > 0; n /= 10 {
		b = append(b, byte('a'+n%10))
	}
	return string(b)
}

// Zeros and holes take no room, and nothing is left in the folder at any time.
func TestSpoolRoom(t *testing.T) {
	dir := t.TempDir()
	s, err := NewSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if left, _ := os.ReadDir(dir); len(left) > 0 && runtime.GOOS != "windows" {
		t.Errorf("%v is in the folder", left)
	}
	const size = 1 << 30
	if err := s.Add(&layer.Entry{Path: `Files\big`, Kind: layer.File, Size: size}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddStream(&layer.Stream{Size: size, Sparse: true}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Write([]byte("begin"))
	if err == nil {
		err = s.WriteHole(size - 5 - 2<<20)
	}
	if err == nil {
		_, err = s.Write(make([]byte, 2<<20-3))
	}
	if err == nil {
		_, err = s.Write([]byte("end"))
	}
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() != size {
		t.Errorf("%d bytes, want %d", st.Size(), size)
	}
	if room := allocated(st); room > 1<<20 {
		t.Errorf("%d bytes of the disk, want next to none", room)
	}
	f := s.root.children[0].file.children[0].file
	b := make([]byte, 8)
	stream, _ := f.Open()
	if _, err := stream.ReadAt(b, size-8); err != nil || string(b) != "\x00\x00\x00\x00\x00end" {
		t.Errorf("%q, %v", b, err)
	}
	if n, err := stream.ReadAt(b, size-3); n != 3 || err != io.EOF {
		t.Errorf("%d bytes and %v at the end", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if _, err := s.Root(); err == nil {
		t.Error("a closed spool shows its tree")
	}
}
