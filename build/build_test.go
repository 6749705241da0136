package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// descriptor makes a descriptor of SDDL.
func descriptor(t testing.TB, text string) []byte {
	t.Helper()
	d, err := winsec.ParseSDDL(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const rootSDDL = "O:BAG:BAD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)"

// baseLayer is the tar of a base layer with the five hives, Program Files, a junction and files.
func baseLayer(t testing.TB, version hives.OSVersion) []byte {
	t.Helper()
	sd := descriptor(t, rootSDDL)
	at := winfs.Filetime(132000000000000000)
	times := winfs.Times{Creation: at, LastAccess: at, LastWrite: at, Change: at}
	l := &layertest.Layer{}
	add := func(e layer.Entry, data string) {
		e.Security, e.Times = sd, times
		it := layertest.Item{Entry: e}
		if e.Kind == layer.File && e.Reparse == nil {
			it.Size = int64(len(data))
			it.Streams = []layertest.Stream{{Data: []byte(data)}}
		}
		l.Items = append(l.Items, it)
	}
	dir := func(p string) { add(layer.Entry{Path: p, Kind: layer.Dir, Attributes: winfs.AttrDirectory}, "") }
	file := func(p, data string) { add(layer.Entry{Path: p, Kind: layer.File, Attributes: winfs.AttrArchive}, data) }
	for _, p := range []string{`Files`, `Files\Program Files`, `Files\Program Files\Old`, `Files\Windows`, `Files\Windows\System32`, hives.ConfigDir} {
		dir(p)
	}
	for _, n := range hives.All() {
		b, err := hives.Minimal(n, version)
		if err != nil {
			t.Fatal(err)
		}
		file(n.Path(hives.Config), string(b))
	}
	file(`Files\Program Files\Old\a.txt`, "a")
	file(`Files\Program Files\Old\b.txt`, "b")
	junction, err := winfs.EncodeMountPoint(`C:\Windows`)
	if err != nil {
		t.Fatal(err)
	}
	add(layer.Entry{Path: `Files\Link`, Kind: layer.Dir, Attributes: winfs.AttrDirectory | winfs.AttrReparsePoint, Reparse: junction}, "")
	dir(`Hives`)
	return layerTar(t, l)
}

func layerTar(t testing.TB, l *layertest.Layer) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	r, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layer.Convert(context.Background(), w, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func config(version hives.OSVersion) ocispec.Image {
	c := ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: version.String()}}
	c.Config.Env = []string{`Path=C:\Windows`, "BASE=1"}
	c.History = []ocispec.History{{CreatedBy: "base"}}
	return c
}

// openImage makes an image and opens it.
func openImage(t testing.TB, c ocispec.Image, tars ...[]byte) *image.Image {
	t.Helper()
	x := imagetest.Image{Config: c}
	for _, b := range tars {
		x.Layers = append(x.Layers, imagetest.Layer{Tar: b, Format: blob.Gzip})
	}
	dir := t.TempDir()
	if err := imagetest.WriteLayout(dir, x); err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), "oci:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

func baseImage(t testing.TB) *image.Image {
	v := hives.ServerCore(20348, 2700)
	return openImage(t, config(v), baseLayer(t, v))
}

func assembly(t testing.TB, img *image.Image) *image.Assembly {
	t.Helper()
	a, err := image.NewAssembly(img)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func current(t testing.TB, a *image.Assembly) *image.Image {
	t.Helper()
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// findings checks an image and returns what is more than information.
func findings(t testing.TB, img *image.Image) (bad []string) {
	t.Helper()
	for f, err := range img.Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Severity != finding.Info {
			bad = append(bad, f.String())
		}
	}
	return bad
}

// shown lists the merged tree below a path: name, size or target, and what it is.
func shown(t testing.TB, img *image.Image, below string) (list []string) {
	t.Helper()
	tree, err := img.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for it, err := range tree.Walk(below) {
		if err != nil {
			t.Fatal(err)
		}
		s := it.Path
		switch {
		case it.Reparse != nil:
			p, err := winfs.ParseReparse(it.Reparse)
			if err != nil {
				t.Fatal(err)
			}
			s += " -> " + p.Target()
			if it.Kind == layer.Dir {
				s += " (dir)"
			}
		case it.Kind == layer.File:
			r, err := tree.Open(it.Path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.NextStream(); err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			s += fmt.Sprintf(" %q", data)
			if it.Links > 1 {
				s += fmt.Sprintf(" x%d", it.Links)
			}
		}
		list = append(list, s)
	}
	return list
}

// tarFile writes an ordinary tar. A header with the type of a file has its name as content.
func tarFile(t testing.TB, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1700000000, 0)
		}
		if h.Typeflag == tar.TypeReg && !strings.HasPrefix(filepath.Base(h.Name), ".wh.") {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "src.tar")
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func mustAppend(t *testing.T, a *image.Assembly, opt build.AppendOptions, sources ...string) {
	t.Helper()
	if _, err := build.Append(t.Context(), a, opt, sources...); err != nil {
		t.Fatal(err)
	}
}

// simpleLayer is a layer with one file.
func simpleLayer(name, data string) *layertest.Layer {
	dir := func(p string) layertest.Item {
		return layertest.Item{Entry: layer.Entry{Path: p, Kind: layer.Dir, Attributes: winfs.AttrDirectory, Security: winsec.BuilderDirectory()}}
	}
	return &layertest.Layer{Items: []layertest.Item{dir(`Files`), dir(`Hives`),
		{Entry: layer.Entry{Path: `Files\` + name, Kind: layer.File, Attributes: winfs.AttrArchive, Security: winsec.BuilderFile(), Size: int64(len(data))}, Streams: []layertest.Stream{{Data: []byte(data)}}}}}
}
