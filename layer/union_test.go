package layer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// parse makes a layer from words: "d Files" a directory, "f Files\a=text" a file
// (with ":s=text" after a comma a stream), "l Files\b>Files\a" a hard link,
// "w Files\x" a whiteout, "o Files" an opaque one, "s Files\s>target" a symbolic
// link to a directory.
func parse(t testing.TB, words ...string) *layertest.Layer {
	l := &layertest.Layer{}
	for _, word := range words {
		op, rest, _ := strings.Cut(word, " ")
		it := layertest.Item{}
		switch op {
		case "d":
			path, stream, ok := strings.Cut(rest, ",")
			it.Entry = layer.Entry{Path: path, Kind: layer.Dir, Attributes: winfs.AttrDirectory}
			if ok {
				name, text, _ := strings.Cut(stream, "=")
				it.Streams = []layertest.Stream{{Name: name[1:], Data: []byte(text)}}
			}
		case "f":
			path, text, _ := strings.Cut(rest, "=")
			it.Entry = layer.Entry{Path: path, Kind: layer.File, Size: int64(len(text)), Attributes: winfs.AttrArchive}
			it.Streams = []layertest.Stream{{Data: []byte(text)}}
		case "l":
			path, target, _ := strings.Cut(rest, ">")
			it.Entry = layer.Entry{Path: path, Kind: layer.Link, Target: target}
		case "w":
			it.Entry = layer.Entry{Path: rest, Kind: layer.Whiteout}
		case "o":
			it.Entry = layer.Entry{Path: rest, Kind: layer.Opaque}
		case "s":
			path, target, _ := strings.Cut(rest, ">")
			b, err := winfs.EncodeSymlink(target)
			if err != nil {
				t.Fatal(err)
			}
			it.Entry = layer.Entry{Path: path, Kind: layer.Dir, Reparse: b, Attributes: winfs.AttrDirectory | winfs.AttrReparsePoint}
		default:
			t.Fatalf("word %q", word)
		}
		l.Items = append(l.Items, it)
	}
	return l
}

// words is the inverse of parse.
func words(l *layertest.Layer) []string {
	var out []string
	for _, it := range l.Items {
		switch {
		case it.Kind == layer.Dir && it.IsReparsePoint():
			p, _ := winfs.ParseReparse(it.Reparse)
			out = append(out, "s "+it.Path+">"+p.Target())
		case it.Kind == layer.Dir && len(it.Streams) > 0:
			out = append(out, fmt.Sprintf("d %s,:%s=%s", it.Path, it.Streams[0].Name, it.Streams[0].Data))
		case it.Kind == layer.Dir:
			out = append(out, "d "+it.Path)
		case it.Kind == layer.Link:
			out = append(out, "l "+it.Path+">"+it.Target)
		default:
			out = append(out, fmt.Sprintf("f %s=%s", it.Path, it.Streams[0].Data))
		}
	}
	return out
}

func union(t testing.TB, layers ...*layertest.Layer) (*layer.View, error) {
	var sources []layer.Source
	for _, l := range layers {
		sources = append(sources, l)
	}
	v, err := layer.Union(context.Background(), sources)
	if err == nil {
		t.Cleanup(func() { v.Close() })
	}
	return v, err
}

func TestUnion(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]string
		want   []string
	}{
		{"one layer", [][]string{{"d Files", `f Files\a=1`}}, []string{"d Files", `f Files\a=1`}},
		{"file replaced", [][]string{{"d Files", `f Files\a=1`}, {"d Files", `f Files\a=2`}}, []string{"d Files", `f Files\a=2`}},
		{"file replaced in another case", [][]string{{"d Files", `f Files\a=1`}, {"d Files", `f Files\A=2`}}, []string{"d Files", `f Files\A=2`}},
		{"directory keeps its spelling", [][]string{{"d Files", `d Files\Dir`}, {"d Files", `d Files\DIR`, `f Files\dir\x=1`}}, []string{"d Files", `d Files\Dir`, `f Files\Dir\x=1`}},
		{"whiteout", [][]string{{"d Files", `f Files\a=1`, `f Files\b=2`}, {"d Files", `w Files\A`}}, []string{"d Files", `f Files\b=2`}},
		{"whiteout of a tree", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {"d Files", `w Files\d`}}, []string{"d Files"}},
		{"whiteout before new content", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`w Files\d`, `d Files\d`, `f Files\d\b=2`}}, []string{"d Files", `d Files\d`, `f Files\d\b=2`}},
		{"whiteout after new content", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`d Files\d`, `f Files\d\b=2`, `w Files\d`}}, []string{"d Files", `d Files\d`, `f Files\d\b=2`}},
		{"whiteout of a file of its own layer", [][]string{{"d Files", `f Files\a=1`}, {`f Files\a=2`, `w Files\a`}}, []string{"d Files", `f Files\a=2`}},
		{"whiteout of nothing", [][]string{{"d Files", `w Files\x`, `w Files\x\y`}}, []string{"d Files"}},
		{"opaque before", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`o Files\d`, `f Files\d\b=2`}}, []string{"d Files", `d Files\d`, `f Files\d\b=2`}},
		{"opaque after", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`f Files\d\b=2`, `o Files\d`}}, []string{"d Files", `d Files\d`, `f Files\d\b=2`}},
		{"opaque over nested", [][]string{{"d Files", `d Files\d`, `d Files\d\e`, `f Files\d\e\a=1`}, {`f Files\d\e\b=2`, `o Files\d`}}, []string{"d Files", `d Files\d`, `d Files\d\e`, `f Files\d\e\b=2`}},
		{"file becomes directory", [][]string{{"d Files", `f Files\a=1`}, {`d Files\a`, `f Files\a\b=2`}}, []string{"d Files", `d Files\a`, `f Files\a\b=2`}},
		{"file becomes directory, said late", [][]string{{"d Files", `f Files\a=1`}, {`f Files\a\b=2`, `d Files\a`}}, []string{"d Files", `d Files\a`, `f Files\a\b=2`}},
		{"file becomes directory by a late whiteout", [][]string{{"d Files", `f Files\a=1`}, {`f Files\a\b=2`, `w Files\a`}}, []string{"d Files", `d Files\a`, `f Files\a\b=2`}},
		{"directory becomes file", [][]string{{"d Files", `d Files\a`, `f Files\a\b=1`}, {`f Files\a=2`}}, []string{"d Files", `f Files\a=2`}},
		{"directory becomes symlink", [][]string{{"d Files", `d Files\a`, `f Files\a\b=1`}, {`s Files\a>c`}}, []string{"d Files", `s Files\a>c`}},
		{"symlink becomes directory", [][]string{{"d Files", `s Files\a>c`}, {`d Files\a`, `f Files\a\b=1`}}, []string{"d Files", `d Files\a`, `f Files\a\b=1`}},
		{"deleted and made again above", [][]string{{"d Files", `f Files\a=1`}, {`w Files\a`}, {`f Files\a=3`}}, []string{"d Files", `f Files\a=3`}},
		{"link in its layer", [][]string{{"d Files", `f Files\a=1`, `l Files\b>Files\a`}}, []string{"d Files", `f Files\a=1`, `l Files\b>Files\a`}},
		{"link before its target", [][]string{{"d Files", `l Files\b>Files\a`, `f Files\a=1`}}, []string{"d Files", `f Files\b=1`, `l Files\a>Files\b`}},
		{"link to a link", [][]string{{"d Files", `f Files\a=1`, `l Files\b>Files\a`, `l Files\c>Files\b`}}, []string{"d Files", `f Files\a=1`, `l Files\b>Files\a`, `l Files\c>Files\a`}},
		{"link to a parent's file", [][]string{{"d Files", `f Files\a=1`}, {`l Files\b>Files\A`}}, []string{"d Files", `f Files\a=1`, `l Files\b>Files\a`}},
		{"link to a file that its layer deletes", [][]string{{"d Files", `f Files\a=1`}, {`w Files\a`, `l Files\b>Files\a`}}, []string{"d Files", `f Files\b=1`}},
		{"link to a file in a tree that its layer deletes", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`l Files\b>Files\d\a`, `w Files\d`}}, []string{"d Files", `f Files\b=1`}},
		{"link to a file in a directory that its layer makes a link", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`s Files\d>x`, `l Files\b>Files\d\a`}}, []string{"d Files", `f Files\b=1`, `s Files\d>x`}},
		{"link outlives the replacement of its target", [][]string{{"d Files", `f Files\a=1`, `l Files\b>Files\a`}, {`f Files\a=2`}}, []string{"d Files", `f Files\b=1`, `f Files\a=2`}},
		{"link before a replacement of its target", [][]string{{"d Files", `f Files\a=1`}, {`l Files\b>Files\a`, `f Files\a=2`}}, []string{"d Files", `f Files\b=1`, `f Files\a=2`}},
		{"link after a replacement of its target", [][]string{{"d Files", `f Files\a=1`}, {`f Files\a=2`, `l Files\b>Files\a`}}, []string{"d Files", `f Files\a=2`, `l Files\b>Files\a`}},
		{"links that change places", [][]string{{"d Files", `f Files\a=1`, `f Files\b=2`}, {`l Files\c>Files\a`, `l Files\a>Files\b`, `l Files\b>Files\c`}}, []string{"d Files", `f Files\b=1`, `f Files\a=2`, `l Files\c>Files\b`}},
		{"link to a link that replaces a file", [][]string{{"d Files", `f Files\a=1`, `f Files\b=2`}, {`l Files\b>Files\a`, `l Files\c>Files\b`}}, []string{"d Files", `f Files\a=1`, `l Files\b>Files\a`, `l Files\c>Files\a`}},
		{"link before a directory in place of its target", [][]string{{"d Files", `f Files\a=1`}, {`l Files\b>Files\a`, `d Files\a`}}, []string{"d Files", `f Files\b=1`, `d Files\a`}},
		{"link replaced by a file", [][]string{{"d Files", `f Files\a=1`, `l Files\b>Files\a`}, {`f Files\b=2`}}, []string{"d Files", `f Files\a=1`, `f Files\b=2`}},
		{"link into a new directory", [][]string{{"d Files", `f Files\a=1`}, {`d Files\n,:s=x`, `l Files\n\b>Files\a`, `w Files\a`}}, []string{"d Files", `d Files\n,:s=x`, `f Files\n\b=1`}},
		{"stream of a directory that comes early", [][]string{{"d Files", `d Files\d`, `f Files\d\a=1`}, {`d Files\d,:s=text`}}, []string{"d Files", `d Files\d,:s=text`, `f Files\d\a=1`}},
		{"directory nobody mentions", [][]string{{`f Files\d\a=1`}}, []string{"d Files", `d Files\d`, `f Files\d\a=1`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var layers []*layertest.Layer
			for _, w := range c.layers {
				layers = append(layers, parse(t, w...))
			}
			v, err := union(t, layers...)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // readers are independent
				l, err := layertest.Collect(v.Reader(), true)
				if err != nil {
					t.Fatal(err)
				}
				got := words(l)
				want := slices.Clone(c.want)
				if !sameSet(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
				parentsFirst(t, l)
			}
		})
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	sort.Strings(a)
	sort.Strings(b)
	return slices.Equal(a, b)
}

func parentsFirst(t testing.TB, l *layertest.Layer) {
	seen := map[string]layer.Kind{"": layer.Dir}
	for _, it := range l.Items {
		dir, _ := winfs.SplitPath(it.Path)
		if seen[winfs.Fold(dir)] != layer.Dir {
			t.Errorf("%q comes before its directory", it.Path)
		}
		if seen[winfs.Fold(it.Path)] != 0 {
			t.Errorf("%q comes twice", it.Path)
		}
		if it.Kind == layer.Link && seen[winfs.Fold(it.Target)] != layer.File {
			t.Errorf("the link %q comes before its target", it.Path)
		}
		seen[winfs.Fold(it.Path)] = it.Kind
	}
}

func TestUnionRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]string
		want   error
		entry  string
	}{
		{"duplicate", [][]string{{"d Files", `f Files\a=1`, `f Files\a=2`}}, layer.ErrDuplicate, `Files\a`},
		{"case conflict", [][]string{{"d Files", `f Files\a=1`, `f Files\A=2`}}, layer.ErrCaseConflict, `Files\A`},
		{"file and directory", [][]string{{"d Files", `f Files\a=1`, `d Files\a`}}, layer.ErrDuplicate, `Files\a`},
		{"directory and file", [][]string{{"d Files", `d Files\a`, `f Files\a=1`}}, layer.ErrDuplicate, `Files\a`},
		{"below a file", [][]string{{"d Files", `f Files\a=1`, `f Files\a\b=2`}}, layer.ErrNotDirectory, `Files\a\b`},
		{"below a file of a lower layer", [][]string{{"d Files", `f Files\a=1`}, {`f Files\a\b=2`}}, layer.ErrNotDirectory, `Files\a`},
		{"through a symlink", [][]string{{"d Files", `s Files\s>..`, `f Files\s\b=2`}}, layer.ErrNotDirectory, `Files\s\b`},
		{"through a symlink of a lower layer", [][]string{{"d Files", `s Files\s>..`}, {`f Files\s\b=2`}}, layer.ErrNotDirectory, `Files\s`},
		{"file over implied directory", [][]string{{`f Files\a\b=2`, `f Files\a=1`}}, layer.ErrNotDirectory, `Files\a`},
		{"symlink over content", [][]string{{"d Files", `d Files\a`, `f Files\a\b=1`, `s Files\a>x`}}, layer.ErrNotDirectory, `Files\a`},
		{"link to nothing", [][]string{{"d Files", `l Files\a>Files\x`}}, layer.ErrLinkTarget, `Files\a`},
		{"link to a directory", [][]string{{"d Files", `l Files\a>Files`}}, layer.ErrLinkTarget, `Files\a`},
		{"link to itself", [][]string{{"d Files", `l Files\a>Files\A`}}, layer.ErrLinkTarget, `Files\a`},
		{"links in a circle", [][]string{{"d Files", `l Files\a>Files\b`, `l Files\b>Files\a`}}, layer.ErrLinkTarget, `Files\a`},
		{"link through a symlink", [][]string{{"d Files", `d Files\d`, `f Files\d\x=1`}, {`s Files\s>d`, `l Files\a>Files\s\x`}}, layer.ErrLinkTarget, `Files\a`},
		{"link to what was deleted below", [][]string{{"d Files", `f Files\x=1`}, {`w Files\x`}, {`l Files\a>Files\x`}}, layer.ErrLinkTarget, `Files\a`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var layers []*layertest.Layer
			for _, w := range c.layers {
				layers = append(layers, parse(t, w...))
			}
			_, err := union(t, layers...)
			var placed *layer.Error
			if !errors.Is(err, c.want) || !errors.As(err, &placed) || placed.Entry != c.entry {
				t.Errorf("%v, want %v at %q", err, c.want, c.entry)
			}
		})
	}
}

func TestViewAccess(t *testing.T) {
	v, err := union(t,
		parse(t, "d Files", `d Files\Dir`, `f Files\Dir\b=bee`, `f Files\Dir\A=ay`, `l Files\l>Files\Dir\b`),
		parse(t, `d Files\Dir,:s=stream`, `f Files\Dir\c=new`))
	if err != nil {
		t.Fatal(err)
	}
	it, err := v.Lookup(`FILES\dir\B`)
	if err != nil || it.Path != `Files\Dir\b` || it.Links != 2 || it.Layer != 0 || it.Size != 3 {
		t.Errorf("%+v, %v", it, err)
	}
	_, err = v.Lookup(`Files\dir\x\y`)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `"Files\Dir"`) {
		t.Errorf("%v does not name the deepest directory", err)
	}
	var names []string
	for it, err := range v.Children(`Files\Dir`) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, it.Path)
	}
	if want := []string{`Files\Dir\A`, `Files\Dir\b`, `Files\Dir\c`}; !slices.Equal(names, want) {
		t.Errorf("children %q, want %q", names, want)
	}
	names = nil
	for it, err := range v.Walk("") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, it.Path)
	}
	if want := []string{"Files", `Files\Dir`, `Files\Dir\A`, `Files\Dir\b`, `Files\Dir\c`, `Files\l`}; !slices.Equal(names, want) {
		t.Errorf("walk %q, want %q", names, want)
	}
	for path, want := range map[string]string{`files\dir\c`: `f Files\Dir\c=new`, `files\L`: `f Files\l=bee`, `Files\Dir`: `d Files\Dir,:s=stream`} {
		r, err := v.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		l, err := layertest.Collect(r, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := words(l); !slices.Equal(got, []string{want}) {
			t.Errorf("open %q: %q, want %q", path, got, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Open(`Files\nothing`); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
}

// TestUnionKeepsEverything sends random layers with every feature through a view.
func TestUnionKeepsEverything(t *testing.T) {
	f := layertest.Format{Lacks: layertest.Whiteouts | layertest.Opaques | layertest.LinkMetadata, Unordered: true}
	for seed := range uint64(10) {
		want := layertest.Random(seed, layertest.Shape{Without: f.Lacks, Entries: 200})
		v, err := union(t, want)
		if err != nil {
			t.Fatal(err)
		}
		for _, extents := range []bool{true, false} {
			got, err := layertest.Collect(v.Reader(), extents)
			if err != nil {
				t.Fatal(err)
			}
			normal := layertest.Format{Lacks: f.Lacks, Unordered: true, Normalize: func(it *layertest.Item) {
				if it.Kind == layer.Link { // a link of the view has the metadata of its file
					it.Attributes, it.Times = 0, winfs.Times{}
				}
			}}
			for _, d := range normal.Compare(want, got, extents) {
				t.Errorf("seed %d: %s", seed, d)
			}
		}
	}
}

// TestUnionSpills makes the index leave memory, and holds it to its word about
// temporary files.
func TestUnionSpills(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	l := parse(t, "d Files")
	big := make([]byte, 40<<20)
	for i := range big {
		big[i] = byte(i >> 12)
	}
	l.Items[0].Streams = []layertest.Stream{{Name: "big", Data: big}}
	for i := range 1000 {
		l.Items = append(l.Items, parse(t, fmt.Sprintf(`f Files\%d=%d`, i, i)).Items...)
	}
	v, err := union(t, l)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		spilled := 0
		fds, _ := filepath.Glob("/proc/self/fd/*")
		for _, fd := range fds {
			if name, _ := os.Readlink(fd); strings.HasPrefix(name, dir) {
				spilled++
			}
		}
		if spilled != 1 {
			t.Errorf("%d temporary files, want 1", spilled)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 && runtime.GOOS != "windows" {
		t.Errorf("a killed process would leave %v", list)
	}
	got, err := layertest.Collect(v.Reader(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range (layertest.Format{}).Compare(l, got, false) {
		t.Error(d)
	}
	if it, err := v.Lookup(`Files\999`); err != nil || it.Size != 3 || it.Attributes != winfs.AttrArchive {
		t.Errorf("%+v, %v", it, err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("%d files are left behind", len(list))
	}
}

// whiteoutLayer yields entries without holding them in memory.
type whiteoutLayer struct {
	layer.Reader
	n, count int
	entry    func(i int) layer.Entry
	e        layer.Entry
}

func (w *whiteoutLayer) Next() (*layer.Entry, error) {
	if w.n == w.count {
		return nil, io.EOF
	}
	w.e = w.entry(w.n)
	w.n++
	return &w.e, nil
}
func (w *whiteoutLayer) NextStream() (*layer.Stream, error) { return nil, io.EOF }
func (w *whiteoutLayer) Close() error                       { return nil }

// TestManyNames: the number of names of a file, counted on either way, and that Levels agrees
// with Lookup.
func TestManyNames(t *testing.T) {
	for _, links := range []int{1, 62, 63, 64, 65, 300} {
		items := []string{"d Files", `f Files\a=1`, `f Files\b=2`}
		for i := range links {
			items = append(items, fmt.Sprintf(`l Files\l%03d>Files\a`, i))
		}
		v, err := union(t, parse(t, items...), parse(t, `w Files\l000`, `l Files\x>Files\b`))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{`Files\a`: links, `Files\b`: 2, `Files\x`: 2, "Files": 1}
		for path, n := range want {
			if it, err := v.Lookup(path); err != nil || it.Links != n {
				t.Errorf("%d links: %s has %d names, not %d, %v", links, path, it.Links, n, err)
			}
		}
		names := 0
		for l := range v.Levels() {
			names++
			if n, ok := want[`Files\`+l.Name]; ok && int(l.Links) != n {
				t.Errorf("%d links: %+v", links, l)
			}
		}
		if names != 2+2+links-1+1 {
			t.Errorf("%d links: %d names", links, names)
		}
	}
}

// TestWhiteoutsAreLinear compares the time for n and for 8n whiteouts of every
// awkward kind. Quadratic work would take 64 times as long.
func TestWhiteoutsAreLinear(t *testing.T) {
	files := func(i int) layer.Entry {
		return layer.Entry{Path: fmt.Sprintf(`Files\%d`, i), Kind: layer.File}
	}
	for name, upper := range map[string]func(n int) func(i int) layer.Entry{
		"one each": func(int) func(i int) layer.Entry {
			return func(i int) layer.Entry {
				return layer.Entry{Path: fmt.Sprintf(`Files\%d`, i), Kind: layer.Whiteout}
			}
		},
		"of the directory": func(int) func(i int) layer.Entry {
			return func(i int) layer.Entry { return layer.Entry{Path: `Files`, Kind: layer.Whiteout} }
		},
		"opaque among new content": func(int) func(i int) layer.Entry {
			return func(i int) layer.Entry {
				if i%2 == 0 {
					return layer.Entry{Path: fmt.Sprintf(`Files\new%d`, i), Kind: layer.File}
				}
				return layer.Entry{Path: `Files`, Kind: []layer.Kind{layer.Opaque, layer.Whiteout}[i/2%2]}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			measure := func(n int) time.Duration {
				start := time.Now()
				v, err := layer.Union(context.Background(), []layer.Source{
					layer.SourceFunc(func() (layer.Reader, error) { return &whiteoutLayer{count: n, entry: files}, nil }),
					layer.SourceFunc(func() (layer.Reader, error) { return &whiteoutLayer{count: n, entry: upper(n)}, nil }),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				return time.Since(start)
			}
			measure(1000)
			few, many := measure(10_000), measure(80_000)
			if many > 40*few && many > 5*time.Second {
				t.Errorf("%v for 10,000 and %v for 80,000", few, many)
			}
		})
	}
}

func TestUnionLimits(t *testing.T) {
	deep := `Files` + strings.Repeat(`\d`, 5000)
	src := &layertest.Layer{Items: []layertest.Item{{Entry: layer.Entry{Path: deep, Kind: layer.Dir}}}}
	_, err := layer.Union(context.Background(), []layer.Source{src}, layer.WithUnionLimits(layer.Limits{Entries: 1000, Depth: -1}))
	var limit *layer.LimitError
	if !errors.As(err, &limit) || limit.Limit != "Entries" {
		t.Errorf("implied directories do not count: %v", err)
	}
	v, err := layer.Union(context.Background(), []layer.Source{src}, layer.WithUnionLimits(layer.Limits{Depth: -1}))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if it, err := v.Lookup(deep); err != nil || it.Path != deep {
		t.Errorf("%v", err)
	}
}

// model is the plain meaning of a chain of layers: a map, changed entry by entry.
type model struct {
	files map[string]modelFile // by folded path
}

type modelFile struct {
	object string // layer and ordinal
	dir    bool
}

// apply adds a layer. It presumes that Union has accepted the chain.
func (m *model) apply(n int, l *layertest.Layer) {
	below := map[string]modelFile{}
	for k, f := range m.files {
		below[k] = f
	}
	hide := func(prefix string, self bool) {
		for k := range m.files {
			if self && k == prefix || strings.HasPrefix(k, prefix+`\`) {
				delete(m.files, k)
			}
		}
	}
	for _, it := range l.Items {
		switch it.Kind {
		case layer.Whiteout:
			hide(winfs.Fold(it.Path), true)
		case layer.Opaque:
			hide(winfs.Fold(it.Path), false)
		}
	}
	own := map[string]modelFile{}
	links := map[string]string{}
	at := map[string]int{}
	for i, it := range l.Items {
		k := winfs.Fold(it.Path)
		switch it.Kind {
		case layer.File, layer.Dir, layer.Link:
			at[k] = i
		}
		switch it.Kind {
		case layer.File, layer.Dir:
			own[k] = modelFile{object: fmt.Sprint(n, ".", i), dir: it.Kind == layer.Dir}
		case layer.Link:
			own[k] = modelFile{}
			links[k] = winfs.Fold(it.Target)
		}
	}
	// A link finds its target before itself in the layer, else below it, else after itself.
	var resolve func(k string) modelFile
	resolve = func(k string) modelFile {
		t := links[k]
		if _, ok := own[t]; !ok || at[t] > at[k] {
			if f, ok := below[t]; ok && !f.dir {
				return f
			}
		}
		if links[t] != "" {
			return resolve(t)
		}
		return own[t]
	}
	for k := range links {
		own[k] = resolve(k)
	}
	for k, f := range own {
		if !f.dir {
			hide(k, true)
		}
	}
	for k, f := range own {
		m.files[k] = f
		for dir, _ := winfs.SplitPath(k); dir != ""; dir, _ = winfs.SplitPath(dir) {
			if _, ok := own[dir]; ok {
				continue
			}
			if old, ok := m.files[dir]; !ok || !old.dir {
				m.files[dir] = modelFile{dir: true}
			}
		}
	}
}

// decodeLayers makes a chain of layers from bytes: a small world of names, so
// that layers meet.
func decodeLayers(data []byte) []*layertest.Layer {
	names := []string{"a", "b", "A", "c"}
	l := &layertest.Layer{}
	layers := []*layertest.Layer{l}
	path := func(b byte) string {
		p := "Files"
		for range 1 + b%3 {
			b /= 3
			p += `\` + names[b%4]
			b = b/4 ^ b
		}
		return p
	}
	for i := 0; i+2 < len(data) && i < 300; i += 3 {
		it := layertest.Item{Entry: layer.Entry{Path: path(data[i+1])}}
		switch data[i] % 16 {
		case 0:
			if len(layers) < 6 {
				l = &layertest.Layer{}
				layers = append(layers, l)
			}
			continue
		case 1, 2, 3:
			it.Kind = layer.Dir
		case 4, 5:
			it.Kind = layer.Whiteout
		case 6:
			it.Kind = layer.Opaque
		case 7, 8, 9:
			it.Kind, it.Target = layer.Link, path(data[i+2])
		default:
			it.Kind = layer.File
			it.Streams = []layertest.Stream{{}}
		}
		l.Items = append(l.Items, it)
	}
	for n, l := range layers {
		for i := range l.Items {
			if it := &l.Items[i]; it.Kind == layer.File {
				it.Streams[0].Data = fmt.Append(nil, n, ".", i)
				it.Size = int64(len(it.Streams[0].Data))
			}
		}
	}
	return layers
}

// againstModel reports whether the chain was accepted.
func againstModel(t testing.TB, data []byte) bool {
	layers := decodeLayers(data)
	v, err := union(t, layers...)
	if err != nil {
		return false
	}
	m := &model{files: map[string]modelFile{}}
	for n, l := range layers {
		m.apply(n, l)
	}
	got, err := layertest.Collect(v.Reader(), false)
	if err != nil {
		t.Fatalf("%v", err)
	}
	parentsFirst(t, got)
	contents := map[string]string{}
	for _, it := range got.Items {
		k := winfs.Fold(it.Path)
		f, ok := m.files[k]
		if !ok && it.Kind != layer.Dir {
			t.Errorf("%q is in the view and not in the model", it.Path)
		}
		switch it.Kind {
		case layer.File:
			contents[k] = string(it.Streams[0].Data)
		case layer.Link:
			contents[k] = contents[winfs.Fold(it.Target)]
		}
		if it.Kind != layer.Dir && (f.dir || contents[k] != f.object) {
			t.Errorf("%q is %q in the view and %q in the model", it.Path, contents[k], f.object)
		}
		if it.Kind == layer.Dir && ok && !f.dir {
			t.Errorf("%q is a directory in the view and a file in the model", it.Path)
		}
		delete(m.files, k)
	}
	for k, f := range m.files {
		if !f.dir || f.object != "" {
			t.Errorf("%q is in the model and not in the view", k)
		}
	}
	if t.Failed() {
		for n, l := range layers {
			for i, it := range l.Items {
				t.Logf("%d.%d %v %q %q", n, i, it.Kind, it.Path, it.Target)
			}
		}
	}
	return true
}

func TestUnionAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	const chains = 20000
	for range chains {
		data := make([]byte, 9+r.IntN(24))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if againstModel(t, data) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	if accepted < chains/10 {
		t.Errorf("only %d of %d chains were valid", accepted, chains)
	}
	t.Logf("%d of %d chains were valid", accepted, chains)
}

func FuzzUnion(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { againstModel(t, data) })
}
