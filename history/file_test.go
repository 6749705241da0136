package history

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// told formats events for comparison.
func told(events []FileEvent) string {
	var out []string
	for _, e := range events {
		s := fmt.Sprintf("%d %v", e.Layer, e.Action)
		if e.What != 0 {
			s += " " + e.What.String()
		}
		if e.Cause != nil {
			s += " by " + e.Cause.String()
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestFile(t *testing.T) {
	hidden := file(`Files\d\a`, "one")
	hidden.Attributes, hidden.Security = winfs.AttrHidden, []byte{1}
	junction := dir(`Files\d`)
	var err error
	if junction.Reparse, err = winfs.EncodeMountPoint(`\??\C:\x`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		layers [][]layertest.Item
		want   string
	}{
		{`files/D\A`, [][]layertest.Item{{dir(`Files\d`), file(`Files\d\a`, "one")}, {file(`Files\x`, "")}, {file(`Files\D\a`, "two!")}, {file(`Files\D\a`, "two!")}},
			"0 added; 2 changed name,size,content; 3 repeated"},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {hidden}, {file(`Files\d\a`, "one", layertest.Stream{Name: "s", Data: []byte("x")})}},
			"0 added; 1 changed attributes,security; 2 changed attributes,security,streams"},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {whiteout(`Files\d\a`)}, {whiteout(`Files\d`)}, {file(`Files\d\a`, "one")}},
			`0 added; 1 removed by whiteout of Files\d\a; 3 restored`},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {opaque(`Files`)}},
			`0 added; 1 removed by opaque whiteout of Files`},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {file(`Files\d`, "")}},
			`0 added; 1 removed by file at Files\d`},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {junction}},
			`0 added; 1 removed by directory at Files\d`},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {file(`Files\d\a`, "two"), opaque(`Files\d`)}},
			`0 added; 1 replaced content by opaque whiteout of Files\d`},
		{`Files\d\a`, [][]layertest.Item{{file(`Files\b`, "one")}, {link(`Files\d\a`, `Files\b`)}, {file(`Files\d\a`, "two")}},
			`1 linked; 2 replaced`},
		{`Files\d`, [][]layertest.Item{{file(`Files\d\a`, "one")}, {dir(`Files\d`)}, {opaque(`Files\d`)}, {file(`Files\d`, "")}},
			`0 added; 1 changed; 2 emptied by opaque whiteout of Files\d; 3 replaced kind`},
		{`Files\d`, [][]layertest.Item{{file(`Files\d`, "")}, {file(`Files\d\a`, "one"), whiteout(`Files\d`)}},
			`0 added; 1 replaced kind by whiteout of Files\d`},
		{`Files\da`, [][]layertest.Item{{file(`Files\da`, "")}, {whiteout(`Files\d`), whiteout(`Files\d\a`)}}, `0 added`},
	} {
		events, err := File(t.Context(), chain(c.layers...), strings.ReplaceAll(c.path, "/", `\`), layer.Limits{})
		if err != nil || told(events) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.path, told(events), err, c.want)
		}
	}
	events, err := File(t.Context(), chain([]layertest.Item{file("a", "abc")}), "A", layer.Limits{})
	if err != nil || events[0].Size != 3 || events[0].SHA256 != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || events[0].Entry.Path != "a" {
		t.Errorf("%+v, %v", events, err)
	}
	if _, err := File(t.Context(), chain([]layertest.Item{dir("Files")}), `Files\none`, layer.Limits{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	many := file("a", "")
	for range 10 {
		many.Streams = append(many.Streams, layertest.Stream{Name: "s"})
	}
	if _, err := File(t.Context(), chain([]layertest.Item{many}), "a", layer.Limits{Streams: 3}); !errors.Is(err, layer.ErrLimit) {
		t.Error(err)
	}
}

// TestFileAgainstView: after the last event there is something at a path if there is in the
// merged view, and its size is the same.
func TestFileAgainstView(t *testing.T) {
	compared := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		var layers [][]layertest.Item
		for range 1 + r.IntN(4) {
			layers = append(layers, randomLayer(r))
		}
		sources := chain(layers...)
		view, err := layer.Union(t.Context(), sources)
		if err != nil {
			continue
		}
		for _, path := range []string{`Files\a`, `Files\d`, `Files\d\a`, `Files\d\e\a`} {
			events, err := File(t.Context(), sources, path, layer.Limits{})
			item, there := view.Lookup(path)
			if errors.Is(err, fs.ErrNotExist) {
				if there == nil {
					t.Fatalf("seed %d: %s is in the view and has no event", seed, path)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			last := events[len(events)-1]
			if (last.Action != Removed) != (there == nil) {
				t.Fatalf("seed %d: %s: %s, and the view says %v", seed, path, told(events), there)
			}
			if last.Entry != nil && last.Entry.Kind == layer.File && (item.Kind != layer.File || item.Size != last.Size) {
				t.Fatalf("seed %d: %s: %s, and the view has %v of %d bytes", seed, path, told(events), item.Kind, item.Size)
			}
			compared++
		}
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if compared < 600 {
		t.Errorf("only %d paths were compared", compared)
	}
}

func TestActionString(t *testing.T) {
	if Removed.String() != "removed" || Action(0).String() != "invalid action" || Action(99).String() != "invalid action" {
		t.Error(Removed, Action(0), Action(99))
	}
}
