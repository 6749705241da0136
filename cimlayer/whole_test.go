package cimlayer_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
)

// fill writes items.
func fill(items []item) func(w layer.Writer) error {
	return func(w layer.Writer) error {
		for i := range items {
			if err := w.Add(&items[i].Entry); err != nil {
				return err
			}
			for _, s := range items[i].streams {
				if err := w.AddStream(&layer.Stream{Name: s.name, Size: int64(len(s.data))}); err != nil {
					return err
				}
				if _, err := w.Write([]byte(s.data)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// A layer of a store that has lost a file, or of which one was cut off, is not there for
// Has, and Add and AddComputed make it again as it was, so that the layers above it are
// whole too.
func TestStoreMakesDamagedLayerAgain(t *testing.T) {
	software := minimal(t, hives.Software)
	layers := [][]item{
		baseItems(t),
		{dir(`Files`), file(`Files\a`, "a"), dir(`Hives`), file(`Hives\Software_Delta`, delta(t, software, setText(`A`, "A", "1")))},
		{dir(`Files`), file(`Files\b`, "b")},
	}
	id := func(n int) string { return fmt.Sprintf("sha256:%064x", n+1) }
	below := func(n int) (list []string) {
		for i := range n {
			list = append(list, id(i))
		}
		return list
	}
	open := func(t *testing.T) *cimlayer.Store {
		s, err := cimlayer.OpenStore(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	add := func(t *testing.T, s *cimlayer.Store, n int, opts ...cimlayer.Option) bool {
		made, err := s.Add(t.Context(), id(n), below(n), fill(layers[n]), opts...)
		if err != nil {
			t.Fatalf("layer %d: %v", n, err)
		}
		return made
	}
	hex := func(n int) string { return strings.TrimPrefix(id(n), "sha256:") }
	image := func(n int) string { return filepath.Join("cim-layers", hex(n)+".cim") }
	region := func(s *cimlayer.Store, n, index int) string {
		im, err := s.Open(id(n))
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		own, err := im.OwnRegions()
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join("cim-layers", own[index].Name)
	}
	beside := func(n int, h hives.Name, f hives.Form) string {
		return filepath.Join("layers", hex(n), "Hives", h.File(f))
	}
	remove := func(names ...string) func(dir string) error {
		return func(dir string) error {
			for _, n := range names {
				if err := os.Remove(filepath.Join(dir, n)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	cut := func(name string, size int64) func(dir string) error {
		return func(dir string) error { return os.Truncate(filepath.Join(dir, name), size) }
	}
	whole := open(t)
	for n := range layers {
		if !add(t, whole, n) {
			t.Fatal("an empty store has a layer")
		}
	}
	want := (place{t, whole.Dir()}).snapshot()
	for name, c := range map[string]struct {
		layer  int
		spoil  func(dir string) error
		hidden bool // from Has, which does not know the parents
	}{
		"a region of the base":        {0, remove(region(whole, 0, 1)), false},
		"the first region":            {1, remove(region(whole, 1, 0)), false},
		"a region without a header":   {1, cut(region(whole, 1, 0), 10), false},
		"an empty image":              {1, cut(image(1), 0), false},
		"a hive of the base":          {0, remove(beside(0, hives.SAM, hives.Base)), false},
		"the merged hive":             {1, remove(beside(1, hives.Software, hives.Base)), false},
		"the end of the merged hive":  {1, cut(beside(1, hives.Software, hives.Base), 4096), false},
		"the delta":                   {1, remove(beside(1, hives.Software, hives.Delta)), true},
		"the delta and merged hive":   {1, remove(beside(1, hives.Software, hives.Delta), beside(1, hives.Software, hives.Base)), true},
		"all files beside the image":  {1, func(dir string) error { return os.RemoveAll(filepath.Join(dir, "layers", hex(1))) }, true},
		"the files beside a base one": {0, func(dir string) error { return os.RemoveAll(filepath.Join(dir, "layers", hex(0))) }, false},
	} {
		for _, computed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, computed %v", name, computed), func(t *testing.T) {
				s := open(t)
				for n := range layers {
					add(t, s, n)
				}
				if err := c.spoil(s.Dir()); err != nil {
					t.Fatal(err)
				}
				if there, err := s.Has(id(c.layer)); err != nil || there != c.hidden {
					t.Errorf("Has: %v, %v", there, err)
				}
				var told []string
				watch := cimlayer.WithDamage(func(id string, cause error) {
					told = append(told, id)
					if cause == nil {
						t.Error("no cause")
					}
				})
				for n := range layers {
					var made bool
					if computed {
						var err error
						if _, made, err = s.AddComputed(t.Context(), below(n), func(w layer.Writer) (string, error) {
							return id(n), fill(layers[n])(w)
						}, watch); err != nil {
							t.Fatalf("layer %d: %v", n, err)
						}
					} else {
						made = add(t, s, n, watch)
					}
					if n == c.layer && !made || n < c.layer && made {
						t.Errorf("layer %d: made %v", n, made)
					}
				}
				if !slices.Contains(told, id(c.layer)) {
					t.Errorf("told of %v", told)
				}
				for n := range layers {
					if there, err := s.Has(id(n)); !there || err != nil {
						t.Errorf("layer %d: %v, %v", n, there, err)
					}
					f, err := finding.Collect(cimfs.Check(context.Background(), filepath.Join(s.Dir(), "cim-layers"), hex(n)+".cim", cimfs.CheckOptions{}))
					if err != nil || len(f) > 0 {
						t.Errorf("layer %d: %v, %v", n, f, err)
					}
				}
				if got := (place{t, s.Dir()}).snapshot(); !computed && !maps.Equal(got, want) && name != "an empty image" {
					t.Errorf("the store has\n%q, not\n%q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
				}
			})
		}
	}
}

// A layer whose delta hive changes nothing has the hive of the layer below, beside the image
// as another name of it and in the image as the parent's.
func TestForkKeepsHive(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	software := minimal(t, hives.Software)
	one := delta(t, software, setText(`A`, "A", "1"))
	layerOf := func(name, d string) []item {
		return []item{dir(`Files`), file(`Files\`+name, name), dir(`Hives`), file(`Hives\Software_Delta`, d)}
	}
	p.mustWrite("one", []string{"base"}, layerOf("one", one))
	merged, err := p.content("one", `Hives\SOFTWARE_BASE`)
	if err != nil {
		t.Fatal(err)
	}
	other := delta(t, merged, setText(`A`, "A", "1")) // other bytes, if only in the times
	changes := delta(t, merged, setText(`A`, "B", "1"))
	if other == one {
		t.Fatal("the deltas are the same")
	}
	id := func(layer string) cimfs.FileID {
		im, err := cimfs.Open(p.at(layer).Images, layer+".cim")
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		f, err := im.Lookup(`Hives\SOFTWARE_BASE`)
		if err != nil {
			t.Fatal(err)
		}
		return f.ID()
	}
	for name, c := range map[string]struct {
		delta string
		kept  bool
	}{
		"the same delta":    {one, true},
		"nothing new in it": {other, true},
		"a change":          {changes, false},
	} {
		top := "two" + strings.ReplaceAll(name, " ", "")
		p.mustWrite(top, []string{"base", "one"}, layerOf("two", c.delta))
		below, err := os.Stat(filepath.Join(p.at("one").Files, "Hives", "SOFTWARE_BASE"))
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(filepath.Join(p.at(top).Files, "Hives", "SOFTWARE_BASE"))
		if err != nil {
			t.Fatal(err)
		}
		if os.SameFile(below, st) != c.kept {
			t.Errorf("%s: shared %v", name, os.SameFile(below, st))
		}
		b, err := os.ReadFile(filepath.Join(p.at(top).Files, "Hives", "SOFTWARE_BASE"))
		if err != nil {
			t.Fatal(err)
		}
		if in, err := p.content(top, `Hives\SOFTWARE_BASE`); err != nil || in != string(b) || c.kept && in != merged {
			t.Errorf("%s: the hive in the image is not that beside it, %v", name, err)
		}
		if id(top) == id("one") != c.kept {
			t.Errorf("%s: the image has record %d, that below %d", name, id(top), id("one"))
		}
	}
}

// A parent that has lost its merged hive is no layer whose parent's hive applies.
func TestLostMergedHive(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	d := delta(t, minimal(t, hives.Software), setText(`A`, "A", "1"))
	p.mustWrite("one", []string{"base"}, []item{dir(`Hives`), file(`Hives\Software_Delta`, d)})
	if err := os.Remove(filepath.Join(p.at("one").Files, "Hives", "SOFTWARE_BASE")); err != nil {
		t.Fatal(err)
	}
	err := p.write("two", []string{"base", "one"}, []item{dir(`Hives`), file(`Hives\Software_Delta`, d)})
	if err == nil || !strings.Contains(err.Error(), "lost its merged hive") {
		t.Errorf("%v", err)
	}
}
