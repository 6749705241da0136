package plaindir_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// move copies every entry of a reader to a writer.
func move(t *testing.T, w layer.Writer, r layer.Reader) {
	t.Helper()
	if _, err := layer.Copy(context.Background(), w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// list renders what a reader yields.
func list(t *testing.T, r layer.Reader) (out []string) {
	t.Helper()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%s %s %s", e.Kind, e.Path, e.Attributes)
		if e.Kind == layer.Link {
			text += " -> " + e.Target
		}
		if e.Reparse != nil {
			p, err := winfs.ParseReparse(e.Reparse)
			if err != nil {
				t.Fatal(err)
			}
			text += " -> " + p.Target()
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
				t.Fatalf("%d of %d bytes: %v", len(b), s.Size, err)
			}
			text += fmt.Sprintf(" %q", b)
		}
		if e.Kind != layer.Link && e.Times.LastWrite != when && e.Reparse == nil {
			t.Errorf("%s: last write %v", e.Path, e.Times.LastWrite)
		}
		out = append(out, text)
	}
}

var when, _ = winfs.FiletimeFromTime(time.Unix(1_600_000_000, 1_234_500))

func TestRoundTrip(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege")
	}
	src := filepath.Join(t.TempDir(), "src")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(src, "Dir", "sub"), 0o777))
	must(os.WriteFile(filepath.Join(src, "b.txt"), []byte("text"), 0o666))
	must(os.WriteFile(filepath.Join(src, "Dir", "empty"), nil, 0o666))
	must(os.Link(filepath.Join(src, "b.txt"), filepath.Join(src, "Dir", "again")))
	must(os.Symlink("../b.txt", filepath.Join(src, "Dir", "link")))
	must(os.Symlink("Dir/sub", filepath.Join(src, "Zdir")))
	must(filepath.WalkDir(src, func(p string, _ os.DirEntry, err error) error {
		if i, e := os.Lstat(p); e == nil && i.Mode()&os.ModeSymlink == 0 {
			err = errors.Join(err, os.Chtimes(p, time.Time{}, when.Time()))
		}
		return err
	}))
	want := []string{
		`file b.txt --A--------- "text"`,
		`directory Dir D-----------`,
		`hard link Dir\again --A--------- -> b.txt`,
		`file Dir\empty --A--------- ""`,
		`file Dir\link -LA--------- -> ..\b.txt`,
		`directory Dir\sub D-----------`,
		`directory Zdir DL---------- -> Dir\sub`,
	}
	dst := filepath.Join(t.TempDir(), "dst")
	for _, dir := range []string{src, dst} {
		if dir == dst {
			r, err := plaindir.Open(src, plaindir.Options{})
			must(err)
			w, err := plaindir.Create(dst)
			must(err)
			move(t, w, r)
			must(w.Close())
			must(r.Close())
			if s := w.Lost().String(); s != "" {
				t.Errorf("lost %s", s)
			}
		}
		r, err := plaindir.Open(dir, plaindir.Options{})
		must(err)
		if got := list(t, r); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nwant\n%q", dir, got, want)
		}
		must(r.Close())
	}
	entries, err := os.ReadDir(filepath.Dir(dst))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v is left: %v", entries, err)
	}
}

func TestCaseConflict(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a.TXT", "A.txt"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Skip("the file system folds case")
	}
	_, err := plaindir.Open(dir, plaindir.Options{})
	if !errors.Is(err, layer.ErrCaseConflict) {
		t.Errorf("%v", err)
	}
}

// What would lead out of the directory, or through a link, is refused or left out.
func TestHostileEntries(t *testing.T) {
	link := func(target string) []byte {
		b, err := winfs.EncodeSymlink(target)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	symlink := func(path, target string) *layer.Entry {
		return &layer.Entry{Path: path, Kind: layer.File, Reparse: link(target)}
	}
	for _, c := range []struct {
		entries []*layer.Entry
		want    error
		lost    int
	}{
		{[]*layer.Entry{{Path: `..\x`, Kind: layer.File}}, winfs.ErrInvalidName, 0},
		{[]*layer.Entry{{Path: `a`, Kind: layer.Whiteout}}, layer.ErrWhiteout, 0},
		{[]*layer.Entry{{Path: `a`, Kind: layer.Link, Target: `b`}}, layer.ErrLinkTarget, 0},
		{[]*layer.Entry{{Path: `a`, Kind: layer.File}, {Path: `a`, Kind: layer.File}}, layer.ErrDuplicate, 0},
		{[]*layer.Entry{{Path: `a`, Kind: layer.File}, {Path: `a\b`, Kind: layer.File}}, layer.ErrNotDirectory, 0},
		{[]*layer.Entry{symlink(`a`, `d`), {Path: `a\b`, Kind: layer.File}}, layer.ErrNotDirectory, 0},
		{[]*layer.Entry{symlink(`a`, `..\x`)}, nil, 1},
		{[]*layer.Entry{symlink(`a`, `C:\Windows`)}, nil, 1},
		{[]*layer.Entry{symlink(`a`, `\Windows`)}, nil, 1},
		{[]*layer.Entry{symlink(`d\e\l`, `..\..`), symlink(`m`, `d\e\l\..`)}, nil, 1},
	} {
		dir := t.TempDir()
		w, err := plaindir.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		var failed error
		for _, e := range c.entries {
			if failed = w.Add(e); failed != nil {
				break
			}
		}
		if failed == nil {
			failed = w.Commit()
		} else if err := w.Commit(); err == nil {
			t.Errorf("%v: commit after an error", c.entries[0].Path)
		}
		if !errors.Is(failed, c.want) {
			t.Errorf("%q: %v, want %v", c.entries[0].Path, failed, c.want)
		}
		if n := w.Lost().Reparse; n != c.lost {
			t.Errorf("%q: %d reparse points lost", c.entries[0].Path, n)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 0 && c.want != nil {
			t.Errorf("%q: %v is left: %v", c.entries[0].Path, left, err)
		}
	}
}

// A file that shrinks while it is read is an error, not a short file.
func TestShrinkingFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, make([]byte, 100), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := plaindir.Open(dir, plaindir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.NextStream(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != 50 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// Holes are kept, in the middle and at the end.
func TestHoles(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "out")
	w, err := plaindir.Create(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, step := range []func() error{
		func() error { return w.Add(&layer.Entry{Path: "f", Kind: layer.File}) },
		func() error { return w.AddStream(&layer.Stream{Size: 1<<30 + 3, Sparse: true}) },
		func() error { return w.WriteHole(2) },
		func() error { _, err := w.Write([]byte("x")); return err },
		func() error { return w.WriteHole(1 << 30) },
		w.Commit,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(dst, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "\x00\x00x\x00" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != 1<<30+3 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
}
