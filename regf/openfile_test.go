package regf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// OpenFile reads a file that has no name any more, leaves it open, and refuses what Open
// refuses.
func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "hive"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := OpenFile(f, nil); !errors.Is(err, ErrNotHive) {
		t.Errorf("an empty file: %v", err)
	}
	if err := New(nil).WriteImage(f); err != nil {
		t.Fatal(err)
	}
	h, err := OpenFile(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Root().Valid() {
		t.Error("no root")
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("after Close: %v", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := OpenFile(d, nil); !errors.Is(err, ErrNotHive) {
		t.Errorf("a directory: %v", err)
	}
}
