package layer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

func sourcesOf(layers []*layertest.Layer) []layer.Source {
	var sources []layer.Source
	for _, l := range layers {
		sources = append(sources, l)
	}
	return sources
}

func scan(t testing.TB, sources []layer.Source) []string {
	t.Helper()
	var got []string
	err := layer.Scan(t.Context(), sources, layer.Limits{}, func(e layer.Scanned, r layer.Reader) error {
		if e.Shown {
			got = append(got, fmt.Sprintf("%d %s", e.Layer, e.Path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestScan(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]string
		want   []string
	}{
		{"file above a file", [][]string{{"d Files", `f Files\a=1`}, {`f Files\A=2`}}, []string{`1 Files\A`, "0 Files"}},
		{"directory above a directory", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`d Files\D`}}, []string{`1 Files\D`, "0 Files", `0 Files\d\a`}},
		{"file above a directory", [][]string{{`d Files\d`, `f Files\d\e\a=1`}, {`f Files\d=2`}}, []string{`1 Files\d`}},
		{"directory above a file above a directory", [][]string{{`f Files\d\a=1`}, {`f Files\d=2`}, {`d Files\d`}}, []string{`2 Files\d`}},
		{"link above a directory", [][]string{{`f Files\d\a=1`}, {`s Files\d>x`}}, []string{`1 Files\d`}},
		{"whiteout, in its layer without effect", [][]string{{`f Files\d\a=1`, `f Files\b=1`}, {`w Files\D`, `f Files\d\c=2`}}, []string{`1 Files\d\c`, `0 Files\b`}},
		{"whiteout of an ancestor of an upper name", [][]string{{`f Files\d\a=1`}, {`w Files\d`}, {`f Files\d\b=2`}}, []string{`2 Files\d\b`}},
		{"opaque after", [][]string{{`d Files\d`, `f Files\d\a=1`}, {`f Files\d\b=2`, `o Files\d`}}, []string{`1 Files\d\b`, `0 Files\d`}},
		{"upcase table", [][]string{{"f Files\\stra\u00DFe=1", "f Files\\\u00E9=1"}, {"f Files\\STRASSE=2", "f Files\\\u00C9=2"}}, []string{"1 Files\\STRASSE", "1 Files\\\u00C9", "0 Files\\stra\u00DFe"}},
		{"a whiteout in a directory does not replace a file", [][]string{{`f Files\d=1`}, {`w Files\d\x`}}, []string{`0 Files\d`}},
	} {
		var layers []*layertest.Layer
		for _, w := range c.layers {
			layers = append(layers, parse(t, w...))
		}
		if got := scan(t, sourcesOf(layers)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// withLinks makes some directories of a chain symbolic links.
func withLinks(data []byte) []*layertest.Layer {
	layers := decodeLayers(data)
	symlink, err := winfs.EncodeSymlink("c")
	if err != nil {
		panic(err)
	}
	n := 0
	for _, l := range layers {
		for i := range l.Items {
			if it := &l.Items[i]; it.Kind == layer.Dir && len(data) > 0 {
				if n++; data[n%len(data)]%5 == 0 {
					it.Reparse = symlink
				}
			}
		}
	}
	return layers
}

// againstUnion compares Scan with Union, and reports whether Union accepts the chain.
func againstUnion(t testing.TB, data []byte) bool {
	layers := withLinks(data)
	type name struct {
		kind           layer.Kind
		layer, ordinal int // of a link: -1
	}
	got := map[string]name{}
	last := len(layers)
	err := layer.Scan(context.Background(), sourcesOf(layers), layer.Limits{}, func(e layer.Scanned, r layer.Reader) error {
		if e.Layer > last {
			t.Errorf("layer %d after layer %d", e.Layer, last)
		}
		last = e.Layer
		if want := layers[e.Layer].Items[e.Ordinal]; want.Path != e.Path || want.Kind != e.Kind {
			t.Errorf("%d.%d is %v %q, not %v %q", e.Layer, e.Ordinal, e.Kind, e.Path, want.Kind, want.Path)
		}
		if !e.Shown {
			return nil
		}
		n := name{e.Kind, e.Layer, int(e.Ordinal)}
		if e.Kind == layer.Link {
			n = name{layer.File, e.Layer, -1}
		}
		got[winfs.Fold(e.Path)] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := union(t, layers...)
	if err != nil {
		return false
	}
	want := map[string]name{}
	for n := range v.Names() {
		if n.Ordinal < 0 {
			continue
		}
		k := winfs.Fold(n.Path)
		w := name{n.Kind, n.Layer, n.Ordinal}
		if n.Linked {
			w.layer, w.ordinal = got[k].layer, -1
		}
		want[k] = w
	}
	if !maps.Equal(got, want) {
		t.Errorf("Scan shows %v, Union %v", got, want)
		for n, l := range layers {
			for i, it := range l.Items {
				t.Logf("%d.%d %v %q %q %v", n, i, it.Kind, it.Path, it.Target, it.IsReparsePoint())
			}
		}
	}
	return true
}

func TestScanAgainstUnion(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	accepted := 0
	const chains = 30000
	for range chains {
		data := make([]byte, 9+r.IntN(45))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if againstUnion(t, data) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	if accepted < chains/20 {
		t.Errorf("only %d of %d chains were valid", accepted, chains)
	}
	t.Logf("%d of %d chains were valid", accepted, chains)
}

// TestScanRandomLayers compares the two for layers with all features.
func TestScanRandomLayers(t *testing.T) {
	for seed := range uint64(20) {
		layers := []*layertest.Layer{layertest.Random(seed, layertest.Shape{Base: true})}
		for k := range uint64(3) {
			l := layertest.Random(100+4*seed+k, layertest.Shape{})
			// Half of the names of the layer below come again, as files.
			for i, it := range layers[k].Items {
				if it.Kind == layer.File && i%2 == 0 {
					l.Items = append(l.Items, layertest.Item{Entry: layer.Entry{Path: strings.ToUpper(it.Path), Kind: layer.Whiteout}})
				}
			}
			layers = append(layers, l)
		}
		v, err := union(t, layers...)
		if err != nil {
			continue // random layers can contradict each other
		}
		var want []string
		for n := range v.Names() {
			if n.Ordinal >= 0 && !n.Linked {
				want = append(want, fmt.Sprintf("%d %s", n.Layer, winfs.Fold(n.Path)))
			}
		}
		var got []string
		err = layer.Scan(t.Context(), sourcesOf(layers), layer.Limits{}, func(e layer.Scanned, _ layer.Reader) error {
			if e.Shown && e.Kind != layer.Link {
				got = append(got, fmt.Sprintf("%d %s", e.Layer, winfs.Fold(e.Path)))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: Scan shows %d names, Union %d", seed, len(got), len(want))
		}
	}
}

func FuzzScan(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { againstUnion(t, data) })
}

func TestScanLimits(t *testing.T) {
	many := func(n int, entry func(i int) layer.Entry) layer.Source {
		return layer.SourceFunc(func() (layer.Reader, error) { return &whiteoutLayer{count: n, entry: entry}, nil })
	}
	none := func(layer.Scanned, layer.Reader) error { return nil }
	empty := &layertest.Layer{}
	file := func(i int) layer.Entry { return layer.Entry{Path: fmt.Sprintf(`Files\%d`, i), Kind: layer.File} }
	deep := func(i int) layer.Entry {
		return layer.Entry{Path: fmt.Sprintf(`Files\%d`, i) + strings.Repeat(`\d`, 40), Kind: layer.Whiteout}
	}
	for _, c := range []struct {
		name   string
		layers []layer.Source
		limits layer.Limits
		want   string
	}{
		{"entries of one layer", []layer.Source{many(11, file)}, layer.Limits{Entries: 10}, "Entries"},
		{"names of whiteouts", []layer.Source{empty, many(9, deep)}, layer.Limits{Entries: 100}, "Entries"},
		{"depth", []layer.Source{many(1, deep)}, layer.Limits{Depth: 41}, "Depth"},
		{"metadata", []layer.Source{many(1, func(int) layer.Entry {
			return layer.Entry{Path: "Files", Kind: layer.Dir, Security: make([]byte, 2000)}
		})}, layer.Limits{MetadataLen: 1000}, "MetadataLen"},
	} {
		err := layer.Scan(t.Context(), c.layers, c.limits, none)
		var limit *layer.LimitError
		var at *layer.Error
		if !errors.As(err, &limit) || limit.Limit != c.want || !errors.As(err, &at) || at.Op != "scan" || at.Layer == "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := layer.Scan(t.Context(), make([]layer.Source, 1<<15), layer.Limits{}, none); !errors.Is(err, layer.ErrLimit) {
		t.Errorf("32768 layers: %v", err)
	}
	// Names of the lowest layer are not kept, so that they do not count.
	if err := layer.Scan(t.Context(), []layer.Source{many(100, deep)}, layer.Limits{Entries: 100}, none); err != nil {
		t.Error(err)
	}
}

// brokenLayer ends with an error.
type brokenLayer struct {
	layer.Reader
	err error
}

func (b brokenLayer) Next() (*layer.Entry, error) {
	e, err := b.Reader.Next()
	if err == io.EOF {
		err = b.err
	}
	return e, err
}

func TestScanErrors(t *testing.T) {
	l := parse(t, `f Files\a=1`, `f Files\b=2`)
	none := func(layer.Scanned, layer.Reader) error { return nil }
	broken := layer.SourceFunc(func() (layer.Reader, error) {
		r, err := l.Open()
		return brokenLayer{r, io.ErrUnexpectedEOF}, err
	})
	var at *layer.Error
	err := layer.Scan(t.Context(), []layer.Source{l, broken, l}, layer.Limits{}, none)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &at) || at.Layer != "layer 1" || at.Index != 3 {
		t.Errorf("a layer that ends early: %v", err)
	}
	own := errors.New("enough")
	calls := 0
	err = layer.Scan(t.Context(), []layer.Source{l, l}, layer.Limits{}, func(layer.Scanned, layer.Reader) error { calls++; return own })
	if err != own || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := layer.Scan(ctx, []layer.Source{l}, layer.Limits{}, none); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, e := range []layer.Entry{{Kind: layer.File}, {Kind: 77, Path: "Files"}} {
		bad := &layertest.Layer{Items: []layertest.Item{{Entry: e}}}
		if err := layer.Scan(t.Context(), []layer.Source{bad}, layer.Limits{}, none); !errors.Is(err, layer.ErrCorrupt) {
			t.Errorf("%v %q: %v", e.Kind, e.Path, err)
		}
	}
}

// TestScanMemory: less than 400 bytes for each entry that is kept, and none for those of the
// lowest layer.
func TestScanMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 600,000 entries")
	}
	const n = 300_000
	src := layer.SourceFunc(func() (layer.Reader, error) {
		return &whiteoutLayer{count: n, entry: func(i int) layer.Entry {
			kind := layer.File
			if i%2 == 0 {
				kind = layer.Link
			}
			return layer.Entry{Path: fmt.Sprintf(`Files\Windows\WinSxS\amd64_microsoft-windows-component_31bf3856ad364e35_10.0.20348.%d_none\f%d`, i/3, i), Kind: kind, Target: `Files\a`}
		}}, nil
	})
	measure := func(layers ...layer.Source) int64 {
		var before, after runtime.MemStats
		seen := 0
		runtime.GC()
		runtime.ReadMemStats(&before)
		err := layer.Scan(t.Context(), layers, layer.Limits{}, func(layer.Scanned, layer.Reader) error {
			if seen++; seen == len(layers)*n-1 {
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return int64(after.HeapAlloc) - int64(before.HeapAlloc)
	}
	base, chain := measure(src), measure(src, src)
	t.Logf("%d bytes with the lowest layer alone, %d an entry of the one above", base, chain/n)
	if base > 1<<20 {
		t.Errorf("%d bytes with one layer", base)
	}
	if chain > 400*n {
		t.Errorf("%d bytes for each entry", chain/n)
	}
}
