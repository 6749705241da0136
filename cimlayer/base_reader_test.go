package cimlayer_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
)

// A merged image, read as a base layer and unpacked again, shows the same tree but for the
// deltas.
func TestBaseReader(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, append(baseItems(t), link(`Files\linked.txt`, `Files\keep.txt`)))
	p.mustWrite("app", []string{"base"}, []item{
		dir(`Files`), file(`Files\a`, "a"), whiteout(`Files\drop.txt`), dir(`Hives`),
		file(`Hives\Software_Delta`, delta(t, minimal(t, hives.Software), setText(`A`, "A", "1"))),
	})
	for _, name := range []string{"base", "app"} {
		im, err := cimfs.Open(p.at(name).Images, name+".cim")
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		if merged, err := cimlayer.IsMerged(im); err != nil || !merged {
			t.Fatalf("%s: merged %v, %v", name, merged, err)
		}
		r, err := cimlayer.NewBaseReader(im)
		if err != nil {
			t.Fatal(err)
		}
		flat := "flat" + name
		w, err := cimlayer.Create(p.at(flat), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := layer.Copy(t.Context(), w, r); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Commit(), r.Close()); err != nil {
			t.Fatal(err)
		}
		tree := func(name string) map[string]string {
			im, err := cimfs.Open(p.at(name).Images, name+".cim")
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			all := map[string]string{}
			err = im.Walk(func(path string, f *cimfs.File) error {
				if _, form, ok := hives.Match(path); ok && (form == hives.Delta || form == hives.Config) {
					return nil
				}
				all[path] = f.Attributes().String()
				if !f.IsDir() {
					all[path], err = p.content(name, path)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if got, want := tree(flat), tree(name); !maps.Equal(got, want) {
			t.Errorf("%s: there is %q, not %q", name, got, want)
		}
		for _, n := range hives.All() {
			config, err := p.content(flat, n.Path(hives.Config))
			merged, merr := p.content(name, n.Path(hives.Base))
			if err != nil || merr != nil || config != merged {
				t.Errorf("%s: %v is not the merged hive: %v, %v", name, n, err, merr)
			}
		}
	}
}

// A merged image without the file where a base layer has a hive is no base layer.
func TestBaseReaderWithoutConfig(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	p.mustWrite("app", []string{"base"}, []item{dir(`Files`), whiteout(hives.SAM.Path(hives.Config))})
	im, err := cimfs.Open(p.at("app").Images, "app.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	r, err := cimlayer.NewBaseReader(im)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, cimlayer.ErrHive) {
		t.Errorf("%v", err)
	}
}
