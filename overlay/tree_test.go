package overlay

import (
	"errors"
	"io/fs"
	"testing"
)

// open opens a tree for the length of a test.
func open(t *testing.T, dir string, lower Lower) *Tree {
	t.Helper()
	tr, err := Open(dir, lower, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, NoLower())
	if _, err := Open(dir, NoLower(), nil); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
}

type otherLower struct{ emptyLower }

func (otherLower) Identity() string { return "other" }

func TestOtherLower(t *testing.T) {
	dir := t.TempDir()
	tr, err := Open(dir, NoLower(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, otherLower{}, nil); !errors.Is(err, ErrOtherLower) {
		t.Errorf("%v", err)
	}
}

// Names that Windows cannot hold are refused.
func TestNames(t *testing.T) {
	tr := open(t, t.TempDir(), NoLower())
	for _, name := range []string{"a:b", "a<b", "x.", "x ", "NUL", "com1.txt", "a\\b", "a\x01b", "a*"} {
		if _, err := tr.Create(tr.Root(), name, New{}); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	long := make([]rune, 256)
	for i := range long {
		long[i] = 'ä'
	}
	if _, err := tr.Create(tr.Root(), string(long), New{}); !errors.Is(err, ErrNameTooLong) {
		t.Errorf("256 units: %v", err)
	}
	if _, err := tr.Create(tr.Root(), string(long[1:]), New{}); err != nil {
		t.Errorf("255 units: %v", err)
	}
	if _, err := tr.Create(tr.Root(), "Name", New{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Create(tr.Root(), "nAME", New{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another case: %v", err)
	}
}

// A tree that was not changed says so, and one that was does, also after reopening.
func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	tr, err := Open(dir, NoLower(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !tr.Empty() {
		t.Error("a new tree is not empty")
	}
	if _, err := tr.Create(tr.Root(), "a", New{}); err != nil {
		t.Fatal(err)
	}
	if tr.Empty() {
		t.Error("a tree with a file is empty")
	}
	if bytes, files, err := tr.Usage(); err != nil || bytes == 0 || files < 3 {
		t.Errorf("usage is %d bytes, %d files, %v", bytes, files, err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if tr = open(t, dir, NoLower()); tr.Empty() {
		t.Error("a tree with a file is empty when it is opened again")
	}
}
