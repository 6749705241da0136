package image_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// lowerListing returns all that a tree has, a line for each name: metadata, streams, and
// with links which of the names before it is the same file.
func lowerListing(t *testing.T, tree overlay.Lower, links bool) []string {
	t.Helper()
	var out []string
	first := map[uint64]string{}
	content := func(s overlay.Stream) string {
		b := make([]byte, s.Size())
		if n, err := s.ReadAt(b, 0); n < len(b) || err != nil && err != io.EOF {
			t.Errorf("%q: %d of %d bytes, %v", s.Name(), n, len(b), err)
		}
		// From the end, as a reader of the kernel may.
		for at := len(b) / 3 * 2; at > 0; at /= 2 {
			half := make([]byte, len(b)-at)
			if n, err := s.ReadAt(half, int64(at)); n < len(half) || !bytes.Equal(half, b[at:]) {
				t.Errorf("%q at %d: %d bytes, %v", s.Name(), at, n, err)
			}
		}
		if n, err := s.ReadAt(make([]byte, 1), s.Size()); n != 0 || err != io.EOF {
			t.Errorf("%q at its end: %d, %v", s.Name(), n, err)
		}
		return fmt.Sprintf("%d %x", len(b), sha256.Sum256(b))
	}
	var walk func(path string, f overlay.File)
	walk = func(path string, f overlay.File) {
		sd, err1 := f.Security()
		eas, err2 := f.EAs()
		rp, err3 := f.Reparse()
		count, err4 := f.NumLinks()
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			t.Fatal(path, err1, err2, err3, err4)
		}
		path = winfs.Fold(path) // the spelling may differ; see image.Files
		line := fmt.Sprintf("%s dir=%v size=%d %v %v sd=%x ea=%x rp=%x", path, f.IsDir(), f.Size(), f.Attributes(), f.Times(), sd, eas, rp)
		if other, ok := first[f.ID()]; !ok {
			first[f.ID()] = path
		} else if links {
			line += " = " + other
		}
		if links {
			line += fmt.Sprintf(" links=%d", count)
		}
		if !f.IsDir() {
			s, err := f.Open()
			if err != nil {
				t.Fatal(path, err)
			}
			line += " main " + content(s)
		}
		streams, err := f.Streams()
		if err != nil {
			t.Fatal(path, err)
		}
		for _, s := range streams {
			line += " :" + s.Name() + " " + content(s)
		}
		out = append(out, line)
		if !f.IsDir() {
			return
		}
		for e, err := range f.Entries() {
			if err != nil {
				t.Fatal(path, err)
			}
			c, err := f.Child(strings.ToUpper(e.Name))
			if err != nil {
				t.Fatalf("%s has no %s: %v", path, e.Name, err)
			}
			d, err := tree.File(e.ID)
			if err != nil || d.ID() != e.ID || c.ID() != e.ID {
				t.Fatalf("%s: %s is file %d, %d and %d, %v", path, e.Name, e.ID, c.ID(), d.ID(), err)
			}
			walk(winfs.JoinPath(path, e.Name), c)
		}
		if _, err := f.Child("there is none"); err == nil {
			t.Error("a child of any name")
		}
	}
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	walk("", root)
	return out
}

// storeListing is the listing of an image that is unpacked.
func storeListing(t *testing.T, img *image.Image, links bool) []string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	layers, err := img.UnpackStore(t.Context(), openStore(t, dir), cimlayer.WithMissingHives(cimlayer.LeaveMissing))
	if err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(filepath.Split(filepath.Join(dir, filepath.FromSlash(layers[len(layers)-1].Image))))
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	return lowerListing(t, overlay.CimLower(im), links)
}

// sameAsUnpacked compares the files of an image, twice, with those of the unpacked one.
func sameAsUnpacked(t *testing.T, ref string, links bool) {
	t.Helper()
	a := &asker{ref: ref, dir: filepath.Join(t.TempDir(), "cache")}
	plain, err := image.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want := storeListing(t, plain, links)
	for turn := range 2 {
		img, done := a.open(t)
		files, err := img.Files(t.Context())
		if err != nil || files == nil {
			t.Fatal(files, err)
		}
		if n := a.read.Load(); turn > 0 && n > 0 {
			t.Errorf("turn %d: %d bytes are read before a file is", turn, n)
		}
		stored := int64(0)
		for _, l := range img.Layers() {
			stored += l.Descriptor.Size
		}
		if n := a.read.Load(); n > stored {
			t.Errorf("turn %d: %d bytes are read of layers with %d", turn, n, stored)
		}
		got := lowerListing(t, files, links)
		if !slices.Equal(got, want) {
			for n := range max(len(got), len(want)) {
				if n >= len(got) || n >= len(want) || got[n] != want[n] {
					t.Errorf("turn %d, line %d:\n got %.900s\nwant %.900s", turn, n, slices.Concat(got[min(n, len(got)):], []string{"-"})[0], slices.Concat(want[min(n, len(want)):], []string{"-"})[0])
					break
				}
			}
		}
		if err := files.Close(); err != nil {
			t.Error(err)
		}
		if _, err := files.Root(); err != nil {
			t.Error("the names are in memory: ", err)
		}
		done()
	}
	if len(a.notes) > 0 {
		t.Error(a.notes)
	}
}

// The tree that is read through the index is that of the unpacked image.
func TestFilesAsUnpacked(t *testing.T) {
	big := make([]byte, 9<<20)
	for i := range big {
		big[i] = byte(i>>9) ^ byte(i*7)
	}
	for name, img := range map[string]imagetest.Image{
		"links": gzipped([]entry{
			{kind: layer.Dir, path: `Files`}, {kind: layer.Dir, path: `Files\d`},
			{kind: layer.File, path: `Files\d\a`, data: "a", stream: "alternate"},
			{kind: layer.Link, path: `Files\d\b`, target: `Files\d\a`},
			{kind: layer.File, path: `Files\big`, data: string(big)},
			{kind: layer.File, path: `Files\gone`, data: "x"},
			{kind: layer.File, path: `Files\kept`, data: "kept"},
		}, []entry{
			{kind: layer.Link, path: `Files\d\c`, target: `Files\kept`},
			{kind: layer.Whiteout, path: `Files\gone`},
			{kind: layer.File, path: `Files\implied\x\y`, data: "y"},
			{kind: layer.File, path: `Files\d\b`, data: "instead"},
		})(t),
		"two layers": twoLayers(t, "10.0.17763.1", "v1"),
	} {
		t.Run(name, func(t *testing.T) { sameAsUnpacked(t, "oci:"+layout(t, img), true) })
	}
	t.Run("hello", func(t *testing.T) {
		sameAsUnpacked(t, "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"), true)
	})
	if ref := os.Getenv("MULLION_FILES_IMAGE"); ref != "" { // a larger one
		t.Run("given", func(t *testing.T) { sameAsUnpacked(t, ref, true) })
	}
}

// Random layers, with random changes of the registry, show the same as when they are unpacked.
func TestFilesOfRandomImages(t *testing.T) {
	rounds := 4
	if os.Getenv("MULLION_LONG") == "1" {
		rounds = 100
	}
	open := func(b []byte) *regf.Hive {
		h, err := regf.OpenBytes(slices.Clone(b), &regf.Options{Clock: func() winfs.Filetime { return 132e15 }})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	compact := func(h *regf.Hive) []byte {
		b, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		now := map[hives.Name][]byte{} // what a container sees
		var chain [][]entry
		below := naive{}
		for number := range 2 + r.IntN(3) {
			l := randomLayer(r, number == 0, below)
			if number == 0 {
				for _, e := range hiveEntries(t) {
					if n, _, ok := hives.Match(e.path); ok {
						now[n] = []byte(e.data)
					}
					if !slices.ContainsFunc(l, func(x entry) bool { return winfs.EqualFold(x.path, e.path) }) {
						l = append(l, e)
					}
				}
			} else {
				for _, n := range hives.All() {
					if r.IntN(2) == 0 {
						continue // a layer without a delta for this hive
					}
					before, after := open(now[n]), open(now[n])
					if r.IntN(4) > 0 { // otherwise one that changes nothing
						edit(t, r, after, registryModel{})
					}
					d, err := regf.Diff(before, after, nil)
					if err != nil {
						t.Fatal(err)
					}
					l = append(l, entry{kind: layer.File, path: n.Path(hives.Delta), data: string(compact(d))})
					now[n] = compact(after)
				}
			}
			below.apply(l)
			chain = append(chain, l)
		}
		// Layers link to files of those below them here; see image.Files.
		sameAsUnpacked(t, "oci:"+layout(t, gzipped(chain...)(t)), false)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
