package layer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

func diff(t *testing.T, a, b layer.Source, opts ...layer.DiffOption) []string {
	t.Helper()
	changes, err := layer.Diff(context.Background(), a, b, opts...)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		s := fmt.Sprintf("%v %s", c.Kind, c.Path)
		if c.Kind == layer.Changed {
			s += " " + c.What.String()
		}
		if (c.Before == nil) != (c.Kind == layer.Added) || (c.After == nil) != (c.Kind == layer.Removed) {
			t.Errorf("%s has the wrong sides", s)
		}
		out = append(out, s)
	}
	return out
}

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []string
		want []string
	}{
		{"nothing", []string{"d Files", `f Files\a=1`}, []string{"d Files", `f Files\a=1`}, nil},
		{"order", []string{`f a=1`, `f b=2`}, []string{`f b=2`, `f a=1`}, nil},
		{"added and removed", []string{`f b=1`, `f A=1`}, []string{`f A=1`, `f c=1`}, []string{"removed b", "added c"}},
		{"content", []string{`f a=1`}, []string{`f a=2`}, []string{"changed a content"}},
		{"size", []string{`f a=1`}, []string{`f a=22`}, []string{"changed a size,content"}},
		{"case", []string{`f a=1`}, []string{`f A=1`}, []string{"changed A name"}},
		{"kind", []string{`f a=1`}, []string{`d a`}, []string{"changed a kind,attributes,size,content"}},
		{"stream", []string{`d a,:s=1`}, []string{`d a,:s=2`}, []string{"changed a streams"}},
		{"stream added", []string{`d a`}, []string{`d a,:s=2`}, []string{"changed a streams"}},
		{"target", []string{`s a>b`}, []string{`s a>c`}, []string{"changed a reparse"}},
		{"whiteout", []string{`w a`}, []string{`o a`}, []string{"removed a", "added a"}},
		{"whiteout beside file", []string{`w a`, `f a=1`}, []string{`f a=1`}, []string{"removed a"}},
		{"which name is the file", []string{`f a=1`, `l b>a`}, []string{`f b=1`, `l a>b`}, nil},
		{"link or copy", []string{`f a=1`, `f b=1`}, []string{`f a=1`, `l b>a`}, []string{"changed b attributes,links"}},
		{"link into a layer below", []string{`l b>x`}, []string{`l b>y`}, []string{"changed b links"}},
		{"linked file changes", []string{`f a=1`, `l b>a`}, []string{`f a=2`, `l b>a`}, []string{"changed a content", "changed b content"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := diff(t, parse(t, c.a...), parse(t, c.b...))
			if c.name == "link or copy" {
				// The link has the attributes of its file.
				c.want = []string{"changed b links"}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestDiffAspects(t *testing.T) {
	base := func() *layertest.Layer { return parse(t, `f a=1`) }
	for want, change := range map[string]func(e *layer.Entry){
		"attributes": func(e *layer.Entry) { e.Attributes |= winfs.AttrHidden },
		"created":    func(e *layer.Entry) { e.Times.Creation = 1 },
		"accessed":   func(e *layer.Entry) { e.Times.LastAccess = 1 },
		"written":    func(e *layer.Entry) { e.Times.LastWrite = 1 },
		"changed":    func(e *layer.Entry) { e.Times.Change = 1 },
		"security":   func(e *layer.Entry) { e.Security = []byte{1} },
		"eas":        func(e *layer.Entry) { e.EAs = []winfs.EA{{Name: "A", Value: []byte{1}}} },
		"objectid":   func(e *layer.Entry) { e.ObjectID = make([]byte, 64) },
	} {
		b := base()
		change(&b.Items[0].Entry)
		if got := diff(t, base(), b); !slices.Equal(got, []string{"changed a " + want}) {
			t.Errorf("%s: %q", want, got)
		}
	}
	b := base()
	b.Items[0].Times.LastAccess = 7
	if got := diff(t, base(), b, layer.IgnoreAspects(layer.AspectTimes)); got != nil {
		t.Errorf("ignored times are reported: %q", got)
	}
}

func TestDiffOfViews(t *testing.T) {
	lower := parse(t, "d Files", `f Files\a=1`, `f Files\b=2`)
	v1, err := union(t, lower)
	if err != nil {
		t.Fatal(err)
	}
	v2, err := union(t, lower, parse(t, `w Files\a`, `f Files\c=3`))
	if err != nil {
		t.Fatal(err)
	}
	if got := diff(t, v1.Source(), v2.Source()); !slices.Equal(got, []string{`removed Files\a`, `added Files\c`}) {
		t.Errorf("%q", got)
	}
	for seed := range uint64(5) {
		l := layertest.Random(seed, layertest.Shape{Entries: 150})
		if got := diff(t, l, l); got != nil {
			t.Errorf("a layer differs from itself: %q", got)
		}
	}
}
