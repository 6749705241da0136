package containerdtest_test

import (
	"context"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/containerdtest"
	"github.com/mullion/mullion/internal/faulttest"
)

// The disk of the plugin fails while an image is imported: at one operation, or from
// one on. The user of ctr is told what and at which layer, the plugin lives on, metadata
// and disk agree, nothing is left, and with the disk whole again the same import goes
// through. MULLION_FAULTS is at how many places each kind of operation fails; 1000 are
// all.
func TestIOErrors(t *testing.T) {
	t.Parallel()
	places := number(t, "MULLION_FAULTS", 2)
	r := containerdtest.Start(t)
	d := &badDisk{t: t, r: r, dir: filepath.Join(r.Dir, "disk"), agree: (&killer{t: t, r: r}).agree}
	d.image = archive(t, windowsImage(blob.Zstd, baseLayer(t, file{`Files\a.txt`, "read"}), windowsLayer(t, file{`Files\b.txt`, "written"})))
	if err := r.Plugin.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.faults = faulttest.Mount(t, d.dir, r.Root)
	t.Cleanup(func() { // before its file system goes
		if err := r.Plugin.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := r.Plugin.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	reconnected(t, r)
	var failures, tolerated int
	for _, way := range ways {
		var done map[string][]string
		for range 2 { // of the first import some files stay, which are locked during others
			d.faults.Fail("", 0, 0)
			if err := d.load(way); err != nil {
				t.Fatal(err)
			}
			done, _ = d.faults.End()
			d.empty()
		}
		for _, op := range slices.Sorted(maps.Keys(done)) {
			for _, at := range choose(done[op], places) {
				told, failed := d.fail(way, op, at, at)
				switch {
				case len(failed) == 0: // there were fewer this time
				case told:
					failures++
				default:
					tolerated++
				}
				if t.Failed() {
					t.Fatalf("%v: %v failed", way, failed)
				}
			}
		}
		for _, op := range []string{faulttest.Write, faulttest.Fsync} {
			told, failed := d.fail(way, op, len(done[op])/2, math.MaxInt)
			if !told || t.Failed() {
				t.Fatalf("%v: told %v that %v failed", way, told, failed)
			}
			failures++
		}
	}
	t.Logf("%d imports failed, %d went through in spite of an error", failures, tolerated)
	if failures < 10 {
		t.Error("that is too few")
	}
}

// choose returns the places, counted from 1, of some operations on files: as many as are
// wanted spread over all of them, and beside these two of those on the metadata, of which
// every other one makes a transaction count.
func choose(files []string, places int) []int {
	var all []int
	for i := range min(places, len(files)) {
		all = append(all, 1+(2*i+1)*len(files)/(2*min(places, len(files))))
	}
	n := 0
	for i, f := range files {
		if f == "metadata.db" {
			if n++; n == 2 || n == 4 {
				all = append(all, i+1)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// badDisk is a rig whose plugin has a disk that fails.
type badDisk struct {
	t      *testing.T
	r      *containerdtest.Rig
	dir    string // what is on the disk
	faults *faulttest.FS
	image  string // file to import
	agree  func(context.Context)
}

// load imports the image.
func (d *badDisk) load(way []string) error {
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"images", "import", "--base-name", "example.com/io"}, importFlags...)
	_, err := d.r.Run(ctx, append(append(args, way...), d.image)...)
	return err
}

// fail imports the image while some operations fail, and again when none does. told says
// that ctr has ended with an error.
func (d *badDisk) fail(way []string, op string, at, upTo int) (told bool, failed []string) {
	d.t.Helper()
	d.faults.Fail(op, at, upTo)
	err := d.load(way)
	_, failed = d.faults.End()
	if !d.r.Plugin.Running() {
		d.t.Fatalf("%v: the plugin has ended", failed)
	}
	d.agree(d.t.Context())
	if err != nil {
		// Every layer is named by its chain ID or its blob.
		if text := err.Error(); !strings.Contains(text, "input/output error") || !strings.Contains(text, "sha256:") {
			d.t.Errorf("%v: ctr says %v", failed, err)
		}
		if upTo > at {
			// What could not even be undone is cleared away by the next process.
			if err := d.r.Plugin.Stop(); err != nil {
				d.t.Error(err)
			}
			if err := d.r.Plugin.Start(d.t.Context()); err != nil {
				d.t.Fatal(err)
			}
			reconnected(d.t, d.r)
		} else {
			d.empty()
		}
		if err := d.load(way); err != nil {
			d.t.Errorf("after %v: %v", failed, err)
		}
	}
	if err == nil || upTo > at {
		if got := mountImage(d.t, d.r, "example.com/io:v1", "Files/a.txt"); got != "read" {
			d.t.Errorf("after %v it reads %q", failed, got)
		}
	}
	d.empty()
	return err != nil, failed
}

// empty removes the image and what is left of failed imports, and checks that the plugin
// keeps nothing of it.
func (d *badDisk) empty() {
	d.t.Helper()
	removeImages(d.t, d.r)
	empty(d.t, d.r)
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.dir, path)
		if name != "lock" && name != "metadata.db" && filepath.Dir(name) != "locks" {
			d.t.Errorf("on disk there is still %s", name)
		}
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
	d.agree(d.t.Context())
}
