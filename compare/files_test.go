package compare_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// parse makes a layer: "f PATH=TEXT", "d PATH", "l PATH>TARGET" or "w PATH".
func parse(t *testing.T, words ...string) *layertest.Layer {
	t.Helper()
	l := &layertest.Layer{}
	for _, word := range words {
		op, rest, _ := strings.Cut(word, " ")
		it := layertest.Item{}
		switch op {
		case "d":
			it.Entry = layer.Entry{Path: rest, Kind: layer.Dir, Attributes: winfs.AttrDirectory}
		case "f":
			path, text, _ := strings.Cut(rest, "=")
			it.Entry = layer.Entry{Path: path, Kind: layer.File, Size: int64(len(text)), Attributes: winfs.AttrArchive}
			it.Streams = []layertest.Stream{{Data: []byte(text)}}
		case "l":
			path, target, _ := strings.Cut(rest, ">")
			it.Entry = layer.Entry{Path: path, Kind: layer.Link, Target: target}
		case "w":
			it.Entry = layer.Entry{Path: rest, Kind: layer.Whiteout}
		default:
			t.Fatalf("word %q", word)
		}
		l.Items = append(l.Items, it)
	}
	return l
}

func scan(t *testing.T, s *compare.Scanner, l layer.Source) *compare.Table {
	t.Helper()
	table, err := s.Layer(context.Background(), "", l)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func newScanner(t *testing.T) *compare.Scanner {
	s := compare.NewScanner(layer.Limits{})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func single(t *testing.T, s *compare.Scanner, l layer.Source) *compare.Tree {
	t.Helper()
	tree, err := compare.Single(s, scan(t, s, l))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func merge(t *testing.T, s *compare.Scanner, layers ...*layertest.Layer) *compare.Tree {
	t.Helper()
	var tables []*compare.Table
	for _, l := range layers {
		tables = append(tables, scan(t, s, l))
	}
	tree, err := compare.Merge(context.Background(), s, tables...)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func changes(t *testing.T, a, b *compare.Tree, opt compare.FileOptions) (list []string, all *compare.FileChanges) {
	t.Helper()
	all, err := compare.Files(context.Background(), a, b, opt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all.Len() {
		c, err := all.Change(i)
		if err != nil {
			t.Fatal(err)
		}
		if (c.Before == nil) != (c.Kind == compare.Added) || (c.After == nil) != (c.Kind == compare.Removed) {
			t.Errorf("%s has the wrong sides", c.Path())
		}
		s := fmt.Sprintf("%v %s", c.Kind, c.Path())
		if c.Kind == compare.Renamed {
			s += " < " + c.Before.Path
		}
		if c.What != 0 {
			s += " " + c.What.String()
		}
		list = append(list, s)
	}
	return list, all
}

func TestRenames(t *testing.T) {
	const text = "this text is long enough to say something"
	for _, c := range []struct {
		name string
		a, b []string
		want []string
	}{
		{"moved", []string{`f a\one=` + text}, []string{`f b\one=` + text}, []string{`removed a`, `added b`, `renamed b\one < a\one`}},
		{"too small", []string{"f one=text"}, []string{"f two=text"}, []string{"removed one", "added two"}},
		{"empty", []string{"f one="}, []string{"f two="}, []string{"removed one", "added two"}},
		{"other content", []string{"f one=" + text}, []string{"f two=" + text + "."}, []string{"removed one", "added two"}},
		{"copied", []string{"f one=" + text}, []string{"f one=" + text, "f two=" + text}, []string{"added two"}},
		{"the same name wins", []string{`f a\x=` + text, `f a\y=` + text}, []string{`f b\y=` + text, `f b\x=` + text},
			[]string{`removed a`, `added b`, `renamed b\x < a\x`, `renamed b\y < a\y`}},
		{"the most similar name wins", []string{`f report-2.txt=` + text}, []string{`f copy.bin=` + text, `f report-3.txt=` + text},
			[]string{`added copy.bin`, `renamed report-3.txt < report-2.txt`}},
		{"a link follows", []string{"f one=" + text}, []string{"f two=" + text, "l zwei>two"}, []string{"renamed two < one", "added zwei"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScanner(t)
			got, all := changes(t, merge(t, s, parse(t, c.a...)), merge(t, s, parse(t, c.b...)), compare.FileOptions{})
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if n := all.Totals(); n.Added+n.Removed+n.Renamed != len(c.want) {
				t.Errorf("totals are %+v", n)
			}
		})
	}
}

// Many copies of one content are paired by their names alone, in linear time.
func TestRenamesOfManyCopies(t *testing.T) {
	const text = "this text is long enough to say something"
	var a, b []string
	for i := range 200 {
		a = append(a, fmt.Sprintf(`f a\%d=%s`, i, text))
		b = append(b, fmt.Sprintf(`f b\%d=%s`, i, text))
	}
	s := newScanner(t)
	_, all := changes(t, merge(t, s, parse(t, a...)), merge(t, s, parse(t, b...)), compare.FileOptions{})
	if n := all.Totals(); n.Renamed != 200 || n.Added != 1 || n.Removed != 1 {
		t.Errorf("%+v", n)
	}
}

func TestFold(t *testing.T) {
	s := newScanner(t)
	const text = "this text is long enough to say something"
	a := merge(t, s, parse(t, `f old=`+text, `f same=1`))
	b := merge(t, s, parse(t, `d new`, `d new\sub`, `f new\sub\a=12345`, `l new\sub\b>new\sub\a`, `f new\z=`+text, `f newer=1`, `f same=1`))
	list, all := changes(t, a, b, compare.FileOptions{})
	want := []string{`added new`, `added new\sub`, `added new\sub\a`, `added new\sub\b`, `renamed new\z < old`, `added newer`}
	if !slices.Equal(list, want) {
		t.Fatalf("%q", list)
	}
	fold, ok := all.Fold(0)
	if want := (compare.Fold{Next: 5, Files: 2, Dirs: 1, Bytes: 5}); !ok || fold != want {
		t.Errorf("%+v, want %+v", fold, want)
	}
	for _, i := range []int{2, 4, 5} {
		if _, ok := all.Fold(i); ok {
			t.Errorf("%s is folded", list[i])
		}
	}
	if n := all.Totals(); n.BytesAdded != 6 || n.BytesRemoved != 0 {
		t.Errorf("%+v", n)
	}
}

func TestKeep(t *testing.T) {
	s := newScanner(t)
	a, b := merge(t, s, parse(t, "f a=1", "f b=1")), merge(t, s, parse(t, "f a=2", "f B=2", "f c=2"))
	got, all := changes(t, a, b, compare.FileOptions{Keep: func(p string) bool { return winfs.EqualFold(p, "b") }})
	if !slices.Equal(got, []string{"changed B name,content"}) || all.Compared != 1 {
		t.Errorf("%q of %d", got, all.Compared)
	}
}

// A layer that two images share is read once.
func TestKey(t *testing.T) {
	s := newScanner(t)
	opened := 0
	src := layer.SourceFunc(func() (layer.Reader, error) { opened++; return parse(t, "f a=1").Open() })
	for range 3 {
		if _, err := s.Layer(context.Background(), "sha256:1", src); err != nil {
			t.Fatal(err)
		}
	}
	if opened != 1 {
		t.Errorf("read %d times", opened)
	}
}

// layer.Diff, which works in another way, finds the same.
func TestAgreesWithLayerDiff(t *testing.T) {
	differences := 0
	for seed := range uint64(20) {
		a := layertest.Random(seed, layertest.Shape{Entries: 120, MaxSize: 300})
		b := layertest.Random(seed+1, layertest.Shape{Entries: 120, MaxSize: 300})
		if seed%2 == 0 { // the same layer with a few changes
			b = &layertest.Layer{Items: slices.Clone(a.Items)}
			for i := range b.Items {
				if it := &b.Items[i]; i%7 == 0 && it.Kind == layer.File {
					it.Times.LastWrite++
					it.EAs = append(slices.Clone(it.EAs), winfs.EA{Name: "MORE", Value: []byte{1}})
				}
			}
		}
		s := newScanner(t)
		got, _ := changes(t, single(t, s, a), single(t, s, b), compare.FileOptions{NoRenames: true})
		list, err := layer.Diff(context.Background(), a, b)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, c := range list {
			w := fmt.Sprintf("%v %s", c.Kind, c.Path)
			if c.What != 0 {
				w += " " + c.What.String()
			}
			want = append(want, w)
		}
		differences += len(want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d and %d differences:\n%q\n%q", seed, len(got), len(want), missing(got, want), missing(want, got))
		}
	}
	if differences < 500 {
		t.Errorf("only %d differences were compared", differences)
	}
}

func missing(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// A view compared with itself, and with one more layer.
func TestMerge(t *testing.T) {
	s := newScanner(t)
	lower := parse(t, "d Files", `f Files\a=1`, `f Files\b=2`, `l Files\c>Files\b`)
	upper := parse(t, `w Files\a`, `f Files\d=3`)
	a, b := merge(t, s, lower), merge(t, s, lower, upper)
	if got, _ := changes(t, a, a, compare.FileOptions{}); got != nil {
		t.Errorf("%q", got)
	}
	got, all := changes(t, a, b, compare.FileOptions{})
	if !slices.Equal(got, []string{`removed Files\a`, `added Files\d`}) {
		t.Errorf("%q", got)
	}
	c, err := all.Change(1)
	if err != nil || c.After.Layer != 1 || c.After.Size != 1 {
		t.Errorf("%+v, %v", c.After, err)
	}
	f, err := a.File(3)
	if err != nil || f.Path != `Files\c` || f.Kind != layer.Link || f.Target != `Files\b` || f.Links != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	if empty, err := compare.Merge(context.Background(), s); err != nil || empty.Len() != 0 {
		t.Errorf("no layers: %v, %v", empty, err)
	}
}
