package hives

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
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
	if err := Merge(t.Context(), out, []string{base, delta}); err != nil {
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
	// A second merge produces the same bytes, and never replaces an existing file.
	if err := Merge(t.Context(), out, []string{base, delta}); !errors.Is(err, regf.ErrExists) {
		t.Errorf("over an existing file: %v", err)
	}
	if err := Merge(t.Context(), out+"2", []string{base, delta}); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(out + "2"); !bytes.Equal(first, second) {
		t.Error("two merges differ")
	}
	for _, c := range []struct {
		base, delta string
		want        error
	}{
		{delta, base, regf.ErrInvalid},
		{base, filepath.Join(dir, "none"), fs.ErrNotExist},
		{copyFile(t, dir, "dirty", testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_B")), delta, regf.ErrDirty},
		{copyFile(t, dir, "log", testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_B.LOG1")), delta, regf.ErrLogFile},
	} {
		out := filepath.Join(dir, "never")
		if err := Merge(t.Context(), out, []string{c.base, c.delta}); !errors.Is(err, c.want) {
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
		h, err := Chain(t.Context(), layers, System)
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
	merged, err := keys(fakeLayer{Config: base}, fakeLayer{Delta: delta})
	if err != nil || merged == plain {
		t.Fatalf("%d keys merged, %d plain, %v", merged, plain, err)
	}
	// A layer without a delta changes nothing; a complete hive ends the search; a
	// config file above the base is no hive of the system.
	for _, c := range []struct {
		layers []Layer
		want   int
	}{
		{[]Layer{fakeLayer{Config: base}, fakeLayer{}, fakeLayer{Delta: delta}, fakeLayer{}}, merged},
		{[]Layer{fakeLayer{Config: other}, fakeLayer{Base: base, Delta: delta}}, plain},
		{[]Layer{fakeLayer{}, fakeLayer{Base: base}, fakeLayer{Delta: delta}}, merged},
		{[]Layer{fakeLayer{Base: base, Config: other}, fakeLayer{Config: other}}, plain},
	} {
		if got, err := keys(c.layers...); err != nil || got != c.want {
			t.Errorf("%v: %d keys, %v; want %d", c.layers, got, err, c.want)
		}
	}
	if _, err := keys(fakeLayer{Delta: delta}, fakeLayer{}); !errors.Is(err, ErrNoBase) {
		t.Errorf("%v", err)
	}
}

// settings makes a hive of one key with values of one name each.
func settings(t *testing.T, layered bool, key string, values ...string) *regf.Hive {
	t.Helper()
	h := regf.New(&regf.Options{Clock: func() winfs.Filetime { return 7 }})
	if err := h.SetLayered(layered); err != nil {
		t.Fatal(err)
	}
	k, err := h.CreatePath(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := k.SetValue(v, regf.RegSZ, regf.StringData(v)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// openLayer holds open hives, of which it returns copies.
type openLayer map[Form]*regf.Hive

func (l openLayer) OpenHive(_ Name, f Form) (*regf.Hive, error) {
	h, ok := l[f]
	if !ok {
		return nil, fs.ErrNotExist
	}
	b, err := h.Image()
	if err != nil {
		return nil, err
	}
	return regf.OpenBytes(b, nil)
}

// However hives are merged, in files, open or in a chain, an ordinary hive is a delta,
// and the result is the same.
func TestPlainDelta(t *testing.T) {
	for _, layered := range []bool{false, true} {
		base, delta, top := settings(t, false, "a", "x", "y"), settings(t, layered, "A", "X", "z"), settings(t, true, "a", "w")
		dir := t.TempDir()
		var files []string
		for i, h := range []*regf.Hive{base, delta, top} {
			files = append(files, filepath.Join(dir, string(rune('0'+i))))
			if err := h.WriteImageFile(files[i], nil); err != nil {
				t.Fatal(err)
			}
		}
		out := filepath.Join(dir, "out")
		if err := Merge(t.Context(), out, files); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		// One after the other, as a chain of layers is unpacked.
		if err := errors.Join(Merge(t.Context(), out+"1", []string{files[0], files[1]}), Merge(t.Context(), out+"2", []string{out + "1", files[2]})); err != nil {
			t.Fatal(err)
		}
		steps, err := os.ReadFile(out + "2")
		if err != nil || !bytes.Equal(want, steps) {
			t.Errorf("layered %v: step by step it is another hive, %v", layered, err)
		}
		h, err := Chain(t.Context(), []Layer{openLayer{Config: base}, openLayer{Delta: delta}, openLayer{}, openLayer{Delta: top}}, System)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.Image(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("layered %v: a chain gives another hive, %v", layered, err)
		}
		k, err := h.Key("a")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for v := range k.Values() {
			names = append(names, v.Name())
		}
		if want := []string{"w", "X", "z", "y"}; !slices.Equal(names, want) {
			t.Errorf("layered %v: values %q, want %q", layered, names, want)
		}
	}
}

// An error of a chain says which layer has the hive at fault.
func TestChainNamesTheLayer(t *testing.T) {
	good, delta := settings(t, false, "a", "x"), settings(t, true, "a", "y")
	many := settings(t, true, "b", "x")
	for _, name := range []string{"b", "c"} {
		if _, err := many.CreatePath(name); err != nil {
			t.Fatal(err)
		}
	}
	b, err := many.Image()
	if err != nil {
		t.Fatal(err)
	}
	// The two subkeys of the root change places.
	i := bytes.Index(b, []byte("lh\x02\x00"))
	first := slices.Clone(b[i+4 : i+12])
	copy(b[i+4:], b[i+12:i+20])
	copy(b[i+12:], first)
	disorder, err := regf.OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		layers []Layer
		layer  int
		form   Form
	}{
		"delta in disorder": {[]Layer{openLayer{Config: good}, openLayer{Delta: disorder}, openLayer{Delta: delta}}, 1, Delta},
		"base in disorder":  {[]Layer{openLayer{Config: disorder}, openLayer{}, openLayer{Delta: delta}}, 0, Config},
		"delta as base":     {[]Layer{openLayer{Config: delta}, openLayer{Delta: delta}}, 0, Config},
	} {
		_, err := Chain(t.Context(), c.layers, System)
		var where *ChainError
		if !errors.As(err, &where) || where.Layer != c.layer || where.Form != c.form {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlace(t *testing.T) {
	for _, c := range []struct {
		path string
		kind layer.Kind
		base bool
		form Form // 0 for no hive
		err  error
	}{
		{`Files\Windows\System32\config\SOFTWARE`, layer.File, true, Config, nil},
		{`files\windows\system32\CONFIG\software`, layer.File, false, Config, nil},
		{`Files\Windows\System32\config\SOFTWARE`, layer.Link, true, Config, layer.ErrLinkTarget},
		{`Files\Windows\System32\config\SOFTWARE`, layer.Whiteout, false, 0, nil},
		{`Files\Windows\System32\config\SOFTWARE`, layer.Dir, true, 0, nil},
		{`Hives\Software_Delta`, layer.File, false, Delta, nil},
		{`Hives\SOFTWARE_DELTA`, layer.File, true, Delta, ErrBaseDelta},
		{`Hives\Software_Delta`, layer.Link, false, Delta, layer.ErrLinkTarget},
		{`Hives\SOFTWARE_BASE`, layer.File, false, Base, layer.ErrDuplicate},
		{`Hives\software_base`, layer.Link, false, Base, layer.ErrDuplicate},
		{`Hives\DefaultUser_Base`, layer.Dir, true, Base, layer.ErrDuplicate},
		{`Hives\Components_Delta`, layer.File, false, 0, nil},
	} {
		_, form, ok, err := Place(&layer.Entry{Path: c.path, Kind: c.kind}, c.base)
		if ok != (c.form != 0) || form != c.form || !errors.Is(err, c.err) {
			t.Errorf("%s %v, base %v: %v %v %v", c.path, c.kind, c.base, form, ok, err)
		}
	}
}

// A merge that is cancelled leaves no file.
func TestMergeCancelled(t *testing.T) {
	dir := t.TempDir()
	base, delta, out := filepath.Join(dir, "base"), filepath.Join(dir, "delta"), filepath.Join(dir, "out")
	for name, h := range map[string]*regf.Hive{base: settings(t, false, "a", "x"), delta: settings(t, true, "a", "y")} {
		if err := h.WriteImageFile(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Merge(ctx, out, []string{base, delta}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("there is %v, %v", list, err)
	}
	chain := []Layer{openLayer{Config: settings(t, false, "a", "x")}, openLayer{Delta: settings(t, true, "a", "y")}}
	if _, err := Chain(ctx, chain, System); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := Merge(t.Context(), out, []string{base, delta}, WithWarnings(func(f finding.Finding) { t.Error(f) })); err != nil {
		t.Error(err)
	}
}
