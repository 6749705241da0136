package history

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// newHive makes a hive of lines: a key, then its values as NAME=DATA, or -NAME for a
// tombstone. In a delta a key may begin with ! (tombstone), ~ (supersede local) or ^
// (supersede tree).
func newHive(t *testing.T, delta bool, lines ...string) []byte {
	t.Helper()
	h := regf.New(nil)
	defer h.Close()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	if delta {
		must(h.SetLayered(true))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		name := strings.TrimLeft(fields[0], "!~^")
		key, err := h.CreatePath(name)
		must(err)
		if delta {
			l := map[byte]regf.Layer{'!': regf.LayerTombstone, '~': regf.LayerSupersedeLocal, '^': regf.LayerSupersedeTree}[line[0]]
			must(key.SetLayer(l, false))
		}
		for _, v := range fields[1:] {
			if gone, ok := strings.CutPrefix(v, "-"); ok {
				must(key.SetValueTombstone(gone))
				continue
			}
			name, data, _ := strings.Cut(v, "=")
			must(key.SetValue(name, regf.RegBinary, []byte(data)))
		}
	}
	b, err := h.Image()
	must(err)
	return b
}

// found takes the SOFTWARE hives out of layers; a nil hive is a layer without one.
func found(t *testing.T, list ...[]byte) *image.Hives {
	t.Helper()
	var sources []layer.Source
	for i, hive := range list {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		path := hives.Software.Path(hives.Delta)
		if i == 0 {
			path = hives.Software.Path(hives.Config)
		}
		if hive != nil {
			if err := w.WriteHeader(&tar.Header{Name: winfs.ToSlash(path), Typeflag: tar.TypeReg, Size: int64(len(hive))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(hive); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, layer.SourceFunc(func() (layer.Reader, error) {
			return wintar.NewReader(bytes.NewReader(b.Bytes())), nil
		}))
	}
	h, err := image.FindHives(t.Context(), sources, hives.Software)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func toldKey(events []KeyEvent) string {
	text := func(d *Data) string {
		if d == nil {
			return "nothing"
		}
		return string(d.Bytes)
	}
	var out []string
	for _, e := range events {
		s := fmt.Sprintf("%d %v", e.Layer, e.Action)
		if e.Delta != 0 {
			s += " " + e.Delta.String()
		}
		if e.Cause != "" {
			s += " of " + e.Cause
		}
		for _, v := range e.Values {
			s += fmt.Sprintf(" %s:%s→%s", v.Name, text(v.Before), text(v.After))
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestKey(t *testing.T) {
	base := newHive(t, false, `A\B x=1 y=2`, `C`)
	for _, c := range []struct {
		path   string
		value  string // "-" for all
		deltas [][]byte
		want   string
	}{
		{`a\b`, "-", [][]byte{newHive(t, true, `A\B x=3 z=4`), nil, newHive(t, true, `A\B -Y`), newHive(t, true, `A\B`)},
			"0 added x:nothing→1 y:nothing→2; 1 changed x:1→3 z:nothing→4; 3 changed Y:2→nothing; 4 repeated"},
		{`A\B`, "Y", [][]byte{newHive(t, true, `A\B x=3`), newHive(t, true, `A\B -y`), newHive(t, true, `A\B y=5`)},
			"0 added y:nothing→2; 2 changed y:2→nothing; 3 changed y:nothing→5"},
		{`A\B`, "-", [][]byte{newHive(t, true, `A`, `!A\B`), newHive(t, true, `A\B x=1`)},
			"0 added x:nothing→1 y:nothing→2; 1 removed tombstone x:1→nothing y:2→nothing; 2 restored x:nothing→1"},
		{`A\B`, "-", [][]byte{newHive(t, true, `!A`)}, "0 added x:nothing→1 y:nothing→2; 1 removed tombstone of A x:1→nothing y:2→nothing"},
		{`A\B`, "-", [][]byte{newHive(t, true, `^A z=1`)}, "0 added x:nothing→1 y:nothing→2; 1 removed supersede-tree of A x:1→nothing y:2→nothing"},
		{`A\B`, "-", [][]byte{newHive(t, true, `^A\B y=2`)}, "0 added x:nothing→1 y:nothing→2; 1 replaced supersede-tree x:1→nothing"},
		{`A\B`, "-", [][]byte{newHive(t, true, `~A\B y=3`)}, "0 added x:nothing→1 y:nothing→2; 1 changed supersede-local y:2→3 x:1→nothing"},
		{`A\B`, "-", [][]byte{newHive(t, true, `~A`)}, "0 added x:nothing→1 y:nothing→2; 1 removed supersede-local of A x:1→nothing y:2→nothing"},
		{`D`, "-", [][]byte{newHive(t, true, `C`), newHive(t, true, `D =default`)}, "2 added :nothing→default"},
		{``, "-", [][]byte{newHive(t, true, `C`)}, "0 added; 1 repeated"},
		{`A\B`, "x", [][]byte{newHive(t, false, `A\B x=9`)}, "0 added x:nothing→1; 1 changed x:1→9"}, // an ordinary hive as a delta
	} {
		var value *string
		if c.value != "-" {
			value = &c.value
		}
		events, err := Key(t.Context(), found(t, append([][]byte{base}, c.deltas...)...), hives.Software, c.path, value)
		if err != nil || toldKey(events) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.path, toldKey(events), err, c.want)
		}
	}
	none, x := "none", "x"
	for _, c := range []struct {
		n     hives.Name
		path  string
		value *string
	}{{hives.Software, `A\X`, nil}, {hives.Software, `A\B`, &none}, {hives.System, `A\B`, &x}} {
		if _, err := Key(t.Context(), found(t, base), c.n, c.path, c.value); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
	// A layer without those below it.
	if events, err := Key(t.Context(), found(t, nil, newHive(t, true, `A\B x=1`)), hives.Software, `A\B`, nil); err != nil || toldKey(events) != "1 added x:nothing→1" {
		t.Errorf("%q, %v", toldKey(events), err)
	}
}

// TestKeyAgainstMerge: the values after the last event are those of the merged hive.
func TestKeyAgainstMerge(t *testing.T) {
	paths := []string{`A`, `A\B`, `A\B\C`, `D`, `D\B`}
	compared := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 3))
		lines := func(marks []string) []string {
			var out []string
			for _, p := range paths {
				if r.IntN(3) == 0 {
					continue
				}
				mark := marks[r.IntN(len(marks))]
				if mark == "!" {
					// A tombstone has neither values nor subkeys; those follow.
					out = append(out, mark+p)
					return out
				}
				line := mark + p
				for _, v := range []string{"x", "y"} {
					switch n := r.IntN(4); {
					case n == 0:
						line += fmt.Sprintf(" %s=%d", v, r.IntN(3))
					case n == 1 && len(marks) > 1:
						line += " -" + v
					}
				}
				out = append(out, line)
			}
			return out
		}
		list := [][]byte{newHive(t, false, lines([]string{""})...)}
		for range 1 + r.IntN(3) {
			list = append(list, newHive(t, true, lines([]string{"", "", "", "!", "~", "^"})...))
		}
		h := found(t, list...)
		merged, err := h.Open(t.Context(), hives.Software)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			events, err := Key(t.Context(), h, hives.Software, p, nil)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			got := map[string]string{}
			there := false
			for _, e := range events {
				there = e.Action != Removed
				for _, v := range e.Values {
					if before := v.Before; before == nil && got[v.Name] != "" || before != nil && got[v.Name] != string(before.Bytes) {
						t.Fatalf("seed %d: %s: the value before does not fit: %s", seed, p, toldKey(events))
					}
					delete(got, v.Name)
					if v.After != nil {
						got[v.Name] = string(v.After.Bytes)
					}
				}
			}
			want := map[string]string{}
			key, err := merged.Key(p)
			if (err == nil) != there {
				t.Fatalf("seed %d: %s: %s; the merged hive says %v", seed, p, toldKey(events), err)
			}
			if err == nil {
				for v, err := range key.Values() {
					if err != nil {
						t.Fatal(err)
					}
					data, err := v.Data()
					if err != nil {
						t.Fatal(err)
					}
					want[v.Name()] = string(data)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d: %s: %s gives %v, the merged hive has %v", seed, p, toldKey(events), got, want)
			}
			compared++
		}
		if err := merged.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if compared < 1000 {
		t.Errorf("only %d keys were compared", compared)
	}
}
