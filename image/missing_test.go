package image_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/layer"
)

// A store in which a layer below is not what it was: a clear error, nothing new, and
// what is there stays.
func TestUnpackStoreMissingBase(t *testing.T) {
	base := hiveEntries(t)
	one := layout(t, gzipped(base, []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: "one"}})(t))
	two := layout(t, gzipped(base, []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: "two"}})(t))
	store := openStore(t, t.TempDir())
	done, err := openLayout(t, one).UnpackStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := store.Location(string(done[0].ChainID))
	if err != nil {
		t.Fatal(err)
	}
	regions, err := filepath.Glob(filepath.Join(loc.Images, "region_*_0"))
	if err != nil || len(regions) != 2 {
		t.Fatal(regions, err)
	}
	// Which of the two is the base's: the one without which it does not open.
	for _, r := range regions {
		if err := os.Rename(r, r+".away"); err != nil {
			t.Fatal(err)
		}
		im, err := store.Open(string(done[0].ChainID))
		if err == nil {
			im.Close()
			if err := os.Rename(r+".away", r); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := dirState(t, store.Dir())
	_, err = openLayout(t, two).UnpackStore(t.Context(), store)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if after := dirState(t, store.Dir()); !slices.Equal(before, after) {
		t.Errorf("before\n%q\nafter\n%q", before, after)
	}
	// When the whole base is gone it is made again. Its files are named by what is in
	// them, so the layer above it is whole again, too.
	for _, r := range regions {
		if err := os.Rename(r+".away", r); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := loc.Remove(); err != nil {
		t.Fatal(err)
	}
	again, err := openLayout(t, two).UnpackStore(t.Context(), store)
	if err != nil || !again[0].Made || !again[1].Made {
		t.Fatalf("%+v, %v", again, err)
	}
	checkStored(t, store, append(done, again...))
}

// dirState lists the files of a store with their sizes, without locks.
func dirState(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(p)) == "locks" {
			return err
		}
		info, err := d.Info()
		list = append(list, fmt.Sprint(p, " ", info.Size()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
