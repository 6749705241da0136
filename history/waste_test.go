package history

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
)

func dir(path string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Dir}}
}

func file(path, content string, alternate ...layertest.Stream) layertest.Item {
	streams := append([]layertest.Stream{{Data: []byte(content)}}, alternate...)
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.File, Size: int64(len(content))}, Streams: streams}
}

func link(path, target string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Link, Target: target}}
}

func whiteout(path string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Whiteout}}
}

func opaque(path string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Opaque}}
}

func chain(layers ...[]layertest.Item) []layer.Source {
	var out []layer.Source
	for _, items := range layers {
		out = append(out, &layertest.Layer{Items: items})
	}
	return out
}

func TestSurvey(t *testing.T) {
	w, err := Survey(t.Context(), chain(
		[]layertest.Item{dir("Files"), file(`Files\a`, "0123456789"), file(`Files\b`, "0123"), dir(`Files\d`), file(`Files\d\c`, "01", layertest.Stream{Name: "s", Data: []byte("234")}),
			file(`Files\kept`, "0123456"), file(`Files\same`, "x")},
		[]layertest.Item{file(`Files\A`, "01234567"), dir("Hives"), file(`Hives\Software_Delta`, "one"), link(`Files\again`, `Files\kept`), whiteout(`Files\kept`)},
		[]layertest.Item{file(`Files\a`, "!"), whiteout(`Files\d`), file(`Hives\SOFTWARE_DELTA`, "two!"), whiteout(`Files\b`), file(`Files\same`, "x")},
	), layer.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	// Hidden: 10 and 8 bytes of a, 4 of b, 2 and 3 of c, 1 of same. Deltas add up, and the
	// file kept has another name.
	if w.Wasted != 28 || w.Visible != 7+1+3+4+1 || w.Total != w.Visible+w.Wasted || w.Efficiency() != float64(w.Visible)/float64(w.Total) {
		t.Errorf("%+v, efficiency %v", w, w.Efficiency())
	}
	if !slices.Equal(w.Layers, []LayerWaste{{27, 20}, {11, 8}, {6, 0}}) {
		t.Errorf("%+v", w.Layers)
	}
	var got []string
	for _, f := range w.Files {
		got = append(got, f.Path)
	}
	if !slices.Equal(got, []string{`Files\a`, `Files\d\c`, `Files\b`, `Files\same`}) {
		t.Errorf("%q", got)
	}
	if a := w.Files[0]; a.Wasted != 18 || a.Removed || !slices.Equal(a.Copies, []Copy{{0, 10}, {1, 8}}) {
		t.Errorf("%+v", a)
	}
	if c := w.Files[1]; c.Wasted != 5 || !c.Removed {
		t.Errorf("%+v", c)
	}
	if w, err := Survey(t.Context(), nil, layer.Limits{}); err != nil || w.Efficiency() != 1 {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err := Survey(t.Context(), chain([]layertest.Item{dir("Files"), file(`Files\a`, "")}), layer.Limits{Entries: 1}); err == nil {
		t.Error("a limit has no effect")
	}
}

// randomLayer makes a layer of few names, so that layers meet.
func randomLayer(r *rand.Rand) []layertest.Item {
	names := []string{`Files\a`, `Files\b`, `Files\d`, `Files\d\a`, `Files\d\b`, `Files\d\e`, `Files\d\e\a`}
	items := []layertest.Item{dir("Files")}
	for _, n := range names {
		switch r.IntN(8) {
		case 0, 1:
			s := layertest.Stream{Name: "s", Data: make([]byte, r.IntN(5))}
			items = append(items, file(n, string(make([]byte, r.IntN(20))), s))
		case 2:
			items = append(items, dir(n))
			items[len(items)-1].Streams = []layertest.Stream{{Name: "d", Data: make([]byte, r.IntN(5))}}
		case 3:
			items = append(items, whiteout(n))
		case 4:
			items = append(items, link(n, names[r.IntN(len(names))]))
		case 5:
			items = append(items, opaque(n))
		}
	}
	return items
}

// sizeOf adds up the streams that a reader yields.
func sizeOf(t *testing.T, r layer.Reader) (total int64) {
	t.Helper()
	defer r.Close()
	for {
		_, err := r.Next()
		if err == io.EOF {
			return total
		}
		for err == nil {
			var n int64
			if _, err = r.NextStream(); err == nil {
				n, err = io.Copy(io.Discard, r)
				total += n
			}
		}
		if err != io.EOF {
			t.Fatal(err)
		}
	}
}

// TestSurveySum: what is visible is the content of the merged view, and with what is wasted
// it is the content of all layers.
func TestSurveySum(t *testing.T) {
	surveyed, wasteful := 0, 0
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var layers [][]layertest.Item
		for range 1 + r.IntN(4) {
			layers = append(layers, randomLayer(r))
		}
		sources := chain(layers...)
		w, err := Survey(t.Context(), sources, layer.Limits{})
		if err != nil {
			continue // layers that contradict themselves
		}
		surveyed++
		var total int64
		for i, s := range sources {
			l, err := s.Open()
			if err != nil {
				t.Fatal(err)
			}
			n := sizeOf(t, l)
			if total += n; n != w.Layers[i].Size {
				t.Fatalf("seed %d: layer %d has %d bytes, not %d", seed, i, n, w.Layers[i].Size)
			}
		}
		view, err := layer.Union(t.Context(), sources)
		if err != nil {
			t.Fatal(err)
		}
		visible := sizeOf(t, view.Reader())
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
		var wasted, ofLayers int64
		for _, f := range w.Files {
			wasted += f.Wasted
		}
		for _, l := range w.Layers {
			ofLayers += l.Wasted
		}
		if w.Total != total || w.Visible != visible || w.Visible+w.Wasted != total || wasted != w.Wasted || ofLayers != w.Wasted {
			t.Fatalf("seed %d: %+v; the layers have %d bytes, the view %d", seed, w, total, visible)
		}
		if w.Wasted > 0 {
			wasteful++
		}
	}
	if surveyed < 300 || wasteful < 100 {
		t.Errorf("%d chains were surveyed, %d of them wasteful", surveyed, wasteful)
	}
}

func TestSurveyCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Survey(ctx, chain([]layertest.Item{dir("Files")}), layer.Limits{}); err == nil {
		t.Error("a cancelled survey succeeds")
	}
}
