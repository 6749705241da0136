package cimlayer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// place is a directory of layers.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T) place {
	p := place{t, t.TempDir()}
	if err := os.Mkdir(filepath.Join(p.dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p place) at(name string) cimlayer.Location {
	return cimlayer.Location{Images: filepath.Join(p.dir, "images"), Name: name + ".cim", Files: filepath.Join(p.dir, name)}
}

// chain returns the locations of the names, base first.
func (p place) chain(names ...string) (list []cimlayer.Location) {
	for _, n := range names {
		list = append(list, p.at(n))
	}
	return list
}

// write makes a layer of the items.
func (p place) write(name string, parents []string, items []item, opts ...cimlayer.Option) error {
	w, err := cimlayer.Create(p.at(name), p.chain(parents...), opts...)
	if err != nil {
		return err
	}
	defer w.Close()
	for i := range items {
		if err := w.Add(&items[i].Entry); err != nil {
			return err
		}
		for _, s := range items[i].streams {
			if err := w.AddStream(&layer.Stream{Name: s.name, Size: int64(len(s.data))}); err != nil {
				return err
			}
			if _, err := w.Write([]byte(s.data)); err != nil {
				return err
			}
		}
	}
	return w.Commit()
}

// mustWrite is write without errors; the image must pass the strict check.
func (p place) mustWrite(name string, parents []string, items []item, opts ...cimlayer.Option) {
	p.t.Helper()
	if err := p.write(name, parents, items, opts...); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	f, err := finding.Collect(cimfs.Check(context.Background(), p.at(name).Images, name+".cim", cimfs.CheckOptions{}))
	if err != nil || len(f) > 0 {
		p.t.Fatalf("%s: %v %v", name, f, err)
	}
}

// content reads a file of the image of a layer.
func (p place) content(name, path string) (string, error) {
	im, err := cimfs.Open(p.at(name).Images, name+".cim")
	if err != nil {
		return "", err
	}
	defer im.Close()
	f, err := im.Lookup(path)
	if err != nil {
		return "", err
	}
	s, err := f.Data()
	if err != nil {
		return "", err
	}
	b := make([]byte, s.Size())
	if _, err := s.ReadAt(b, 0); err != nil && s.Size() > 0 && err.Error() != "EOF" {
		return "", err
	}
	return string(b), nil
}

// snapshot is every file of the place with its digest.
func (p place) snapshot() map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(p.dir, path)
		all[rel] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func minimal(t *testing.T, n hives.Name) string {
	t.Helper()
	b, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// baseItems is a base layer with hives.
func baseItems(t *testing.T) []item {
	items := []item{dir(`Files`), dir(`Files\Windows`), dir(`Files\Windows\System32`), dir(`Files\Windows\System32\config`)}
	for _, n := range hives.All() {
		items = append(items, file(n.Path(hives.Config), minimal(t, n)))
	}
	return append(items, file(`Files\keep.txt`, "keep"), file(`Files\drop.txt`, "drop"), dir(`Files\dir`), file(`Files\dir\a`, "a"), file(`Files\dir\b`, "b"))
}

// delta makes the delta hive that f makes of a base hive.
func delta(t *testing.T, base string, f func(h *regf.Hive) error) string {
	t.Helper()
	open := func() *regf.Hive {
		h, err := regf.OpenBytes([]byte(base), &regf.Options{Clock: func() winfs.Filetime { return 132e15 }})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	from, to := open(), open()
	if err := f(to); err != nil {
		t.Fatal(err)
	}
	d, err := regf.Diff(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func setText(key, value, s string) func(h *regf.Hive) error {
	return func(h *regf.Hive) error {
		k, err := h.CreatePath(key)
		if err != nil {
			return err
		}
		return k.SetValue(value, regf.RegSZ, append(winfs.AppendUTF16LE(nil, s), 0, 0))
	}
}

func hasValue(t *testing.T, hive string, key, value string) bool {
	t.Helper()
	h, err := regf.OpenBytes([]byte(hive), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	k, err := h.Key(key)
	if err != nil {
		return false
	}
	_, err = k.Value(value)
	return err == nil
}

func TestBaseLayer(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	for _, n := range hives.All() {
		want := minimal(t, n)
		for _, form := range []hives.Form{hives.Config, hives.Base} {
			if got, err := p.content("base", n.Path(form)); err != nil || got != want {
				t.Errorf("%s in the image: %d bytes, %v", n.Path(form), len(got), err)
			}
			host := filepath.Join(p.at("base").Files, filepath.FromSlash(winfs.ToSlash(n.Path(form))))
			if got, err := os.ReadFile(host); err != nil || string(got) != want {
				t.Errorf("%s beside the image: %d bytes, %v", n.Path(form), len(got), err)
			}
		}
	}
	if got, err := p.content("base", "layout"); err != nil || got != "vhd-with-hives\n" {
		t.Errorf("layout is %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(p.at("base").Files, "layout")); err != nil || string(got) != "vhd-with-hives\n" {
		t.Errorf("layout is %q, %v", got, err)
	}
	im, err := cimfs.Open(p.at("base").Images, "base.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	a, errA := im.Lookup(`Files\Windows\System32\config\SYSTEM`)
	b, errB := im.Lookup(`Hives\SYSTEM_BASE`)
	if errA != nil || errB != nil || a.ID() != b.ID() {
		t.Errorf("SYSTEM and SYSTEM_BASE are not one file: %v %v", errA, errB)
	}
	f, err := im.Lookup(`Files\keep.txt`)
	if err != nil {
		t.Fatal(err)
	}
	if sd, err := f.Security(); err != nil || !bytes.Equal(sd, cimfs.NullDACL()) {
		t.Errorf("descriptor %x, %v", sd, err)
	}
	// It reads as the layer that it was.
	p.sameLayer("base", nil, baseItems(t))
}

// sameLayer reads a layer and compares it with items, order aside. Directories that
// the reader adds or leaves out because nothing tells them do not count.
func (p place) sameLayer(name string, parents []string, items []item) {
	p.t.Helper()
	r, err := cimlayer.Open(p.at(name), p.chain(parents...))
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	got, err := layertest.Collect(r, false)
	if err != nil {
		p.t.Fatal(err)
	}
	describe := func(kind layer.Kind, path, target string, streams []string) string {
		slices.Sort(streams)
		return fmt.Sprintf("%v %s %s %s", kind, path, target, strings.Join(streams, " "))
	}
	want, have := map[string]bool{}, map[string]bool{}
	for _, i := range items {
		var s []string
		for _, x := range i.streams {
			s = append(s, fmt.Sprintf("%s=%x", x.name, sha256.Sum256([]byte(x.data))))
		}
		if i.Kind != layer.Dir {
			want[describe(i.Kind, i.Path, i.Target, s)] = true
		}
	}
	for _, i := range got.Items {
		var s []string
		for _, x := range i.Streams {
			s = append(s, fmt.Sprintf("%s=%x", x.Name, sha256.Sum256(x.Data)))
		}
		if i.Kind != layer.Dir {
			have[describe(i.Kind, i.Path, i.Target, s)] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if !have[k] {
			p.t.Errorf("%s: not read: %s", name, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		if !want[k] {
			p.t.Errorf("%s: read but never written: %s", name, k)
		}
	}
}

func TestForkedLayers(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	software := minimal(t, hives.Software)
	d1 := delta(t, software, setText(`Mullion`, "One", "1"))
	app := []item{
		dir(`Files`), file(`Files\new.txt`, "new"), whiteout(`Files\drop.txt`),
		link(`Files\linked.txt`, `Files\keep.txt`), link(`Files\znew.txt`, `Files\new.txt`),
		whiteout(`Files\dir\a`),
		{layer.Entry{Path: `Files\streams`, Kind: layer.File, Attributes: winfs.AttrArchive}, []stream{{data: "main"}, {name: "alt", data: "side"}}},
		dir(`Hives`), file(`Hives\Software_Delta`, d1),
	}
	before := p.snapshot()
	p.mustWrite("app", []string{"base"}, app)
	p.sameLayer("app", []string{"base"}, app)
	merged, err := p.content("app", `Hives\SOFTWARE_BASE`)
	if err != nil || !hasValue(t, merged, "Mullion", "One") || !hasValue(t, merged, `Microsoft\Windows NT\CurrentVersion`, "UBR") {
		t.Errorf("merged hive: %v", err)
	}
	if host, err := os.ReadFile(filepath.Join(p.at("app").Files, "Hives", "SOFTWARE_BASE")); err != nil || string(host) != merged {
		t.Errorf("the merged hive beside the image is another: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.at("app").Files, "Hives", "SYSTEM_BASE")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a hive without a delta: %v", err)
	}
	for path, want := range map[string]string{`Files\new.txt`: "new", `Files\linked.txt`: "keep", `Files\dir\b`: "b", `Files\znew.txt`: "new"} {
		if got, err := p.content("app", path); err != nil || got != want {
			t.Errorf("%s is %q, %v", path, got, err)
		}
	}
	for _, path := range []string{`Files\drop.txt`, `Files\dir\a`} {
		if _, err := p.content("app", path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}

	// A layer without hives, and a grandchild whose base is two layers up.
	p.mustWrite("middle", []string{"base", "app"}, []item{dir(`Files`), file(`Files\m`, "m")})
	d2 := delta(t, merged, setText(`Mullion\Two`, "Two", "2"))
	d3 := delta(t, minimal(t, hives.System), setText(`Three`, "Three", "3"))
	p.mustWrite("top", []string{"base", "app", "middle"}, []item{
		dir(`Hives`), file(`HIVES\software_delta`, d2), file(`Hives\SYSTEM_DELTA`, d3), whiteout(`Files\linked.txt`), whiteout(`Files\nothing`),
	})
	all, err := p.content("top", `Hives\SOFTWARE_BASE`)
	if err != nil || !hasValue(t, all, "Mullion", "One") || !hasValue(t, all, `Mullion\Two`, "Two") {
		t.Errorf("grandchild: %v", err)
	}
	system, err := p.content("top", `Hives\SYSTEM_BASE`)
	if err != nil || !hasValue(t, system, "Three", "Three") || !hasValue(t, system, "Select", "Current") {
		t.Errorf("grandchild: %v", err)
	}
	// No parent was touched.
	after := p.snapshot()
	for name, sum := range before {
		if after[name] != sum {
			t.Errorf("%s was changed", name)
		}
	}
	if bytes, files, err := p.at("top").Usage(); err != nil || bytes == 0 || files == 0 {
		t.Errorf("usage %d, %d, %v", bytes, files, err)
	}
	if err := p.at("top").Remove(); err != nil {
		t.Fatal(err)
	}
	for name := range p.snapshot() {
		if strings.HasPrefix(name, "top") || strings.Contains(name, "top.cim") {
			t.Errorf("%s is left", name)
		}
	}
}

// A delta may be an ordinary hive.
func TestPlainDelta(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	software := minimal(t, hives.Software)
	h, err := regf.OpenBytes([]byte(software), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := setText(`Mullion`, "Plain", "1")(h); err != nil {
		t.Fatal(err)
	}
	b, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.mustWrite("app", []string{"base"}, []item{dir(`Files`), dir(`Hives`), file(`Hives\Software_Delta`, string(b))})
	got, err := p.content("app", hives.Software.Path(hives.Base))
	if err != nil {
		t.Fatal(err)
	}
	if !hasValue(t, got, `Mullion`, "Plain") || !hasValue(t, got, `Microsoft\Windows\CurrentVersion`, "ProgramFilesDir") {
		t.Error("the merged hive lacks what one of the two has")
	}
}

// What is wrong leaves nothing behind.
func TestLayerRefused(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, baseItems(t))
	p.mustWrite("app", []string{"base"}, []item{dir(`Files`), file(`Files\x`, "x")})
	dirty := []byte(minimal(t, hives.Software))
	dirty[4]++
	software := minimal(t, hives.Software)
	good := delta(t, software, setText(`A`, "A", "1"))
	without := func(n hives.Name) []item {
		return slices.DeleteFunc(baseItems(t), func(i item) bool { return i.Path == n.Path(hives.Config) })
	}
	before := p.snapshot()
	for name, c := range map[string]struct {
		parents []string
		items   []item
		want    error
	}{
		"delta is no hive":     {[]string{"base"}, []item{file(`Hives\Software_Delta`, "text")}, regf.ErrNotHive},
		"delta is dirty":       {[]string{"base"}, []item{file(`Hives\Software_Delta`, string(dirty))}, regf.ErrDirty},
		"delta is truncated":   {[]string{"base"}, []item{file(`Hives\Software_Delta`, good[:5000])}, regf.ErrTruncated},
		"delta in a base":      {nil, append(baseItems(t), file(`Hives\Software_Delta`, good)), cimlayer.ErrHive},
		"whiteout in a base":   {nil, append(baseItems(t), whiteout(`Files\x`)), layer.ErrWhiteout},
		"missing hive":         {nil, without(hives.SAM), cimlayer.ErrHive},
		"delta as base hive":   {nil, append(without(hives.Software), file(hives.Software.Path(hives.Config), good)), regf.ErrInvalid},
		"missing parent":       {[]string{"none"}, nil, cimlayer.ErrChain},
		"parent twice":         {[]string{"app", "app"}, nil, cimlayer.ErrChain},
		"itself as parent":     {[]string{"base", "NEW"}, nil, cimlayer.ErrChain},
		"brings a base hive":   {[]string{"base"}, []item{file(`Hives\SOFTWARE_BASE`, software)}, layer.ErrDuplicate},
		"hive is a link":       {[]string{"base"}, []item{link(`Hives\Software_Delta`, `Files\keep.txt`)}, layer.ErrLinkTarget},
		"link to nothing":      {[]string{"base"}, []item{link(`Files\l`, `Files\none`)}, layer.ErrLinkTarget},
		"two deltas of a hive": {[]string{"base"}, []item{file(`Hives\Software_Delta`, good), file(`Hives\SOFTWARE_DELTA`, good)}, layer.ErrDuplicate},
	} {
		if err := p.write("new", c.parents, c.items); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if after := p.snapshot(); !maps.Equal(before, after) {
			t.Errorf("%s: left %v", name, slices.Sorted(maps.Keys(after)))
		}
	}
	// A writer that is given up in the middle leaves nothing, whatever it has done.
	for stop := range 6 {
		w, err := cimlayer.Create(p.at("new"), p.chain("base"))
		if err != nil {
			t.Fatal(err)
		}
		items := []item{dir(`Files`), file(`Files\a`, "a"), file(`Hives\Software_Delta`, good), file(`Files\b`, "b"), file(`Hives\System_Delta`, good)}
		for i := range items[:min(stop, len(items))] {
			if err := w.Add(&items[i].Entry); err != nil {
				t.Fatal(err)
			}
			for _, s := range items[i].streams {
				if err := w.AddStream(&layer.Stream{Size: int64(len(s.data))}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write([]byte(s.data)[:len(s.data)/2]); err != nil {
					t.Fatal(err)
				}
				if i+1 < stop {
					if _, err := w.Write([]byte(s.data)[len(s.data)/2:]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if after := p.snapshot(); !maps.Equal(before, after) {
			t.Errorf("stopped at %d: left %v", stop, slices.Sorted(maps.Keys(after)))
		}
	}
	if err := p.write("app", []string{"base"}, nil); !errors.Is(err, layer.ErrExists) {
		t.Errorf("over a layer: %v", err)
	}
}

// The hives that a base layer lacks can be made, or left out.
func TestMissingHives(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("made", nil, []item{dir(`Files`), file(`Files\x`, "x")}, cimlayer.WithMissingHives(cimlayer.CreateMissing))
	for _, n := range hives.All() {
		if _, err := p.content("made", n.Path(hives.Base)); err != nil {
			t.Error(err)
		}
	}
	p.mustWrite("left", nil, []item{dir(`Files`), file(`Files\x`, "x")}, cimlayer.WithMissingHives(cimlayer.LeaveMissing))
	if _, err := p.content("left", `Hives\SYSTEM_BASE`); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A base layer is a format like others.
func TestLayerConformance(t *testing.T) {
	n := 0
	layertest.Run(t, layertest.Format{
		New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
			n++
			dir := tb.TempDir()
			loc := cimlayer.Location{Images: dir, Name: "l.cim", Files: filepath.Join(dir, "files")}
			w, err := cimlayer.Create(loc, nil, cimlayer.WithMissingHives(cimlayer.LeaveMissing))
			if err != nil {
				tb.Fatal(err)
			}
			return w, func() (layer.Reader, error) { return cimlayer.Open(loc, nil) }
		},
		Lacks: layertest.Whiteouts | layertest.Opaques | layertest.ObjectIDs | layertest.Extents | layertest.NoAttributes |
			layertest.NoMain | layertest.LinkMetadata | layertest.Hives,
		Base: true, Unordered: true, Publishes: true,
		Normalize: func(i *layertest.Item) {
			if i.Kind == layer.File || i.Kind == layer.Dir {
				if i.Security == nil {
					i.Security = cimfs.NullDACL()
				}
			}
			const kept = winfs.AttrReadOnly | winfs.AttrHidden | winfs.AttrSystem | winfs.AttrArchive | winfs.AttrDirectory | winfs.AttrReparsePoint
			i.Attributes &= kept
			for j := range i.Streams {
				i.Streams[j].Sparse = false
			}
		},
	})
}
