package image_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
)

var errInjected = errors.New("injected")

// failEach calls do with an option that fails the first operation, then the second,
// and so on, until nothing is left to fail. It returns how many there were.
func failEach(t *testing.T, do func(failed *string, opt image.Option) error) int {
	t.Helper()
	for n := 1; ; n++ {
		count, failed := 0, ""
		err := do(&failed, image.WithHook(func(op, name string) error {
			if count++; count == n {
				failed = op + " " + filepath.Base(name)
				return errInjected
			}
			return nil
		}))
		if err == nil {
			return n - 1
		}
		if !errors.Is(err, errInjected) {
			t.Fatalf("%s: %v", failed, err)
		}
	}
}

// Whatever operation on the record of an image fails, there is no record and nothing
// half written, the layers stay whole, and the next attempt needs none of them again.
func TestUnpackStoreFaults(t *testing.T) {
	dir := layout(t, gzipped(hiveEntries(t), []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: "a"}})(t))
	store := openStore(t, t.TempDir())
	records := filepath.Join(store.Dir(), "images")
	tries := 0
	steps := failEach(t, func(failed *string, opt image.Option) error {
		img := openLayout(t, dir, opt)
		done, err := img.UnpackStore(t.Context(), store)
		wantLayers(t, store, 2)
		if tries++; err == nil {
			checkStored(t, store, done)
			for _, l := range done {
				if l.Made {
					t.Errorf("%v was made again", l.ChainID)
				}
			}
			return nil
		}
		name := img.Digest().Encoded()
		list, readErr := os.ReadDir(records)
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
			t.Fatal(readErr)
		}
		for _, e := range list {
			if n := e.Name(); n != name+".config.json" && n != "."+name+".lock" {
				t.Errorf("after %s there is %s", *failed, n)
			}
		}
		if removed := os.RemoveAll(records); removed != nil {
			t.Fatal(removed)
		}
		return err
	})
	if steps != 8 {
		t.Errorf("%d operations were failed", steps)
	}
	if list, err := filepath.Glob(filepath.Join(records, "*.json")); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}

// Whatever operation fails, there is no folder, nothing is left beside it, and the
// next attempt succeeds.
func TestUnpackFaults(t *testing.T) {
	img := gzipped([]entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: "a"}})(t)
	dir, place := layout(t, img), t.TempDir()
	out := filepath.Join(place, "out")
	create := func(root *os.Root, name string, _ []string) (layer.Writer, error) {
		return wclayer.CreateTransportIn(root, name)
	}
	steps := failEach(t, func(failed *string, opt image.Option) error {
		_, err := openLayout(t, dir, opt).Unpack(t.Context(), out, create)
		list, readErr := os.ReadDir(place)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err != nil && len(list) > 0 {
			t.Errorf("after %s there is %v", *failed, list)
		}
		return err
	})
	if steps != 8 {
		t.Errorf("%d operations were failed", steps)
	}
	var names []string
	list, err := os.ReadDir(out)
	for _, e := range list {
		names = append(names, e.Name())
	}
	if want := []string{"config.json", "layers.json"}; err != nil || len(names) != 3 || !slices.Equal(names[1:], want) {
		t.Errorf("%v, %v", names, err)
	}
}

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
