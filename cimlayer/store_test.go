package cimlayer_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
)

func chainID(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// fill writes a layer of one file.
func fill(w layer.Writer, path, data string) error {
	if err := w.Add(&layer.Entry{Path: path, Kind: layer.File, Size: int64(len(data))}); err != nil {
		return err
	}
	if err := w.AddStream(&layer.Stream{Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := w.Write([]byte(data))
	return err
}

// names lists every file below a store but its locks.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, p); err == nil && !strings.HasPrefix(rel, "locks") {
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func openStore(t *testing.T) *cimlayer.Store {
	t.Helper()
	s, err := cimlayer.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var leave = cimlayer.WithMissingHives(cimlayer.LeaveMissing)

// Layers that are named at their end, and many times at once, are one.
func TestAddComputed(t *testing.T) {
	s := openStore(t)
	base, top := chainID("a"), chainID("b")
	made := make([]bool, 6)
	var wg sync.WaitGroup
	for i := range made {
		wg.Go(func() {
			id, m, err := s.AddComputed(t.Context(), nil, func(w layer.Writer) (string, error) {
				return base, fill(w, `Files\a`, "base")
			}, leave)
			if err != nil || id != base {
				t.Error(id, err)
			}
			made[i] = m
		})
	}
	wg.Wait()
	if slices.Index(made, true) < 0 || len(slices.DeleteFunc(made, func(m bool) bool { return !m })) != 1 {
		t.Error("not exactly one of them made the layer")
	}
	if m, err := s.Add(t.Context(), base, nil, func(layer.Writer) error { t.Error("filled again"); return nil }, leave); m || err != nil {
		t.Error(m, err)
	}
	// A fork refers to the files of its parent, whose image was renamed.
	if _, m, err := s.AddComputed(t.Context(), []string{base}, func(w layer.Writer) (string, error) {
		return top, fill(w, `Files\b`, "top")
	}); err != nil || !m {
		t.Fatal(m, err)
	}
	im, err := s.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{`Files\a`: "base", `Files\b`: "top"} {
		b, err := fs.ReadFile(im.FS(), strings.ReplaceAll(path, `\`, "/"))
		if err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	if err := im.Close(); err != nil {
		t.Error(err)
	}
	ids, err := s.Layers()
	slices.Sort(ids)
	if err != nil || !slices.Equal(ids, []string{base, top}) {
		t.Error(ids, err)
	}
	before := names(t, s.Dir())
	if err := s.Sweep(); err != nil {
		t.Error(err)
	}
	if after := names(t, s.Dir()); !slices.Equal(before, after) {
		t.Errorf("a sweep of a clean store changed it:\n%q\n%q", before, after)
	}
	for _, id := range []string{top, base, base} {
		if err := s.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if left := names(t, s.Dir()); !slices.Equal(left, []string{".", "cim-layers", "layers"}) && !slices.Equal(left, []string{".", "cim-layers", "layers", "locks"}) {
		t.Errorf("left behind: %q", left)
	}
}

// What goes wrong while a nameless layer is written leaves nothing.
func TestAddComputedFails(t *testing.T) {
	s := openStore(t)
	before := names(t, s.Dir())
	wrong := errors.New("wrong")
	for _, c := range []struct {
		id  string
		err error
	}{{chainID("a"), wrong}, {"no digest", layer.ErrInvalidName}} {
		_, made, err := s.AddComputed(t.Context(), nil, func(w layer.Writer) (string, error) {
			if err := fill(w, `Files\a`, "x"); err != nil {
				return "", err
			}
			if c.err == wrong {
				return "", wrong
			}
			return c.id, nil
		}, leave)
		if made || !errors.Is(err, c.err) {
			t.Errorf("%v, %v; want %v", made, err, c.err)
		}
	}
	if after := names(t, s.Dir()); !slices.Equal(before, after) {
		t.Errorf("%q\n%q", before, after)
	}
}

// Sweep removes what belongs to no layer and touches no layer.
func TestSweep(t *testing.T) {
	s := openStore(t)
	id := chainID("a")
	if _, err := s.Add(context.Background(), id, nil, func(w layer.Writer) error { return fill(w, `Files\a`, "x") }, leave); err != nil {
		t.Fatal(err)
	}
	clean := names(t, s.Dir())
	loc, err := s.Location(id)
	if err != nil {
		t.Fatal(err)
	}
	mkdir := func(p ...string) {
		if err := os.MkdirAll(filepath.Join(append([]string{s.Dir()}, p...)...), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(p string, b []byte) {
		if err := os.WriteFile(filepath.Join(s.Dir(), p), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Files of a layer whose image was deleted, or never came.
	mkdir("layers", strings.Repeat("b", 64), "Hives")
	mkdir("layers", ".x.mullion-writing")
	// Regions without an image: Remove died behind its first step.
	write("cim-layers/region_01234567-89ab-cdef-0123-456789abcdef_0", []byte("x"))
	write("cim-layers/objectid_01234567-89ab-cdef-0123-456789abcdef_0", []byte("x"))
	// A complete image that got no name.
	cim, err := os.ReadFile(loc.String())
	if err != nil {
		t.Fatal(err)
	}
	write("cim-layers/new-0.cim", cim)
	mkdir("layers", "new-0")
	// One that was being written.
	mkdir("cim-layers", ".new-1.cim.writing")
	write("cim-layers/.new-1.cim.writing/lock", nil)
	write("locks/new-0", nil)
	if err := s.Sweep(); err != nil {
		t.Error(err)
	}
	if after := names(t, s.Dir()); !slices.Equal(clean, after) {
		t.Errorf("after the sweep:\n%q\nwant\n%q", after, clean)
	}
	// Beside a damaged image no region is removed: it may be its own.
	write("cim-layers/"+strings.Repeat("c", 64)+".cim", []byte("damaged"))
	write("cim-layers/region_01234567-89ab-cdef-0123-456789abcdef_0", []byte("x"))
	damaged := names(t, s.Dir())
	if err := s.Sweep(); err == nil {
		t.Error("a damaged image is not mentioned")
	}
	if after := names(t, s.Dir()); !slices.Equal(damaged, after) {
		t.Errorf("after the sweep:\n%q\nwant\n%q", after, damaged)
	}
}
