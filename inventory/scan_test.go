package inventory

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layerTar makes the tar of a layer: NAME=content is a file, NAME>TARGET a hard link, other
// words directories. Names have slashes.
func layerTar(t testing.TB, words ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, word := range words {
		h := &tar.Header{Name: word, Typeflag: tar.TypeDir}
		content := ""
		if name, text, ok := strings.Cut(word, "="); ok {
			h, content = &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text))}, text
		} else if name, target, ok := strings.Cut(word, ">"); ok {
			h = &tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func hiveText(t testing.TB, h *regf.Hive) string {
	t.Helper()
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const baseSoftware = "Files/Windows/System32/config/SOFTWARE="

// deltaHive makes a delta of keys.
func deltaHive(t *testing.T, lines string) string {
	t.Helper()
	h := regf.New(nil)
	defer h.Close()
	if err := h.SetLayered(true); err != nil {
		t.Fatal(err)
	}
	fill(t, h, lines)
	return hiveText(t, h)
}

// taker is a FileCataloger that makes a component of each file with a suffix.
type taker struct{ suffix string }

func (c taker) Name() string { return "taker" }
func (c taker) Wants(path string, size int64) bool {
	return strings.HasSuffix(strings.ToLower(path), c.suffix)
}
func (c taker) Catalog(context.Context, System) iter.Seq2[Component, error] {
	return func(func(Component, error) bool) {}
}
func (c taker) CatalogFile(ctx context.Context, f *File) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		b := make([]byte, f.Size)
		if _, err := f.Content.ReadAt(b, 0); err != nil && err != io.EOF {
			yield(Component{}, Skip(FileEvidence(f.Path), err))
			return
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(b)); f.SHA256 != want {
			yield(Component{}, Skip(FileEvidence(f.Path), errors.New("the hash is wrong")))
			return
		}
		yield(Component{Kind: Executable, Name: f.Path, Version: string(b[:min(8, len(b))]), Evidence: FileEvidence(f.Path)}, nil)
	}
}

// opener is a Cataloger that opens the files of names, of which it wants those with a suffix.
type opener struct {
	names  []string
	suffix string
}

func (c opener) Name() string { return "opener" }
func (c opener) Wants(path string, size int64) bool {
	return c.suffix != "" && strings.HasSuffix(path, c.suffix)
}
func (c opener) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		for _, name := range c.names {
			b, err := fs.ReadFile(s, name)
			if err != nil {
				if !yield(Component{}, Skip(FileEvidence(layerPath(name)), err)) {
					return
				}
				continue
			}
			if !yield(Component{Kind: Library, Name: name, Version: string(b), Evidence: FileEvidence(layerPath(name))}, nil) {
				return
			}
		}
	}
}

// writeImage makes an image of tars, base first.
func writeImage(t testing.TB, tars ...[]byte) string {
	t.Helper()
	img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.2700"}}}
	for _, b := range tars {
		img.Layers = append(img.Layers, imagetest.Layer{Tar: b, Format: blob.Gzip})
	}
	dir := filepath.Join(t.TempDir(), "img")
	if err := imagetest.WriteLayout(dir, img); err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir
}

// runImage runs catalogers on an image, as Of does. blobs counts how often each layer's blob
// is opened.
func runImage(t testing.TB, ref string, cache *image.Cache, catalogers ...Cataloger) (inv *Inventory, blobs map[int]int) {
	t.Helper()
	blobs = map[int]int{}
	opts := []image.Option{image.WithProgress(func(l *image.Layer) (func(int64), func()) {
		blobs[l.Index]++
		return func(int64) {}, func() {}
	})}
	if cache != nil {
		opts = append(opts, image.WithCache(cache))
	}
	img, err := image.Open(t.Context(), ref, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	inv, err = runLayers(t.Context(), chainOf(t.Context(), img), &options{}, catalogers)
	if err != nil {
		t.Fatal(err)
	}
	return inv, blobs
}

// runTars does the same with layers that have no index.
func runTars(t testing.TB, tars [][]byte, catalogers ...Cataloger) (*Inventory, error) {
	t.Helper()
	l := Layers{}
	for _, b := range tars {
		l.Sources = append(l.Sources, layer.SourceFunc(func() (layer.Reader, error) { return wintar.NewReader(bytes.NewReader(b)), nil }))
	}
	return runLayers(t.Context(), l.chain(t.Context()), &options{}, catalogers)
}

// rows formats components, and skipped items after them.
func rows(inv *Inventory) []string {
	var out []string
	for _, c := range inv.Components {
		out = append(out, fmt.Sprintf("%d %s=%s", c.Evidence[0].Layer, c.Name, c.Version))
	}
	for _, s := range inv.Skipped {
		out = append(out, "skipped "+s.Evidence.Path)
	}
	return out
}

func TestPass(t *testing.T) {
	software := hiveText(t, software(t, sampleKeys))
	big := strings.Repeat("x", smallFile+100)
	base := []string{
		"Files", "Files/a.exe=base", "Files/b.exe=base", "Files/c.exe=base", "Files/d", "Files/d/e.exe=base",
		"Files/hidden.dat=linked", "Files/l.exe>Files/hidden.dat", "Files/m.exe>Files/hidden.dat", "Files/c2.exe>Files/c.exe",
		"Files/big.exe=" + big, "Files/empty.exe=", "Files/one.mum=one", "Files/two.txt=two", "Files/two.mum>Files/two.txt",
		"Files/gone.mum=gone",
		baseSoftware + software,
	}
	middle := []string{"Files/A.EXE=middle", "Files/.wh.b.exe", "Files/d/.wh..wh..opq", "Files/d/f.exe=middle", "Files/.wh.hidden.dat"}
	top := []string{"Files/a.exe=top", "Files/n.exe>Files/C.exe", "Files/.wh.c.exe", "Files/.wh.gone.mum", "Files/three.mum>Files/one.mum"}
	tars := [][]byte{layerTar(t, base...), layerTar(t, middle...), layerTar(t, top...)}
	catalogers := []Cataloger{taker{".exe"}, opener{[]string{"Files/ONE.mum", "Files/two.mum", "Files/three.mum", "Files/two.txt", "Files/gone.mum"}, ".mum"}}
	want := []string{
		"0 Files/ONE.mum=one", "0 Files/three.mum=one", "0 Files/two.mum=two", "0 Files/two.txt=two",
		`2 Files\a.exe=top`, `0 Files\big.exe=xxxxxxxx`, `0 Files\c2.exe=base`, `1 Files\d\f.exe=middle`, `0 Files\empty.exe=`, `0 Files\l.exe=linked`,
		`skipped Files\gone.mum`,
	}
	ref := writeImage(t, tars...)
	cache, err := image.OpenCache(filepath.Join(t.TempDir(), "cache"), image.DefaultCacheSize, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	for _, c := range []struct {
		name  string
		cache *image.Cache
	}{{"without a cache", nil}, {"empty cache", cache}, {"indexed layers", cache}} {
		inv, _ := runImage(t, ref, c.cache, catalogers...)
		if got := rows(inv); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	inv, err := runTars(t, tars, catalogers...)
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(inv); !slices.Equal(got, want) {
		t.Errorf("tars: %q, want %q", got, want)
	}
}

// TestPassOpensBlobsOnce: without links to hidden files and files that nobody has wanted, each
// blob is opened once.
func TestPassOpensBlobsOnce(t *testing.T) {
	tars := [][]byte{
		layerTar(t, "Files/a.exe=base", "Files/b.exe=base", "Files/b2.exe>Files/b.exe", "Files/one.mum=one", baseSoftware+hiveText(t, software(t, ""))),
		layerTar(t, "Files/c.exe=top"),
	}
	inv, blobs := runImage(t, writeImage(t, tars...), nil, taker{".exe"}, opener{[]string{"Files/one.mum"}, ".mum"})
	if want := []string{"0 Files/one.mum=one", `0 Files\a.exe=base`, `0 Files\b.exe=base`, `1 Files\c.exe=top`}; !slices.Equal(rows(inv), want) {
		t.Errorf("%q", rows(inv))
	}
	if blobs[0] != 1 || blobs[1] != 1 {
		t.Errorf("blobs were opened %v times", blobs)
	}
}

// TestKeyLayer: the topmost delta that changes a key, not one that leads to others.
func TestKeyLayer(t *testing.T) {
	const app = `Microsoft\Windows\CurrentVersion\Uninstall\`
	tars := [][]byte{
		layerTar(t, baseSoftware+hiveText(t, software(t, app+"Base\nDisplayName=Base\n"+app+"Changed\nDisplayName=Changed\nDisplayVersion=1\n"))),
		layerTar(t, "Hives/Software_Delta="+deltaHive(t, app+"Middle\nDisplayName=Middle\n")),
		layerTar(t, "Hives/Software_Delta="+deltaHive(t, app+"Changed\nDisplayVersion=2\n"+app+"Base\\Below\nX=1\n"+app+"Middle\\Below\n")),
	}
	inv, err := runTars(t, tars, programs{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rows(inv), []string{"0 Base=", "2 Changed=2", "1 Middle="}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPassErrors(t *testing.T) {
	hive := baseSoftware + hiveText(t, software(t, ""))
	whole := layerTar(t, "Files/a.exe=one", hive)
	if _, err := runTars(t, [][]byte{whole[:3000]}, taker{".exe"}); err == nil {
		t.Error("a layer that ends early is no error")
	}
	if _, err := runTars(t, [][]byte{layerTar(t, "Files/a.exe=one")}, taker{".exe"}); !errors.Is(err, hives.ErrNoBase) {
		t.Errorf("without a hive: %v", err)
	}
	for _, links := range [][]string{
		{"Files/l.exe>Files/m.exe", "Files/m.exe>Files/l.exe"}, {"Files/l.exe>Files/nothing"}, {"Files/d", "Files/l.exe>Files/d"},
	} {
		if _, err := runTars(t, [][]byte{layerTar(t, append(links, hive)...)}, taker{".exe"}); err == nil {
			t.Errorf("%q: no error", links)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := Layers{Sources: []layer.Source{layer.SourceFunc(func() (layer.Reader, error) { return wintar.NewReader(bytes.NewReader(whole)), nil })}}
	if _, err := OfLayers(ctx, l); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// A program's catalogers beyond the set are an error, not a panic.
	many := make([]Cataloger, maxFileCatalogers+1)
	for i := range many {
		many[i] = taker{".exe"}
	}
	if _, err := runTars(t, [][]byte{whole}, many...); err == nil {
		t.Error("129 catalogers")
	}
	inv, err := runTars(t, [][]byte{whole}, many[1:]...)
	if err != nil || len(inv.Components) != maxFileCatalogers {
		t.Errorf("%v, %v", inv, err)
	}
}

// TestManyLinks: names of one file are no files, and cost little.
func TestManyLinks(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 2000
	}
	words := []string{"Files/hidden=x"}
	for i := range n {
		words = append(words, fmt.Sprintf("Files/%d.exe>Files/hidden", i))
	}
	base := layerTar(t, append(words, baseSoftware+hiveText(t, software(t, "")))...)
	inv, err := runTars(t, [][]byte{base, layerTar(t, "Files/.wh.hidden")}, taker{".exe"})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Components) != 1 || inv.Components[0].Name != `Files\0.exe` {
		t.Errorf("%d components, %v", len(inv.Components), rows(inv)[0])
	}
}

func TestRegistryOnly(t *testing.T) {
	img, err := image.Open(t.Context(), writeImage(t, layerTar(t, "Files/one.mum=one", "Files/a.exe=base", baseSoftware+hiveText(t, software(t, sampleKeys)))))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	inv, err := runLayers(t.Context(), chainOf(t.Context(), img), newOptions([]Option{WithRegistryOnly()}),
		[]Cataloger{programs{}, taker{".exe"}, opener{[]string{"Files/one.mum"}, ".mum"}})
	if err != nil {
		t.Fatal(err)
	}
	got := rows(inv)
	if len(got) != 5 || got[4] != `skipped Files\one.mum` {
		t.Errorf("%q", got)
	}
}

// TestKept: an inventory comes back from the cache as it was; without reading a layer.
func TestKept(t *testing.T) {
	ref := writeImage(t, layerTar(t, "Files/a.exe=base", baseSoftware+hiveText(t, software(t, sampleKeys))))
	cache, err := image.OpenCache(filepath.Join(t.TempDir(), "cache"), image.DefaultCacheSize, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	var texts []string
	for i := range 2 {
		opened := 0
		img, err := image.Open(t.Context(), ref, image.WithCache(cache), image.WithProgress(func(*image.Layer) (func(int64), func()) {
			opened++
			return func(int64) {}, func() {}
		}))
		if err != nil {
			t.Fatal(err)
		}
		inv, s, err := Of(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 && opened > 0 {
			t.Error("a layer was read the second time")
		}
		other := keptInventory(img, "-registry")
		if other != nil {
			t.Error("an answer to another question is there")
		}
		var b bytes.Buffer
		if err := errors.Join(WriteCycloneDX(&b, inv, s), img.Close()); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, b.String())
	}
	if texts[0] != texts[1] {
		t.Error("the kept inventory differs")
	}
}
