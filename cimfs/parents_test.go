package cimfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/finding"
)

// TestParentCycle: an image that names itself among its parents, or one of them
// twice, is none.
func TestParentCycle(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a.cim", "b.cim", "c.cim"} {
		opts := &Options{}
		if i > 0 {
			opts.Parent = []string{"a.cim", "b.cim"}[i-1]
		}
		b := newBuilder(t, dir, name, opts)
		b.file("file of "+name, Meta{}, []byte(name))
		b.commit(dir, name)
	}
	good, err := os.ReadFile(filepath.Join(dir, "c.cim"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := imageSize, imageSize+parentSetSize
	for what, from := range map[string]int{"itself": imageGUIDAt, "the other": second} {
		b := append([]byte(nil), good...)
		copy(b[first:first+16], good[from:from+16])
		if err := os.WriteFile(filepath.Join(dir, "c.cim"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if im, err := Open(dir, "c.cim"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s as a parent: %v", what, err)
			if err == nil {
				im.Close()
			}
		}
		if list, err := finding.Collect(Check(context.Background(), dir, "c.cim", CheckOptions{})); err != nil || len(list) == 0 {
			t.Errorf("%s as a parent, check: %v %v", what, list, err)
		}
	}
}
