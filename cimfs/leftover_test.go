package cimfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// build writes a small image with every kind of content.
func build(dir string) error {
	w, err := Create(dir, "a.cim", nil)
	if err != nil {
		return err
	}
	defer w.Close()
	for _, f := range []struct {
		name string
		data []byte
	}{{"f", []byte("small")}, {"g", bytesOf(1, 5000)}, {"h", bytesOf(2, bufferedMax+1)}, {"i", bytesOf(2, bufferedMax+1)}, {"x.exe", samplePE(1, 3)}} {
		if err := w.AddFile(f.name, nil, int64(len(f.data))); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	return w.Commit()
}

// leftover makes what a killed writer leaves: a private folder with a mark.
func leftover(t *testing.T, dir, image, mark string, g winfs.GUID) {
	t.Helper()
	area := filepath.Join(dir, "."+image+"."+stagingKind+"-0123456789abcdef")
	if err := errors.Join(os.Mkdir(area, 0o700), os.WriteFile(filepath.Join(area, ".mullion-lock"), nil, 0o600),
		os.WriteFile(filepath.Join(area, mark), []byte(g.String()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// A mark is a claim that may be stale or a lie: the files that an image refers to stay,
// whatever the image is called by now and whoever forked it.
func TestMarksOfAnother(t *testing.T) {
	for _, mark := range []string{intentName, ownedName} {
		for _, renamed := range []bool{false, true} {
			dir := t.TempDir()
			if err := build(dir); err != nil {
				t.Fatal(err)
			}
			name := "a.cim"
			if renamed { // killed between publishing and clearing away, then renamed
				name = "renamed.image"
				if err := os.Rename(filepath.Join(dir, "a.cim"), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			im, err := Open(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			im.Close()
			leftover(t, dir, "a.cim", mark, im.GUID())
			if err := os.Mkdir(filepath.Join(dir, ".x.cim.writing"), 0o700); err != nil { // as earlier versions had them
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, ".x.cim.writing", ownedName), []byte(im.GUID().String()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := Create(dir, "c.cim", nil)
			if err != nil {
				t.Fatal(err)
			}
			w.Close()
			if err := os.RemoveAll(filepath.Join(dir, ".x.cim.writing")); err != nil {
				t.Fatal(err)
			}
			wantClean(t, dir, name)
			onlyFiles(t, dir, 7)
		}
	}
}

// The files of a parent stay when only a fork refers to them, and when the image that
// might is damaged.
func TestMarksOfParent(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		dir := t.TempDir()
		if err := build(dir); err != nil {
			t.Fatal(err)
		}
		w, err := Create(dir, "fork.cim", &Options{Parent: "a.cim"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		im, err := Open(dir, "a.cim")
		if err != nil {
			t.Fatal(err)
		}
		im.Close()
		if err := os.Remove(filepath.Join(dir, "a.cim")); err != nil {
			t.Fatal(err)
		}
		if damaged {
			if err := os.Truncate(filepath.Join(dir, "fork.cim"), 40); err != nil {
				t.Fatal(err)
			}
		}
		leftover(t, dir, "b.cim", ownedName, im.GUID())
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := ClearLeftovers(root); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, regionName(im.GUID(), 0))); err != nil {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(dir, "fork.cim")); err != nil {
			t.Fatal(err)
		}
		leftover(t, dir, "b.cim", ownedName, im.GUID())
		if err := ClearLeftovers(root); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, regionName(im.GUID(), 0))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("files that nobody refers to stay: %v", err)
		}
	}
}

// Two writers of one name exclude each other, two of different names do not, and
// none clears away what another is working on.
func TestTwoWriters(t *testing.T) {
	dir := t.TempDir()
	a := newBuilder(t, dir, "a.cim", nil)
	if _, err := Create(dir, "a.cim", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second writer of one name: %v", err)
	}
	b := newBuilder(t, dir, "b.cim", nil)
	a.file("f", Meta{}, bytesOf(1, 100_000))
	b.file("f", Meta{}, bytesOf(1, 100_000))
	a.commit(dir, "a.cim")
	b.commit(dir, "b.cim")
	onlyFiles(t, dir, 10)
}
