package layer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// flatDifferences compares the view of a chain with that of the chain in which the layers from
// one on are flattened.
func flatDifferences(t *testing.T, layers []layer.Source, from int) []string {
	t.Helper()
	f, err := layer.Flatten(t.Context(), layers, from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	after, err := layer.Union(t.Context(), append(append([]layer.Source{}, layers[:from]...), f))
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	changes, err := layer.Diff(t.Context(), f.View().Source(), after.Source(), layer.IgnoreAspects(layer.AspectName))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		out = append(out, fmt.Sprintf("%v %s: %v", c.Kind, c.Path, c.What))
	}
	if from == 0 {
		return out
	}
	// The layer is in order and has nothing for which an importer would refuse it.
	var below layer.Below
	for n := range from + 1 {
		src := layers[n]
		if n == from {
			src = f
		}
		r, err := src.Open()
		if err != nil {
			t.Fatal(err)
		}
		for x, err := range layer.Check(t.Context(), r, layer.CheckOptions{Base: n == 0, HasParents: n > 0, Below: &below}) {
			if err != nil {
				t.Fatal(err)
			}
			switch x.Rule {
			case layer.RuleMissingParent.ID, layer.RuleDuplicate.ID, layer.RuleWhiteoutSame.ID, layer.RuleWhiteoutNothing.ID, layer.RuleOpaque.ID, layer.RuleLinkMissing.ID, layer.RuleLinkForward.ID, layer.RuleThroughReparse.ID:
				if n == from {
					out = append(out, x.String())
				}
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestFlattenRandom: above the same layers a flattened layer shows the same, entry by entry
// with content.
func TestFlattenRandom(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 2 + rng.IntN(4)
		var layers []layer.Source
		for i := range n {
			layers = append(layers, chained(rng, seed*16+uint64(i), i == 0))
		}
		for from := range n {
			if diff := flatDifferences(t, layers, from); len(diff) > 0 {
				t.Fatalf("seed %d, %d layers from %d:\n%s", seed, n, from, strings.Join(diff, "\n"))
			}
		}
	}
}

// chained makes a layer whose names meet those of the others: few names, all kinds.
func chained(rng *rand.Rand, seed uint64, base bool) *layertest.Layer {
	if rng.IntN(3) == 0 {
		return layertest.Random(seed, layertest.Shape{Base: base, MaxSize: 3000})
	}
	l := &layertest.Layer{Items: []layertest.Item{{Entry: layer.Entry{Path: `Files`, Kind: layer.Dir, Attributes: winfs.AttrDirectory}}}}
	have := map[string]layer.Kind{`Files`: layer.Dir}
	dirs := []string{`Files`}
	var files []string
	names := []string{"a", "b", "c", "D"}
	for range 4 + rng.IntN(14) {
		p := winfs.JoinPath(dirs[rng.IntN(len(dirs))], names[rng.IntN(len(names))])
		if _, ok := have[p]; ok {
			continue
		}
		e := layer.Entry{Path: p, Attributes: winfs.AttrArchive, Times: winfs.Times{LastWrite: winfs.Filetime(rng.IntN(1000) + 1)}}
		it := layertest.Item{}
		switch k := rng.IntN(10); {
		case k < 4:
			e.Kind, e.Attributes = layer.Dir, winfs.AttrDirectory
			dirs = append(dirs, p)
		case k < 7:
			data := []byte(fmt.Sprintf("%d %s", seed, p))
			e.Kind, e.Size = layer.File, int64(len(data))
			it.Streams = []layertest.Stream{{Data: data}}
			files = append(files, p)
		case k < 8 && len(files) > 0:
			e = layer.Entry{Path: p, Kind: layer.Link, Target: files[rng.IntN(len(files))]}
		case !base && k == 8:
			e = layer.Entry{Path: p, Kind: layer.Whiteout}
			have[p] = e.Kind
		case !base:
			d := dirs[rng.IntN(len(dirs))]
			if have[d+`*`] != 0 || d == `Files` {
				continue
			}
			have[d+`*`] = layer.Opaque
			e = layer.Entry{Path: d, Kind: layer.Opaque}
		default:
			continue
		}
		if e.Kind != layer.Opaque {
			have[p] = e.Kind
		}
		it.Entry = e
		l.Items = append(l.Items, it)
	}
	return l
}

// TestFlattenLinks: links to files below, whose names come and go.
func TestFlattenLinks(t *testing.T) {
	dir := layertest.Item{Entry: layer.Entry{Path: `Files`, Kind: layer.Dir, Attributes: winfs.AttrDirectory}}
	file := func(p, data string) layertest.Item {
		return layertest.Item{Entry: layer.Entry{Path: p, Kind: layer.File, Attributes: winfs.AttrArchive, Size: int64(len(data))}, Streams: []layertest.Stream{{Data: []byte(data)}}}
	}
	link := func(p, to string) layertest.Item {
		return layertest.Item{Entry: layer.Entry{Path: p, Kind: layer.Link, Target: to}}
	}
	gone := func(p string) layertest.Item {
		return layertest.Item{Entry: layer.Entry{Path: p, Kind: layer.Whiteout}}
	}
	of := func(items ...layertest.Item) layer.Source {
		return &layertest.Layer{Items: append([]layertest.Item{dir}, items...)}
	}
	base := of(file(`Files\f`, "base"), link(`Files\g`, `Files\f`))
	for name, c := range map[string]struct {
		above []layer.Source
		want  string // what the flattened layer has
	}{
		"kept":      {[]layer.Source{of(link(`Files\x`, `Files\f`)), of(link(`Files\y`, `Files\x`))}, `directory Files, hard link Files\x=Files\f, hard link Files\y=Files\f`},
		"one gone":  {[]layer.Source{of(link(`Files\x`, `Files\f`)), of(gone(`Files\f`))}, `directory Files, whiteout Files\f, hard link Files\x=Files\g`},
		"replaced":  {[]layer.Source{of(link(`Files\x`, `Files\f`)), of(file(`Files\f`, "new"))}, `directory Files, hard link Files\x=Files\g, file Files\f`},
		"all gone":  {[]layer.Source{of(link(`Files\x`, `Files\f`), link(`Files\y`, `Files\f`)), of(gone(`Files\f`), gone(`Files\g`))}, `directory Files, whiteout Files\f, whiteout Files\g, file Files\x, hard link Files\y=Files\x`},
		"came back": {[]layer.Source{of(gone(`Files\f`)), of(link(`Files\f`, `Files\g`))}, `directory Files, hard link Files\f=Files\g`},
	} {
		layers := append([]layer.Source{base}, c.above...)
		if diff := flatDifferences(t, layers, 1); len(diff) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(diff, "\n"))
		}
		f, err := layer.Flatten(t.Context(), layers, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		l, err := layertest.Collect(r, false)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, it := range l.Items {
			s := it.Kind.String() + " " + it.Path
			if it.Target != "" {
				s += "=" + it.Target
			}
			got = append(got, s)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s; want %s", name, s, c.want)
		}
		r.Close()
		f.Close()
	}
	if _, err := layer.Flatten(t.Context(), []layer.Source{base}, 1); err == nil {
		t.Error("a layer that does not exist was flattened")
	}
}

// TestFlattenImplied: a directory that a layer mentions only by its content, after something
// else was there or its content has gone.
func TestFlattenImplied(t *testing.T) {
	item := func(p string, k layer.Kind) layertest.Item {
		it := layertest.Item{Entry: layer.Entry{Path: p, Kind: k}}
		if k == layer.Dir {
			it.Attributes = winfs.AttrDirectory | winfs.AttrHidden
		}
		if k == layer.File {
			it.Streams = []layertest.Stream{{}}
		}
		return it
	}
	of := func(items ...layertest.Item) layer.Source { return &layertest.Layer{Items: items} }
	base := of(item(`Files`, layer.Dir), item(`Files\D`, layer.Dir), item(`Files\D\a`, layer.File), item(`Files\F`, layer.File))
	for name, above := range map[string][]layer.Source{
		"made again":    {of(item(`Files\D`, layer.Whiteout), item(`Files\D\x`, layer.File)), of(item(`Files\y`, layer.File))},
		"empty":         {of(item(`Files\E\x`, layer.File)), of(item(`Files\E\x`, layer.Whiteout))},
		"over a file":   {of(item(`Files\F`, layer.Whiteout), item(`Files\F\x`, layer.File)), of(item(`Files\y`, layer.File))},
		"only its name": {of(item(`Files\D\x`, layer.File)), of(item(`Files\D\a`, layer.Whiteout))},
	} {
		diff := flatDifferences(t, append([]layer.Source{base}, above...), 1)
		if name == "empty" && len(diff) == 1 {
			diff = nil // Reader leaves out a directory that Walk shows: nothing yields its name
		}
		if len(diff) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(diff, "\n"))
		}
	}
}
