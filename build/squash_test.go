package build_test

import (
	"bytes"
	"errors"
	"fmt"

	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// deltaLayer is a layer with files and a random delta for SOFTWARE and SYSTEM over the hives
// that are merged so far.
func deltaLayer(t *testing.T, rng *rand.Rand, n int, state map[hives.Name]*regf.Hive) *layertest.Layer {
	t.Helper()
	l := simpleLayer(fmt.Sprintf("f%d", n), "x")
	for _, name := range []hives.Name{hives.Software, hives.System} {
		before := state[name]
		raw, err := before.Image()
		if err != nil {
			t.Fatal(err)
		}
		after, err := regf.OpenBytes(raw, &regf.Options{Clock: func() winfs.Filetime { return 132000000000000000 }})
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			key := fmt.Sprintf(`K%d\S%d`, rng.IntN(4), rng.IntN(3))
			switch rng.IntN(5) {
			case 0:
				if k, err := after.Key(key); err == nil {
					if err := k.DeleteTree(); err != nil {
						t.Fatal(err)
					}
				}
			case 1:
				if k, err := after.Key(key); err == nil && k.ValueCount() > 0 {
					v, err := k.ValueAt(0)
					if err == nil {
						err = k.DeleteValue(v.Name())
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			default:
				k, err := after.CreatePath(key)
				if err == nil {
					err = k.SetValue(fmt.Sprintf("v%d", rng.IntN(3)), regf.RegDword, regf.Uint32Data(rng.Uint32()))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		delta, err := regf.Diff(before, after, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := delta.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Items = append(l.Items, layertest.Item{Entry: layer.Entry{Path: name.Path(hives.Delta), Kind: layer.File, Attributes: winfs.AttrArchive, Size: int64(len(b))}, Streams: []layertest.Stream{{Data: b}}})
		state[name] = after
	}
	return l
}

// registry returns the merged hives of an image.
func registry(t *testing.T, img *image.Image) map[hives.Name]*regf.Hive {
	t.Helper()
	out := map[hives.Name]*regf.Hive{}
	for _, n := range []hives.Name{hives.Software, hives.System} {
		h, err := img.Hive(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		out[n] = h
	}
	return out
}

// TestSquashHives: the registry of the image stays the same, from wherever the layers become
// one.
func TestSquashHives(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	v := hives.ServerCore(20348, 2700)
	tars := [][]byte{baseLayer(t, v)}
	state := map[hives.Name]*regf.Hive{}
	for _, n := range []hives.Name{hives.Software, hives.System} {
		b, err := hives.Minimal(n, v)
		if err != nil {
			t.Fatal(err)
		}
		if state[n], err = regf.OpenBytes(b, nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n < 5; n++ {
		tars = append(tars, layerTar(t, deltaLayer(t, rng, n, state)))
	}
	img := openImage(t, config(v), tars...)
	want := registry(t, img)
	for from := range tars {
		a := assembly(t, img)
		l, err := build.Squash(t.Context(), a, from, build.SquashOptions{Format: blob.Zstd})
		if err != nil {
			t.Fatal(err)
		}
		after := current(t, a)
		if l.Index != from || len(after.Layers()) != from+1 {
			t.Errorf("from %d: layer %d of %d", from, l.Index, len(after.Layers()))
		}
		for n, h := range registry(t, after) {
			for d, err := range regf.Compare(want[n], h, regf.CompareOptions{}) {
				t.Errorf("from %d: %v: %v %v", from, n, d, err)
			}
		}
		if bad := findings(t, after); len(bad) > 0 {
			t.Errorf("from %d: %s", from, strings.Join(bad, "\n"))
		}
		var deltas int
		for _, it := range collect(t, after.Layers()[from].Source(t.Context())).Items {
			if _, form, ok := hives.Match(it.Path); ok && form == hives.Delta {
				deltas++
			}
		}
		if want := map[bool]int{true: 0, false: 2}[from == 0]; deltas != want {
			t.Errorf("from %d: %d delta hives, want %d", from, deltas, want)
		}
		equal(t, shown(t, after, `Files\Windows\System32`)[:1], []string{`Files\Windows\System32\config`})
		h := after.Config().History
		if h[len(h)-1].CreatedBy != fmt.Sprintf("mullion squash --from %d", from) {
			t.Errorf("%+v", h)
		}
	}
}

// TestSquashRandom: the merged tree stays the same, entry by entry with content.
func TestSquashRandom(t *testing.T) {
	for seed := range uint64(6) {
		var tars [][]byte
		for i := range uint64(3) {
			tars = append(tars, layerTar(t, layertest.Random(seed*8+i, layertest.Shape{Base: i == 0, MaxSize: 4000, Without: layertest.Hives | layertest.NoMain | layertest.Extents})))
		}
		img := openImage(t, config(hives.ServerCore(20348, 1)), tars...)
		before, err := img.Union(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for from := range tars {
			a := assembly(t, img)
			if _, err := build.Squash(t.Context(), a, from, build.SquashOptions{}); err != nil {
				t.Fatalf("seed %d from %d: %v", seed, from, err)
			}
			after, err := current(t, a).Union(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			changes, err := layer.Diff(t.Context(), before.Source(), after.Source(), layer.IgnoreAspects(layer.AspectName))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range changes {
				t.Errorf("seed %d from %d: %v %s %v", seed, from, c.Kind, c.Path, c.What)
			}
			if err := after.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := before.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSquashRefuses: errors leave the assembly as it was.
func TestSquashRefuses(t *testing.T) {
	a := assembly(t, baseImage(t))
	for _, from := range []int{-1, 1, 7} {
		if _, err := build.Squash(t.Context(), a, from, build.SquashOptions{}); !errors.Is(err, build.ErrConfig) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	corrupt := func() *layertest.Layer {
		l := simpleLayer("x", "x")
		data := bytes.Repeat([]byte("regf"), 2048)
		l.Items = append(l.Items, layertest.Item{Entry: layer.Entry{Path: hives.System.Path(hives.Delta), Kind: layer.File, Attributes: winfs.AttrArchive, Size: int64(len(data))}, Streams: []layertest.Stream{{Data: data}}})
		return l
	}
	v := hives.ServerCore(20348, 1)
	b := assembly(t, openImage(t, config(v), baseLayer(t, v), layerTar(t, corrupt()), layerTar(t, corrupt())))
	before := current(t, b).Digest()
	for from := range 2 {
		if _, err := build.Squash(t.Context(), b, from, build.SquashOptions{}); err == nil || !strings.Contains(err.Error(), hives.System.Path(hives.Delta)) {
			t.Errorf("a corrupt hive, from %d: %v", from, err)
		}
		if got := current(t, b).Digest(); got != before {
			t.Errorf("from %d: the error has changed the image", from)
		}
	}
}
