package publish

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mullion/mullion/internal/faulttest"
)

// Whatever fails of what a disk can fail at: there is nothing afterwards, neither under
// the final name nor a temporary one, and the next attempt succeeds. Where a file
// replaces another one there is one of the two.
func TestFaults(t *testing.T) {
	disk, dir := t.TempDir(), t.TempDir()
	f := faulttest.Mount(t, disk, dir)
	folder := func() error {
		d, err := CreateDir(filepath.Join(dir, "d"), Options{})
		if err != nil {
			return err
		}
		defer d.Close()
		if err := os.WriteFile(filepath.Join(d.Path(), "x"), []byte("text"), 0o644); err != nil {
			return err
		}
		return d.Commit()
	}
	for _, c := range []struct {
		name    string
		run     func() error
		replace bool
	}{
		{"file", func() error { return write(t, filepath.Join(dir, "a"), "new", false) }, false},
		{"replaced file", func() error { return write(t, filepath.Join(dir, "a"), "new", true) }, true},
		{"folder", folder, false},
	} {
		prepare := func() {
			for _, n := range listed(t, disk) {
				if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
					t.Fatal(err)
				}
			}
			if c.replace {
				if err := os.WriteFile(filepath.Join(dir, "a"), []byte("old"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		prepare()
		f.Fail("", 0, 0)
		if err := c.run(); err != nil {
			t.Fatal(err)
		}
		done, _ := f.End()
		if len(done[faulttest.Fsync]) < 2 || len(done[faulttest.Create]) < 1 || len(done[faulttest.Write]) < 1 {
			t.Errorf("%s: only %v", c.name, done)
		}
		for op, files := range done {
			for at := range files {
				prepare()
				f.Fail(op, at+1, at+1)
				err := c.run()
				_, failed := f.End()
				left := listed(t, disk)
				what := c.name + ", " + strings.Join(failed, ", ")
				switch {
				case err == nil && op == faulttest.Link: // a rename does it too
				case !errors.Is(err, syscall.EIO):
					t.Errorf("%s: %v", what, err)
				case c.replace:
					b, err := os.ReadFile(filepath.Join(disk, "a"))
					if text := string(b); err != nil || text != "old" && text != "new" || !slices.Equal(left, []string{"a"}) {
						t.Errorf("%s: left %q with %q, %v", what, left, text, err)
					}
				case len(left) > 0:
					t.Errorf("%s: left %q", what, left)
				}
				if err := c.run(); err != nil && !errors.Is(err, fs.ErrExist) {
					t.Errorf("after %s: %v", what, err)
				}
			}
		}
	}
}
