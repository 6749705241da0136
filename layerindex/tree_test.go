package layerindex_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/winfs"
)

// memory is a layer in memory as a layer.EntrySource.
type memory struct{ layertest.Layer }

func (m *memory) Len() int64 { return int64(len(m.Items)) }

func (m *memory) EntryAt(n int32) (*layer.Entry, error) {
	e := m.Items[n].Entry
	return &e, nil
}

func (m *memory) OpenAt(n int32) (layer.Reader, error) {
	return (&layertest.Layer{Items: m.Items[n:]}).Open()
}

// tree is what layer.View and layerindex.Tree have in common.
type tree interface {
	Lookup(path string) (*layer.Item, error)
	Children(path string) iter.Seq2[*layer.Item, error]
	Walk(path string) iter.Seq2[*layer.Item, error]
	Open(path string) (layer.Reader, error)
	NamesOf(path string) ([]string, error)
}

// answers returns what a tree says of a path.
func answers(t tree, path string) string {
	var b strings.Builder
	it, err := t.Lookup(path)
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	} else {
		fmt.Fprintf(&b, "%+v\n", *it)
		names, err := t.NamesOf(path)
		slices.Sort(names)
		fmt.Fprintf(&b, "names %q %v %v\n", names, err, len(names) == it.Links)
	}
	for name, list := range map[string]iter.Seq2[*layer.Item, error]{"children": t.Children(path), "walk": t.Walk(path)} {
		var lines []string
		for it, err := range list {
			if err != nil {
				lines = append(lines, err.Error())
				continue
			}
			lines = append(lines, fmt.Sprintf("%+v", *it))
		}
		if name == "children" {
			fmt.Fprintf(&b, "%q\n", lines)
			continue
		}
		defer func() { fmt.Fprintf(&b, "%q\n", lines) }()
	}
	r, err := t.Open(path)
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
		return b.String()
	}
	defer r.Close()
	e, err := r.Next()
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
		return b.String()
	}
	fmt.Fprintf(&b, "%+v", *e)
	for {
		s, err := r.NextStream()
		if err != nil {
			fmt.Fprintf(&b, " %v", err)
			break
		}
		data, err := io.ReadAll(io.LimitReader(r, 1000)) // some layers have streams of a TiB
		fmt.Fprintf(&b, " %+v %x %v", *s, data, err)
	}
	_, err = r.Next()
	fmt.Fprintf(&b, " %v\n", err)
	return b.String()
}

// keep writes the names of a view to a file and opens it.
func keep(t testing.TB, v *layer.View, sources []layer.EntrySource) (*layerindex.Tree, []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := layerindex.EncodeTree(&b, v, "chain", sources); err != nil {
		t.Fatal(err)
	}
	kept, err := layerindex.OpenTree(bytes.NewReader(b.Bytes()), int64(b.Len()), "chain", sources)
	if err != nil {
		t.Fatal(err)
	}
	return kept, b.Bytes()
}

// sameTree compares the answers of a kept tree with those of the union of the layers, and
// reports whether there is one.
func sameTree(t testing.TB, sources []layer.EntrySource, more ...string) bool {
	t.Helper()
	var plain []layer.Source
	for _, s := range sources {
		plain = append(plain, s)
	}
	v, err := layer.Union(t.Context(), plain)
	if err != nil {
		return false
	}
	defer v.Close()
	kept, _ := keep(t, v, sources)
	paths := append(more, "")
	var names []string
	size := 0
	for n := range v.Names() {
		names = append(names, n.Path)
		size += len(n.Path)
	}
	// The work grows with the square of the size.
	for i := 0; i < len(names); i += 1 + size/10_000 {
		paths = append(paths, names[i], strings.ToUpper(names[i]), winfs.JoinPath(names[i], "none"))
	}
	for _, p := range paths {
		if got, want := answers(kept, p), answers(v, p); got != want {
			t.Errorf("%q:\ngot  %.2000s\nwant %.2000s", p, got, want)
			return true
		}
	}
	return true
}

// smallWorld makes a chain of layers of few names, so that they meet.
func smallWorld(r *rand.Rand) []layer.EntrySource {
	names := []string{"a", "b", "A", "c"}
	path := func() string {
		p := "Files"
		for range 1 + r.IntN(3) {
			p += `\` + names[r.IntN(4)]
		}
		return p
	}
	l := &memory{}
	chain := []layer.EntrySource{l}
	for i := range 3 + r.IntN(9) {
		it := layertest.Item{Entry: layer.Entry{Path: path()}}
		switch k := r.IntN(16); {
		case k == 0 && len(chain) < 6:
			l = &memory{}
			chain = append(chain, l)
			continue
		case k < 4:
			it.Kind = layer.Dir
			if k == 1 {
				it.Streams = []layertest.Stream{{Name: "s", Data: fmt.Appendf(nil, "%02d", i)}}
			}
		case k < 6:
			it.Kind = layer.Whiteout
		case k == 6:
			it.Kind = layer.Opaque
		case k < 10:
			it.Kind, it.Target = layer.Link, path()
		default:
			it.Kind, it.Size = layer.File, 2
			it.Streams = []layertest.Stream{{Data: fmt.Appendf(nil, "%02d", i)}}
		}
		l.Items = append(l.Items, it)
	}
	return chain
}

// TestTree holds the kept tree against the union, on chains of small and of rich layers.
func TestTree(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	accepted := 0
	for range 3000 {
		if sameTree(t, smallWorld(r), `Files\a\b\c`, `files\\a`, `Files\a\`, "x", `\`) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	if accepted < 300 {
		t.Errorf("only %d chains were valid", accepted)
	}
	rich := 0
	for seed := range uint64(4) {
		var chain []layer.EntrySource
		for i := range uint64(3) {
			chain = append(chain, &memory{*layertest.Random(seed*3+i, layertest.Shape{})})
		}
		for n := range chain {
			if sameTree(t, chain[:n+1]) {
				rich++
			}
		}
	}
	if rich < 4 {
		t.Errorf("only %d chains of rich layers were valid", rich)
	}
}

// TestTreeHostile holds it against the union of each layer of the hostile corpus over another.
func TestTreeHostile(t *testing.T) {
	base := sample(t, 5)
	x, err := record(t, base, ways["names"])
	if err != nil {
		t.Fatal(err)
	}
	below := x.Source(t.Context(), blob.RangesOf(bytes.NewReader(base)), "base")
	accepted := 0
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		tar, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		x, _ := record(t, tar, ways["names"])
		if x == nil {
			continue
		}
		src := x.Source(t.Context(), blob.RangesOf(bytes.NewReader(tar)), c.Name)
		for _, chain := range [][]layer.EntrySource{{src}, {below, src}} {
			if sameTree(t, chain, `Files\file1`) {
				accepted++
			}
		}
	}
	if accepted < 20 {
		t.Errorf("only %d chains could be merged", accepted)
	}
}

// family is a chain of two layers with a link, a whiteout and an implied directory.
func family() []layer.EntrySource {
	file := func(path string) layertest.Item {
		return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.File, Size: 1}, Streams: []layertest.Stream{{Data: []byte("x")}}}
	}
	return []layer.EntrySource{
		&memory{layertest.Layer{Items: []layertest.Item{
			{Entry: layer.Entry{Path: "Files", Kind: layer.Dir, Attributes: winfs.AttrDirectory}}, file(`Files\a`), file(`Files\d\e\b`),
		}}},
		&memory{layertest.Layer{Items: []layertest.Item{
			{Entry: layer.Entry{Path: `Files\l`, Kind: layer.Link, Target: `Files\d\e\b`}}, {Entry: layer.Entry{Path: `Files\a`, Kind: layer.Whiteout}}, file(`Files\z`),
		}}},
	}
}

func familyFile(t testing.TB) []byte {
	v, err := layer.Union(t.Context(), []layer.Source{family()[0], family()[1]})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	_, file := keep(t, v, family())
	return file
}

// TestTreeDamage: a file that is damaged anywhere, cut off, or that of other layers is refused.
func TestTreeDamage(t *testing.T) {
	file := familyFile(t)
	open := func(b []byte, chain string, sources []layer.EntrySource) error {
		_, err := layerindex.OpenTree(bytes.NewReader(b), int64(len(b)), chain, sources)
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, layerindex.ErrDamaged) && !errors.Is(err, layerindex.ErrVersion) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for at := range file {
		bad := bytes.Clone(file)
		bad[at] ^= 0x10
		refused(fmt.Sprintf("damage at %#x", at), open(bad, "chain", family()))
	}
	for n := range file {
		refused(fmt.Sprintf("cut to %d bytes", n), open(file[:n], "chain", family()))
		refused(fmt.Sprintf("cut to %d bytes and sealed", n), open(layerindex.SealTree(file[:n]), "chain", family()))
	}
	refused("another chain", open(file, "other", family()))
	refused("fewer layers", open(file, "chain", family()[:1]))
	other := family()
	other[0], other[1] = other[1], &memory{}
	refused("other layers", open(file, "chain", other))
	// Layers of as many entries, of other kinds.
	kinds := family()
	kinds[1].(*memory).Items[2].Kind = layer.Dir
	kept, err := layerindex.OpenTree(bytes.NewReader(file), int64(len(file)), "chain", kinds)
	if err != nil {
		t.Fatal(err)
	}
	_, err = kept.Lookup(`Files\z`)
	refused("another kind of entry", err)
	_, err = kept.Open(`Files\z`)
	refused("another kind of entry", err)
}

// TestTreeWithin: a tree is used under the limits that its layers were merged under, and
// larger ones.
func TestTreeWithin(t *testing.T) {
	v, err := layer.Union(t.Context(), []layer.Source{family()[0], family()[1]}, layer.WithUnionLimits(layer.Limits{Entries: 100}))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	kept, _ := keep(t, v, family())
	for _, c := range []struct {
		limits layer.Limits
		want   bool
	}{
		{layer.Limits{}, true},
		{layer.Limits{Entries: 100}, true},
		{layer.Limits{Entries: -1}, true},
		{layer.Limits{Entries: 99}, false},
		{layer.Limits{Depth: 2}, false},
		{layer.Limits{Streams: 1}, false},
		{layer.Limits{FileSize: 1}, false},
		{layer.Limits{TotalSize: 1}, false},
		{layer.Limits{MetadataLen: 1}, false},
	} {
		if got := kept.Within(c.limits); got != c.want {
			t.Errorf("%+v: %v", c.limits, got)
		}
	}
}

// TestTreeTooLarge: a view with names of more than the bound is not kept, and says so.
func TestTreeTooLarge(t *testing.T) {
	v, err := layer.Union(t.Context(), []layer.Source{family()[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var limit *layer.LimitError
	if err := layerindex.EncodeTree(io.Discard, v, strings.Repeat("x", 1<<18), family()[:1]); !errors.As(err, &limit) {
		t.Errorf("got %v", err)
	}
}

func FuzzOpenTree(f *testing.F) {
	f.Add(familyFile(f))
	r := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		chain := smallWorld(r)
		if len(chain) > 2 {
			continue
		}
		chain = append(chain, &memory{}, &memory{})[:2]
		if v, err := layer.Union(f.Context(), []layer.Source{chain[0], chain[1]}); err == nil {
			_, file := keep(f, v, chain)
			f.Add(file)
			v.Close()
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept, err := layerindex.OpenTree(bytes.NewReader(layerindex.SealTree(b)), int64(len(b)), "chain", family())
		if err != nil {
			return
		}
		n := 0
		for it, err := range kept.Walk("") {
			if err != nil {
				break
			}
			if err := winfs.ValidatePath(it.Path); err != nil {
				t.Fatal(err)
			}
			if r, err := kept.Open(it.Path); err == nil {
				r.Next()
				r.Close()
			}
			if n++; n > 1000 {
				break
			}
		}
		answers(kept, `Files\d\e\b`)
	})
}
