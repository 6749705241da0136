package hives

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

func copyFile(t *testing.T, dir, name, from string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMergeGenuine(t *testing.T) {
	dir := t.TempDir()
	base := copyFile(t, dir, "base", testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM"))
	delta := copyFile(t, dir, "delta", testenv.Corpus(t, "hives", "msuhanov_yarp/System_Delta"))
	before, _ := os.ReadFile(base)
	out := filepath.Join(dir, "out")
	if err := Merge(out, base, delta); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	h, err := regf.OpenBytes(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.Layered() || h.Minor() != 5 {
		t.Errorf("the result has version 1.%d, layered %v", h.Minor(), h.Layered())
	}
	// A value that the delta sets, and one that it hides.
	if _, err := h.Key(`ControlSet001\Control\ComputerName`); err != nil {
		t.Error(err)
	}
	if k, err := h.Key(`ControlSet001\Control\Session Manager\Memory Management`); err != nil {
		t.Error(err)
	} else if _, err := k.Value("ExistingPageFiles"); !errors.Is(err, regf.ErrNotFound) {
		t.Errorf("a value that the delta deletes: %v", err)
	}
	if after, _ := os.ReadFile(base); !bytes.Equal(before, after) {
		t.Error("the base was changed")
	}
	// The same again gives the same bytes, and never over an existing file.
	if err := Merge(out, base, delta); !errors.Is(err, regf.ErrExists) {
		t.Errorf("over an existing file: %v", err)
	}
	if err := Merge(out+"2", base, delta); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(out + "2"); !bytes.Equal(first, second) {
		t.Error("two merges differ")
	}
	for _, c := range []struct {
		base, delta string
		want        error
	}{
		{base, base, ErrNotDelta},
		{base, filepath.Join(dir, "none"), fs.ErrNotExist},
		{copyFile(t, dir, "dirty", testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_B")), delta, regf.ErrDirty},
		{copyFile(t, dir, "log", testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_B.LOG1")), delta, regf.ErrLogFile},
	} {
		out := filepath.Join(dir, "never")
		if err := Merge(out, c.base, c.delta); !errors.Is(err, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.base, c.delta, err, c.want)
		}
		if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("something was written: %v", err)
		}
	}
}

// fakeLayer holds files by form.
type fakeLayer map[Form]string

func (l fakeLayer) OpenHive(n Name, f Form) (*regf.Hive, error) {
	if p, ok := l[f]; ok && n == System {
		return regf.Open(p, nil)
	}
	return nil, fs.ErrNotExist
}

func TestChain(t *testing.T) {
	base := testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM")
	other := testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_WIN_10_1709")
	delta := testenv.Corpus(t, "hives", "msuhanov_yarp/System_Delta")
	count := func(h *regf.Hive) (n int) {
		for _, err := range h.Root().Walk() {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	keys := func(layers ...Layer) (int, error) {
		h, err := Chain(layers, System)
		if err != nil {
			return 0, err
		}
		defer h.Close()
		return count(h), nil
	}
	plain, err := keys(fakeLayer{Config: base})
	if err != nil {
		t.Fatal(err)
	}
	merged, err := keys(fakeLayer{Delta: delta}, fakeLayer{Config: base})
	if err != nil || merged == plain {
		t.Fatalf("%d keys merged, %d plain, %v", merged, plain, err)
	}
	// A layer without a delta changes nothing; a complete hive ends the search; a
	// config file above the base is no hive of the system.
	for _, c := range []struct {
		layers []Layer
		want   int
	}{
		{[]Layer{fakeLayer{}, fakeLayer{Delta: delta}, fakeLayer{}, fakeLayer{Config: base}}, merged},
		{[]Layer{fakeLayer{Base: base, Delta: delta}, fakeLayer{Config: other}}, plain},
		{[]Layer{fakeLayer{Delta: delta}, fakeLayer{Base: base}, fakeLayer{}}, merged},
		{[]Layer{fakeLayer{Config: other}, fakeLayer{Base: base, Config: other}}, plain},
	} {
		if got, err := keys(c.layers...); err != nil || got != c.want {
			t.Errorf("%v: %d keys, %v; want %d", c.layers, got, err, c.want)
		}
	}
	if _, err := keys(fakeLayer{Delta: delta}, fakeLayer{}); !errors.Is(err, ErrNoBase) {
		t.Errorf("%v", err)
	}
}
