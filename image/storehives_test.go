package image_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// registryModel is a registry as simple as can be: folded key paths to values.
type registryModel map[string]map[string]string

// make makes a key with those above it.
func (m registryModel) make(path string) {
	for p := path; p != ""; p, _ = winfs.SplitPath(p) {
		if m[p] == nil {
			m[p] = map[string]string{}
		}
	}
}

func modelOfHive(t *testing.T, h *regf.Hive) registryModel {
	t.Helper()
	m := registryModel{}
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]string{}
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			b, err := v.Data()
			if err != nil {
				t.Fatal(err)
			}
			values[winfs.Fold(v.Name())] = fmt.Sprintf("%v %x", v.Type(), b)
		}
		if p := winfs.Fold(k.Path()); p != "" {
			m[p] = values
		}
	}
	return m
}

// edit changes a hive and its model alike.
func edit(t *testing.T, r *rand.Rand, h *regf.Hive, m registryModel) {
	t.Helper()
	name := func() string {
		s := string(rune('k' + r.IntN(4)))
		if r.IntN(2) == 0 {
			return strings.ToUpper(s)
		}
		return s
	}
	for range 3 + r.IntN(20) {
		path := name()
		for range r.IntN(3) {
			path += `\` + name()
		}
		folded := winfs.Fold(path)
		_, there := m[folded]
		var k regf.Key
		var err error
		switch op := r.IntN(10); {
		case op < 2 && there: // delete with all below, and perhaps make it anew
			if k, err = h.Key(path); err == nil {
				err = k.DeleteTree()
			}
			for p := range m {
				if p == folded || winfs.Under(p, folded) {
					delete(m, p)
				}
			}
			if err == nil && r.IntN(2) == 0 {
				_, err = h.CreatePath(path)
				m.make(folded)
			}
		case op < 4 && there && len(m[folded]) > 0:
			v := slices.Sorted(maps.Keys(m[folded]))[0]
			if k, err = h.Key(path); err == nil {
				err = k.DeleteValue(v)
			}
			delete(m[folded], v)
		default:
			data := []byte(fmt.Sprint(r.Uint32()))
			if k, err = h.Key(path); err != nil {
				k, err = h.CreatePath(path)
			}
			v := name()
			if err == nil {
				err = k.SetValue(v, regf.RegBinary, data)
			}
			m.make(folded)
			m[folded][winfs.Fold(v)] = fmt.Sprintf("%v %x", regf.RegBinary, data)
		}
		if err != nil {
			t.Fatalf("edit %s: %v", path, err)
		}
	}
}

// The hives of the topmost image, and the merged hives of the tars, are what the
// containers left: every layer's delta is the difference that random edits made, and a
// model had the same edits.
func TestMergedHivesAgainstModel(t *testing.T) {
	rounds := 8
	if os.Getenv("MULLION_LONG") == "1" {
		rounds = 500
	}
	open := func(b []byte) *regf.Hive {
		h, err := regf.OpenBytes(slices.Clone(b), &regf.Options{Clock: func() winfs.Filetime { return 132e15 }})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	compact := func(h *regf.Hive) []byte {
		b, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		base := hiveEntries(t)
		now := map[hives.Name][]byte{} // what a container sees
		model := map[hives.Name]registryModel{}
		for i := range base {
			if n, _, ok := hives.Match(base[i].path); ok {
				h := open([]byte(base[i].data))
				model[n] = modelOfHive(t, h)
				edit(t, r, h, model[n])
				now[n] = compact(h)
				base[i].data = string(now[n])
			}
		}
		chain := [][]entry{base}
		for range 1 + r.IntN(3) {
			l := []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.Dir, path: `Hives`}}
			for _, n := range hives.All() {
				if r.IntN(3) == 0 {
					continue // a layer without a delta for this hive
				}
				before, after := open(now[n]), open(now[n])
				edit(t, r, after, model[n])
				d, err := regf.Diff(before, after, nil)
				if err != nil {
					t.Fatal(err)
				}
				path := n.Path(hives.Delta)
				if r.IntN(2) == 0 {
					path = strings.ToUpper(path)
				}
				l = append(l, entry{kind: layer.File, path: path, data: string(compact(d))})
				now[n] = compact(after)
			}
			chain = append(chain, l)
		}
		img := openLayout(t, layout(t, gzipped(chain...)(t)))
		store := openStore(t, t.TempDir())
		done, err := img.UnpackStore(t.Context(), store)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		im, err := store.Open(string(done[len(done)-1].ChainID))
		if err != nil {
			t.Fatal(err)
		}
		var sources []layer.Source
		for _, l := range img.Layers() {
			sources = append(sources, l.Source(t.Context()))
		}
		found, err := image.FindHives(t.Context(), sources)
		if err != nil {
			t.Fatal(err)
		}
		compare := func(n hives.Name, what string, h *regf.Hive, err error) {
			if err != nil {
				t.Fatalf("seed %d: %s %v: %v", seed, what, n, err)
			}
			defer h.Close()
			if h.Layered() {
				t.Errorf("seed %d: %s %v is a differencing hive", seed, what, n)
			}
			got := modelOfHive(t, h)
			for p, values := range model[n] {
				if !maps.Equal(got[p], values) || got[p] == nil {
					t.Errorf("seed %d: %s %v: key %s is %v, want %v", seed, what, n, p, got[p], values)
				}
			}
			for p := range got {
				if model[n][p] == nil {
					t.Errorf("seed %d: %s %v: key %s should not be there", seed, what, n, p)
				}
			}
		}
		for _, n := range hives.All() {
			h, err := cimlayer.ImageHives{Image: im}.OpenHive(n, hives.Base)
			compare(n, "CIM", h, err)
			h, err = found.Open(t.Context(), n)
			compare(n, "tars", h, err)
		}
		im.Close()
		found.Close()
		if t.Failed() {
			return
		}
	}
}
