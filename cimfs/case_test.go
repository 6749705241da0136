package cimfs

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
)

// TestForkOtherCase: a name of the parent image takes in what a layer spells in
// another case, however often, and keeps its own spelling; what the fork itself has
// made has one spelling.
func TestForkOtherCase(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.dir("Files", Meta{})
	b.file(`Files\old`, Meta{}, []byte("old"))
	b.commit(dir, "a.cim")

	w, err := Create(dir, "b.cim", &Options{Parent: "a.cim"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, step := range []struct {
		err, want error
	}{
		{w.AddDir("FILES", nil), nil},
		{w.AddDir("FILES", nil), nil},
		{w.AddFile(`FILES\new`, nil, 0), nil},
		{w.AddDir("files", nil), nil},
		{w.AddFile(`files\OLD`, nil, 0), nil},
		{w.AddFile(`files\old`, nil, 0), nil},
		{w.AddDir(`files\Sub`, nil), nil},
		{w.AddDir(`files\SUB`, nil), ErrCaseConflict},
	} {
		if !errors.Is(step.err, step.want) {
			t.Errorf("step %d: %v, want %v", i, step.err, step.want)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := Open(dir, "b.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	names := func(path string) (list []string) {
		f, err := im.Lookup(path)
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range f.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, e.Name)
		}
		return list
	}
	if got := names(""); !slices.Equal(got, []string{"Files"}) {
		t.Errorf("the root has %q", got)
	}
	if got := names("fILES"); !slices.Equal(got, []string{"new", "old", "Sub"}) {
		t.Errorf("Files has %q", got)
	}
	if list, err := finding.Collect(Check(context.Background(), dir, "b.cim", CheckOptions{})); err != nil || len(list) > 0 {
		t.Errorf("%v %v", list, err)
	}
}
