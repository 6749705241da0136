package overlay_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// image writes entries as an image, over a parent if there is one.
func image(t *testing.T, dir, name string, parent *cimfs.Image, src layer.Reader) *cimfs.Image {
	t.Helper()
	o := &cimfs.Options{}
	if parent != nil {
		o.Parent = parent.Name()
	}
	w, err := cimfs.Create(dir, name, o)
	if err != nil {
		t.Fatal(err)
	}
	iw := cimlayer.NewImageWriter(w, parent, cimlayer.ImageOptions{Name: name})
	defer iw.Close()
	if _, err := layer.Copy(context.Background(), iw, src); err != nil {
		t.Fatal(err)
	}
	if err := iw.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

func source(im *cimfs.Image) layer.Source {
	return layer.SourceFunc(func() (layer.Reader, error) { return cimlayer.NewImageReader(im), nil })
}

// The changes in a view of an image become an image forked from it that has the same
// contents, also if the changes went through a tar.
func TestChangesBecomeImage(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testChanges(t, seed) })
	}
}

func testChanges(t *testing.T, seed uint64) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(seed, 9))
	base, err := layertest.Random(seed, layertest.Shape{Entries: 40, Base: true, MaxSize: 5000, Without: layertest.Whiteouts | layertest.Opaques | layertest.ObjectIDs | layertest.LoneSurrogates}).Open()
	if err != nil {
		t.Fatal(err)
	}
	lower := image(t, dir, "base.cim", nil, base)
	tr, err := overlay.Open(t.TempDir(), overlay.CimLower(lower), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	change(t, r, tr)
	changes := func() layer.Reader {
		c, err := tr.Changes()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	direct := image(t, dir, "direct.cim", lower, changes())
	pr, pw := io.Pipe()
	go func() {
		w := wintar.NewWriter(pw)
		_, err := layer.Copy(context.Background(), w, changes())
		if err == nil {
			err = w.Commit()
		}
		pw.CloseWithError(err)
	}()
	throughTar := image(t, dir, "tar.cim", lower, wintar.NewReader(pr))

	// The whole tree, as a layer over nothing: all that the overlay shows.
	union, err := layer.Union(context.Background(), []layer.Source{source(lower), layer.SourceFunc(tr.Changes)})
	if err != nil {
		t.Fatal(err)
	}
	defer union.Close()
	for name, im := range map[string]*cimfs.Image{"direct": direct, "through a tar": throughTar} {
		list, err := layer.Diff(context.Background(), union.Source(), source(im), layer.IgnoreAspects(layer.AspectName))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			t.Errorf("%s: %v %v %s", name, c.Kind, c.What, c.Path)
		}
		compare(t, tr, tr.Root(), im, "")
	}
}

// compare walks the overlay and the image side by side.
func compare(t *testing.T, tr *overlay.Tree, id uint64, im *cimfs.Image, path string) {
	t.Helper()
	list, err := tr.ReadDir(id)
	if err != nil {
		t.Fatal(err)
	}
	d, err := im.Lookup(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if n, err := d.NumEntries(); err != nil || n != len(list) {
		t.Errorf("%s has %d names in the image, %v; %d in the overlay", path, n, err, len(list))
	}
	for _, e := range list {
		at := winfs.JoinPath(path, e.Name)
		i, err := tr.Lookup(id, e.Name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := im.Lookup(at)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if f.Size() != i.Size || f.Times() != i.Times || f.IsDir() != (i.Attributes&winfs.AttrDirectory != 0) {
			t.Errorf("%s: %d bytes, %v; want %d, %v", at, f.Size(), f.Times(), i.Size, i.Times)
		}
		if names, err := f.Links(); err != nil || !f.IsDir() && len(names) != i.Links {
			t.Errorf("%s has %d names, %v; want %d", at, len(names), err, i.Links)
		}
		if f.IsDir() {
			compare(t, tr, i.ID, im, at)
		}
		tr.Forget(i.ID, 1)
	}
}

// change does random things to a tree: removes, renames, writes, makes and links.
func change(t *testing.T, r *rand.Rand, tr *overlay.Tree) {
	t.Helper()
	type name struct {
		dir  uint64
		name string
		info overlay.Info
	}
	for step := range 25 {
		var all []name
		var walk func(id uint64)
		walk = func(id uint64) {
			list, err := tr.ReadDir(id)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				i, err := tr.Lookup(id, e.Name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, name{id, e.Name, i})
				if i.Kind == overlay.Directory {
					walk(i.ID)
				}
			}
		}
		walk(tr.Root())
		pick := func() name { return all[r.IntN(len(all))] }
		dir := tr.Root()
		if n := pick(); n.info.Kind == overlay.Directory {
			dir = n.info.ID
		}
		n, fresh := pick(), fmt.Sprintf("new%d", step)
		// Impossible operations are refused, and change nothing.
		switch r.IntN(6) {
		case 0:
			if n.info.Kind == overlay.Directory {
				tr.Rmdir(n.dir, n.name)
			} else {
				tr.Unlink(n.dir, n.name)
			}
		case 1:
			tr.Rename(n.dir, n.name, dir, fresh, 0)
		case 2:
			other := pick()
			tr.Rename(n.dir, n.name, other.dir, other.name, 0)
		case 3:
			if _, err := tr.Create(dir, fresh, overlay.New{Dir: r.IntN(2) == 0}); err != nil {
				t.Fatal(err)
			}
		case 4:
			tr.Link(n.info.ID, dir, fresh)
		case 5:
			if n.info.Kind == overlay.Regular {
				h, err := tr.Open(n.info.ID, true, false)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := h.WriteAt([]byte(fresh), n.info.Size); err != nil {
					t.Fatal(err)
				}
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
