package image_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
)

// A base that has lost a file of its image is made again by the next image that needs it,
// and so is one that is gone as a whole. Its files are named by what is in them, so the
// layer above it is whole again, too.
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
	again, err := openLayout(t, two).UnpackStore(t.Context(), store)
	if err != nil || !again[0].Made || !again[1].Made {
		t.Fatalf("%+v, %v", again, err)
	}
	for _, r := range regions {
		lost, err := os.ReadFile(r + ".away")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if made, rerr := os.ReadFile(r); errors.Join(err, rerr) != nil || !bytes.Equal(lost, made) {
			t.Errorf("%s: %v, not the file that was lost", r, errors.Join(err, rerr))
		}
		if err := os.Remove(r + ".away"); err != nil {
			t.Fatal(err)
		}
	}
	checkStored(t, store, append(done, again...))
	if err := loc.Remove(); err != nil {
		t.Fatal(err)
	}
	again, err = openLayout(t, two).UnpackStore(t.Context(), store)
	if err != nil || !again[0].Made || again[1].Made {
		t.Fatalf("%+v, %v", again, err)
	}
	checkStored(t, store, append(done, again...))
}
