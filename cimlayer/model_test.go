package cimlayer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// TestForksAgainstUnion writes random chains of layers as forks and compares the last
// with the union of the layers. There are few names, so that files become directories
// and links and back, and whiteouts, links and what they are about stand in any order.
func TestForksAgainstUnion(t *testing.T) {
	chains := 120
	if os.Getenv("MULLION_LONG") == "1" {
		chains = 10_000
	}
	accepted := 0
	for seed := range uint64(chains) {
		g := &chainMaker{r: rand.New(rand.NewPCG(seed, 1))}
		var chain []layer.Source
		for i := range 2 + g.r.IntN(2) {
			chain = append(chain, g.layer(i == 0))
		}
		var want map[string]described
		v, refused := layer.Union(context.Background(), chain)
		if refused == nil {
			want = describeTree(t, v.Reader())
			v.Close()
		}
		got, err := forkChain(t, chain)
		var script strings.Builder
		for i, l := range chain {
			fmt.Fprintf(&script, "layer %d\n", i)
			for _, it := range l.(*layertest.Layer).Items {
				fmt.Fprintf(&script, "\t%v %s %s %x %v\n", it.Kind, it.Path, it.Target, it.Reparse, it.Streams)
			}
		}
		switch {
		case refused == nil && (errors.Is(err, layer.ErrCaseConflict) || errors.Is(err, layer.ErrNotDirectory)):
			// A union takes the first of two spellings of one directory, and entries of a
			// directory that comes after them and replaces a file below.
		case (refused == nil) != (err == nil):
			t.Errorf("seed %d: union: %v, image: %v\n%s", seed, refused, err, &script)
		case err == nil:
			accepted++
			for p, s := range want {
				if !got[p].sameOrSplit(s) {
					t.Errorf("seed %d: %s\nis   %v\nwant %v\n%s", seed, p, got[p], s, &script)
				}
			}
			for p, s := range got {
				// A directory that only a hidden name implied is in no union.
				if want[p].is == "" && s.is != impliedDirectory {
					t.Errorf("seed %d: %s should not be there: %v\n%s", seed, p, s, &script)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	if accepted < chains/3 {
		t.Errorf("only %d of %d chains were valid", accepted, chains)
	}
}

func forkChain(t *testing.T, chain []layer.Source) (map[string]described, error) {
	folder, parent := t.TempDir(), ""
	var im *cimfs.Image
	for i, l := range chain {
		name := fmt.Sprintf("%d.cim", i)
		w, err := cimfs.Create(folder, name, &cimfs.Options{Parent: parent})
		if err != nil {
			t.Fatal(err)
		}
		iw := cimlayer.NewImageWriter(w, im, cimlayer.ImageOptions{})
		src, _ := l.Open()
		_, err = layer.Copy(context.Background(), iw, src)
		if err == nil {
			err = iw.Commit()
		}
		iw.Close()
		if im != nil {
			im.Close()
		}
		if err != nil {
			return nil, err
		}
		if im, err = cimfs.Open(folder, name); err != nil {
			t.Fatal(err)
		}
		parent = name
	}
	defer im.Close()
	if found, err := finding.Collect(im.Check(context.Background(), cimfs.CheckOptions{})); err != nil || len(found) > 0 {
		t.Errorf("check: %v, %v", found, err)
	}
	return describeTree(t, cimlayer.NewImageReader(im)), nil
}

// impliedDirectory is how describeTree says a directory without metadata.
const impliedDirectory = "directory 0  []"

// described is what a merged tree has at a name: kind, time, reparse data and streams,
// and all names of a file that has several.
type described struct {
	is    string
	names []string
}

// sameOrSplit reports whether a file of an image is the wanted one, and has no names but
// wanted ones. It may lack some: a link to a file of the parent image takes the name by
// which it was linked away from the others, as Windows does.
func (d described) sameOrSplit(want described) bool {
	if d.is != want.is {
		return false
	}
	for _, n := range d.names {
		if !slices.Contains(want.names, n) {
			return false
		}
	}
	return true
}

// describeTree returns what a merged tree has at each name.
func describeTree(t *testing.T, r layer.Reader) map[string]described {
	t.Helper()
	defer r.Close()
	tree, names := map[string]described{}, map[string][]string{}
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p := winfs.Fold(e.Path)
		if e.Kind == layer.Link {
			first := winfs.Fold(e.Target)
			names[first] = append(names[first], p)
			continue
		}
		var streams []string
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, fmt.Sprintf("%s=%s", s.Name, b))
		}
		tree[p] = described{is: fmt.Sprintf("%v %d %x %s", e.Kind, e.Times.LastWrite, e.Reparse, streams)}
	}
	for first, more := range names {
		all := append(more, first)
		slices.Sort(all)
		s := described{tree[first].is, all}
		for _, p := range all {
			tree[p] = s
		}
	}
	return tree
}

// chainMaker makes layers that mostly are valid.
type chainMaker struct {
	r     *rand.Rand
	n     int
	known []string // paths of all layers
	files []string // those that were files once
}

func (g *chainMaker) path() string {
	if len(g.known) > 0 && g.r.IntN(3) > 0 {
		return g.known[g.r.IntN(len(g.known))]
	}
	p := "Files"
	for range 1 + g.r.IntN(3) {
		p += `\` + []string{"a", "b", "c", "A", "d"}[g.r.IntN(5)]
	}
	return p
}

func (g *chainMaker) layer(base bool) *layertest.Layer {
	l := &layertest.Layer{}
	const symlink = layer.Opaque // in own
	own := map[string]layer.Kind{}
	fits := func(p string, kind layer.Kind) bool {
		p = winfs.Fold(p)
		if k, ok := own[p]; ok {
			// A union lets a directory become a link and back in one layer, an image does not.
			return k != symlink && kind != symlink && g.r.IntN(20) == 0
		}
		for q, k := range own {
			if winfs.Under(p, q) && k != layer.Dir || winfs.Under(q, p) && kind != layer.Dir {
				return g.r.IntN(20) == 0
			}
		}
		return true
	}
	add := func(e layer.Entry, kind layer.Kind, streams ...layertest.Stream) {
		g.n++
		e.Times.LastWrite = winfs.Filetime(130_000_000_000_000_000 + g.n)
		if e.Kind == layer.Dir {
			e.Attributes |= winfs.AttrDirectory
		}
		if kind == layer.Dir || kind == layer.File && !e.IsReparsePoint() {
			if g.r.IntN(4) == 0 {
				streams = append(streams, layertest.Stream{Name: "s", Data: fmt.Appendf(nil, "alternate %d", g.n)})
			}
		}
		if kind != 0 {
			own[winfs.Fold(e.Path)] = kind
		}
		g.known = append(g.known, e.Path)
		l.Items = append(l.Items, layertest.Item{Entry: e, Streams: streams})
	}
	hidden := map[string]bool{}
	for range 2 + g.r.IntN(9) {
		p := g.path()
		switch n := g.r.IntN(12); {
		case n < 4 && fits(p, layer.File):
			data := fmt.Appendf(nil, "data %d", g.n)
			add(layer.Entry{Path: p, Kind: layer.File, Size: int64(len(data))}, layer.File, layertest.Stream{Data: data})
			g.files = append(g.files, p)
		case n >= 4 && n < 7 && fits(p, layer.Dir):
			add(layer.Entry{Path: p, Kind: layer.Dir}, layer.Dir)
		case n >= 7 && n < 9 && len(g.files) > 0 && fits(p, layer.Link):
			add(layer.Entry{Path: p, Kind: layer.Link, Target: g.files[g.r.IntN(len(g.files))]}, layer.Link)
			g.files = append(g.files, p)
		case n >= 9 && n < 11 && !base && !hidden[fmt.Sprint(n, winfs.Fold(p))]:
			hidden[fmt.Sprint(n, winfs.Fold(p))] = true
			add(layer.Entry{Path: p, Kind: []layer.Kind{layer.Whiteout, layer.Opaque}[n-9]}, 0)
		case n == 11 && fits(p, symlink):
			e := layer.Entry{Path: p, Kind: layer.Dir, Attributes: winfs.AttrReparsePoint}
			e.Reparse, _ = winfs.EncodeSymlink(`..\b`)
			add(e, symlink)
		}
	}
	if g.r.IntN(2) == 0 {
		g.r.Shuffle(len(l.Items), func(i, j int) { l.Items[i], l.Items[j] = l.Items[j], l.Items[i] })
	}
	return l
}
