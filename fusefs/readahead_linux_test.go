package fusefs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/winfs"
)

// manyFiles makes an image of small files, some empty, some too large to be read ahead.
func manyFiles(t *testing.T) (*cimfs.Image, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	w, err := cimfs.Create(dir, "many.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	want := map[string][]byte{}
	for d := range 3 {
		name := fmt.Sprintf("d%d", d)
		if err := w.AddDir(name, &cimfs.Meta{Attributes: winfs.AttrDirectory}); err != nil {
			t.Fatal(err)
		}
		for f := range 400 {
			size := f * 37 % 5000
			if f%100 == 99 {
				size = aheadFile + f
			}
			b := bytes.Repeat([]byte(fmt.Sprintf("%d/%d,", d, f)), size/4+1)[:size]
			path := fmt.Sprintf(`%s\f%03d`, name, f)
			if err := w.AddFile(path, &cimfs.Meta{Attributes: winfs.AttrArchive}, int64(size)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.CloseStream(); err != nil {
				t.Fatal(err)
			}
			want[filepath.FromSlash(winfs.ToSlash(path))] = b
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(dir, "many.cim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im, want
}

// rootOnly hides that a tree can find files by number.
type rootOnly struct{ t Tree }

func (r rootOnly) Root() (File, error) { return r.t.Root() }

// Files that are read ahead, in order and by several programs at once, have their
// content, whatever the tree can do.
func TestReadAhead(t *testing.T) {
	im, want := manyFiles(t)
	for name, tree := range map[string]Tree{"by number": CimTree(im), "by name": rootOnly{CimTree(im)}} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t, tree)
			var wait sync.WaitGroup
			for range 3 {
				wait.Go(func() {
					seen := 0
					err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
						if err != nil || st.IsDir() {
							return err
						}
						rel, err := filepath.Rel(dir, path)
						if err != nil {
							return err
						}
						b, err := os.ReadFile(path)
						if err != nil {
							return err
						}
						if !bytes.Equal(b, want[rel]) {
							return fmt.Errorf("%s has %d bytes, want %d", rel, len(b), len(want[rel]))
						}
						seen++
						// Another spelling is the same file.
						other, err := os.Stat(filepath.Join(dir, strings.ToUpper(rel)))
						if err != nil || !os.SameFile(st, other) {
							return fmt.Errorf("%s in upper case: %v", rel, err)
						}
						return nil
					})
					if err != nil || seen != len(want) {
						t.Errorf("%d files, %v; want %d", seen, err, len(want))
					}
				})
			}
			wait.Wait()
		})
	}
}
