package layer_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
)

func TestSelect(t *testing.T) {
	base := parse(t, "d Files", `d Files\d`, `d Files\e,:s=x`, `f Files\d\a=1`, `l Files\e\b>Files\d\a`, `l Files\e\c>Files\d\a`, `f Files\z=9`)
	upper := parse(t, `d Files\D`, `f Files\d\new=2`, `w Files\z`)
	v, err := union(t, base, upper)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ paths, want []string }{
		{[]string{""}, []string{"d Files", `d Files\e,:s=x`, `d Files\d`, `f Files\d\a=1`, `l Files\e\b>Files\d\a`, `l Files\e\c>Files\d\a`, `f Files\d\new=2`}},
		{[]string{`files\D`}, []string{"d Files", `d Files\d`, `f Files\d\a=1`, `f Files\d\new=2`}},
		// The content comes under the first selected name, with the directories above it.
		{[]string{`Files\e`}, []string{"d Files", `d Files\e,:s=x`, `f Files\e\b=1`, `l Files\e\c>Files\e\b`}},
		{[]string{`Files\e\c`}, []string{"d Files", `d Files\e,:s=x`, `f Files\e\c=1`}},
		{[]string{`Files\e\c`, `Files\d\a`}, []string{"d Files", `d Files\d`, `f Files\d\a=1`, `d Files\e,:s=x`, `l Files\e\c>Files\d\a`}},
		{[]string{`Files\d\new`, `Files\d\new`}, []string{"d Files", `d Files\d`, `f Files\d\new=2`}},
	} {
		r, err := v.Select(c.paths...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := layertest.Collect(r, false)
		if err != nil || !slices.Equal(words(got), c.want) {
			t.Errorf("%q: %q, want %q, %v", c.paths, words(got), c.want, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Select(`Files\d`, `Files\z`); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that a whiteout hides: %v", err)
	}
}

// A layer of which nothing is selected is not read.
func TestSelectSkipsLayers(t *testing.T) {
	base, upper := parse(t, "d Files", `f Files\a=1`), parse(t, `f Files\b=2`)
	opened := 0
	counted := layer.SourceFunc(func() (layer.Reader, error) {
		opened++
		return base.Open()
	})
	v, err := layer.Union(t.Context(), []layer.Source{counted, upper})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	r, err := v.Select(`Files\b`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := layertest.Collect(r, false)
	if err != nil || !slices.Equal(words(got), []string{"d Files", `f Files\b=2`}) {
		t.Errorf("%q, %v", words(got), err)
	}
	if opened != 1 {
		t.Errorf("the base layer was opened %d times", opened)
	}
}
