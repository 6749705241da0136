package draft_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// text is a content in memory.
type text string

func (s text) Size() int64                  { return int64(len(s)) }
func (s text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(s))), nil }

const now winfs.Filetime = 133000000000000000

func options() draft.Options { return draft.Options{Now: now} }

// recorded reads a layer into memory, which a view can read again and again.
func recorded(t testing.TB, d *draft.Draft) *layertest.Layer {
	t.Helper()
	r, err := d.Layer()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := layertest.Collect(r, false)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// below reads a chain for the rules that depend on it, and returns the findings of the last
// layer.
func findings(t testing.TB, chain ...*layertest.Layer) (out []string) {
	t.Helper()
	var below layer.Below
	for i, l := range chain {
		r, err := l.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		out = nil
		for f, err := range layer.Check(context.Background(), r, layer.CheckOptions{HasParents: i > 0, Base: i == 0, Below: &below}) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %s: %s", f.Rule, f.Path, f.Message))
		}
	}
	return out
}

func union(t testing.TB, chain ...*layertest.Layer) *layer.View {
	t.Helper()
	var sources []layer.Source
	for _, l := range chain {
		sources = append(sources, l)
	}
	v, err := layer.Union(context.Background(), sources)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// dump lists a tree: names, metadata, streams, and which names are one file.
func dump(t testing.TB, tree draft.Lower) []string {
	t.Helper()
	var out []string
	var walk func(dir string)
	walk = func(dir string) {
		for it, err := range tree.Children(dir) {
			if err != nil {
				t.Fatal(err)
			}
			line := fmt.Sprintf("%s %v %v %v %x %q %x links %d", it.Path, it.Kind, it.Attributes, it.Times, it.Security, it.EAs, it.Reparse, it.Links)
			if it.Links > 1 {
				names, err := tree.(draft.Namer).NamesOf(it.Path)
				if err != nil {
					t.Fatal(err)
				}
				slices.SortFunc(names, winfs.CompareFold)
				line += fmt.Sprintf(" %q", names)
			}
			same, err := tree.Lookup(it.Path)
			if err != nil || same.Path != it.Path || same.Attributes != it.Attributes || same.Size != it.Size || same.Links != it.Links {
				t.Fatalf("lookup of %s: %+v, %v", it.Path, same, err)
			}
			r, err := tree.Open(it.Path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
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
				line += fmt.Sprintf(" %q:%q", s.Name, b)
			}
			r.Close()
			out = append(out, line)
			if it.Kind == layer.Dir {
				walk(it.Path)
			}
		}
	}
	walk("")
	return out
}

func sddl(t testing.TB, text string) []byte {
	t.Helper()
	d, err := winsec.ParseSDDL(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// base is a small base layer with hard links, alternate streams and a junction.
func base(t testing.TB) *layertest.Layer {
	t.Helper()
	root := sddl(t, "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)")
	file := sddl(t, "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)")
	junction, err := winfs.EncodeMountPoint(`C:\a\b`)
	if err != nil {
		t.Fatal(err)
	}
	times := winfs.Times{Creation: 1e17, LastAccess: 1e17 + 1, LastWrite: 1e17 + 2, Change: 1e17 + 3}
	l := &layertest.Layer{}
	add := func(path string, kind layer.Kind, data string, more ...layertest.Stream) *layer.Entry {
		it := layertest.Item{Entry: layer.Entry{Path: path, Kind: kind, Attributes: winfs.AttrArchive, Times: times, Security: file}}
		switch kind {
		case layer.Dir:
			it.Attributes, it.Security = winfs.AttrDirectory, root
		case layer.File:
			it.Size = int64(len(data))
			it.Streams = []layertest.Stream{{Data: []byte(data)}}
		case layer.Link:
			it.Target, it.Security = data, nil
		}
		it.Streams = append(it.Streams, more...)
		l.Items = append(l.Items, it)
		return &l.Items[len(l.Items)-1].Entry
	}
	add("Files", layer.Dir, "")
	for _, d := range []string{`Files\a`, `Files\a\b`, `Files\c`, `Files\c\d`} {
		add(d, layer.Dir, "", layertest.Stream{Name: "s", Data: []byte("dir " + d)})
	}
	for _, f := range []string{`Files\f`, `Files\a\f`, `Files\a\b\f`, `Files\c\f`, `Files\c\d\F`} {
		add(f, layer.File, "content of "+f)
	}
	add(`Files\a\s`, layer.File, "main", layertest.Stream{Name: "alt", Data: []byte("alternate")})
	add(`Files\a\h`, layer.File, "three names")
	add(`Files\c\h`, layer.Link, `Files\a\h`)
	add(`Files\h`, layer.Link, `Files\a\h`)
	j := add(`Files\j`, layer.Dir, "")
	j.Reparse, j.Attributes = junction, winfs.AttrDirectory|winfs.AttrReparsePoint
	hives := add("Hives", layer.Dir, "")
	hives.Security = nil
	return l
}

// model is the simplest tree that works: a map of folded paths to shared files.
type model map[string]*thing

type thing struct {
	dir, link bool
	data      string
	attrs     winfs.Attributes
}

func (m model) copyOf() model {
	out := model{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (m model) real(path string) (string, bool) { return m.realIn(path, 100) }

// realIn follows junctions, at most so many.
func (m model) realIn(path string, most int) (string, bool) {
	if most == 0 {
		return "", false
	}
	dir, name := winfs.SplitPath(winfs.Fold(path))
	if dir != "" {
		var ok bool
		if dir, ok = m.realIn(dir, most-1); !ok {
			return "", false
		}
		if t := m[dir]; t != nil && t.link && t.dir {
			dir, ok = m.realIn(t.data, most-1)
			if !ok || m[dir] == nil {
				return "", false
			}
		}
		if t := m[dir]; t == nil || !t.dir {
			return "", false
		}
	}
	return winfs.JoinPath(dir, name), true
}

func (m model) empty(dir string) bool {
	for k := range m {
		if winfs.Under(k, dir) {
			return false
		}
	}
	return true
}

func TestModel(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) })
	}
}

func runModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	bottom := base(t)
	chain := []*layertest.Layer{bottom}
	var lower draft.Lower = union(t, bottom)
	m := model{}
	files := map[string]*thing{}
	for _, it := range bottom.Items {
		k := winfs.Fold(it.Path)
		switch it.Kind {
		case layer.Link:
			m[k] = files[winfs.Fold(it.Target)]
		case layer.Dir:
			m[k] = &thing{dir: true, link: it.Reparse != nil, data: `Files\a\b`}
		default:
			m[k] = &thing{data: string(it.Streams[0].Data)}
			files[k] = m[k]
		}
	}
	names := []string{"a", "b", "c", "d", "f", "h", "j", "s", "New", "new", "x", "A", "F"}
	path := func() string {
		p := "Files"
		for range 1 + rnd.IntN(3) {
			p = winfs.JoinPath(p, names[rnd.IntN(len(names))])
		}
		return p
	}
	junction, err := winfs.EncodeMountPoint(`C:\a\b`)
	if err != nil {
		t.Fatal(err)
	}
	for range 1 + rnd.IntN(3) { // drafts over each other
		d := draft.New(lower, options())
		if !d.Empty() {
			t.Fatal("a new draft has changes")
		}
		var log []string
		for range 1 + rnd.IntN(25) {
			p, q := path(), path()
			k, parent := m.real(p)
			at := m[k]
			var op string
			var err error
			want := true
			switch rnd.IntN(9) {
			case 0:
				op = "mkdir " + p
				err = d.Mkdir(p, draft.Meta{})
				if want = parent && at == nil; want {
					m[k] = &thing{dir: true}
				}
			case 1, 2:
				data := fmt.Sprintf("%d of %s", rnd.IntN(100), p)
				op = "write " + p
				err = d.Write(p, text(data), draft.Meta{})
				if want = parent && (at == nil || !at.dir); want {
					if at == nil {
						m[k] = &thing{}
						at = m[k]
					}
					at.data = data
				}
			case 3:
				op = "remove " + p
				err = d.Remove(p)
				if want = parent && at != nil && (!at.dir || m.empty(k)); want {
					delete(m, k)
				}
			case 4:
				op = "remove all " + p
				err = d.RemoveAll(p)
				if want = err == nil; parent {
					for x := range m {
						if x == k || winfs.Under(x, k) {
							delete(m, x)
						}
					}
				}
			case 5:
				op = "link " + p + " -> " + q
				err = d.Link(p, q)
				l, ok := m.real(q)
				target := m[l]
				if want = ok && parent && at == nil && target != nil && !target.dir; want {
					m[k] = target
				}
			case 6:
				op = "rename " + p + " -> " + q
				err = d.Rename(p, q)
				l, ok := m.real(q)
				if want = parent && at != nil && ok && (m[l] == nil || l == k) && !winfs.Under(l, k); want && l != k {
					for x, v := range m.copyOf() {
						if x == k || winfs.Under(x, k) {
							delete(m, x)
							m[l+x[len(k):]] = v
						}
					}
				}
			case 7:
				op = "set " + p
				err = d.Set(p, func(e *layer.Entry) error { e.Attributes |= winfs.AttrHidden; return nil })
				if want = parent && at != nil; want {
					at.attrs = winfs.AttrHidden
				}
			case 8:
				op = "junction " + p
				err = d.Reparse(p, true, junction, draft.Meta{})
				if want = parent && (at == nil || at.dir && m.empty(k)); want {
					if at == nil {
						at = &thing{dir: true}
						m[k] = at
					}
					at.link, at.data = true, `Files\a\b`
				}
			}
			log = append(log, op)
			if (err == nil) != want {
				t.Fatalf("%s: error %v, want success %v", strings.Join(log, "\n"), err, want)
			}
			for k, v := range m {
				it, err := d.Lookup(k)
				if err != nil && v.dir && v.link && errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					t.Fatalf("%s: lookup of %s: %v", strings.Join(log, "\n"), k, err)
				}
				if (it.Kind == layer.Dir) != v.dir || it.Attributes&winfs.AttrHidden != v.attrs {
					t.Fatalf("%s: %s is %+v, want %+v", strings.Join(log, "\n"), k, it, v)
				}
				if !v.dir {
					if got := mainStream(t, d, k); got != v.data {
						t.Fatalf("%s: %s has %q, want %q", strings.Join(log, "\n"), k, got, v.data)
					}
				}
			}
		}
		shown := dump(t, d)
		if len(shown) != len(m) {
			t.Fatalf("%s: the draft shows %d names, want %d\n%s", strings.Join(log, "\n"), len(shown), len(m), strings.Join(shown, "\n"))
		}
		top := recorded(t, d)
		if d.Empty() != (len(top.Items) == 0) {
			t.Errorf("empty: %v, layer of %d entries", d.Empty(), len(top.Items))
		}
		if again := recorded(t, d); fmt.Sprint(again) != fmt.Sprint(top) {
			t.Error("the second layer differs from the first")
		}
		next := slices.Concat(chain, []*layertest.Layer{top})
		if len(top.Items) > 0 {
			if merged := dump(t, union(t, next...)); !slices.Equal(merged, shown) {
				t.Fatalf("%s:\nlayer\n%s\nmerged\n%s\ndraft\n%s", strings.Join(log, "\n"), entries(top), strings.Join(merged, "\n"), strings.Join(shown, "\n"))
			}
			for _, f := range findings(t, next...) {
				// The fixture has alternate streams, which is what these rules tell of.
				if !strings.HasPrefix(f, "stream") && !strings.HasPrefix(f, "alternate") {
					t.Errorf("%s:\n%s\n%s", strings.Join(log, "\n"), entries(top), f)
				}
			}
			chain = next
		}
		lower = d
	}
}

func entries(l *layertest.Layer) string {
	var b bytes.Buffer
	for _, it := range l.Items {
		fmt.Fprintf(&b, "%v %s %s\n", it.Kind, it.Path, it.Target)
	}
	return b.String()
}

func mainStream(t testing.TB, tree draft.Lower, path string) string {
	t.Helper()
	r, err := tree.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.NextStream(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
