package dockerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// baseTime is the time of the base image.
var baseTime = time.Date(2024, 9, 10, 18, 0, 0, 0, time.UTC)

// baseImage makes a layout of a Windows base image in miniature, with the tag "base", and
// returns its reference.
func baseImage(t testing.TB, change func(*ocispec.Image)) string {
	t.Helper()
	config := ocispec.Image{
		Created:  &baseTime,
		Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"},
		Config:   ocispec.ImageConfig{Cmd: []string{`c:\windows\system32\cmd.exe`}},
	}
	if change != nil {
		change(&config)
	}
	return layoutOf(t, imagetest.Image{Config: config, Layers: []imagetest.Layer{{Tar: baseLayer(t), Format: blob.Gzip}}, Tag: "base"})
}

func layoutOf(t testing.TB, img imagetest.Image) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := imagetest.WriteLayout(dir, img); err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir + ":" + img.Tag
}

// sddl returns a descriptor.
func sddl(t testing.TB, text string) []byte {
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

// rootSDDL is the descriptor of C:\ in a Windows container.
const rootSDDL = `O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CIIO;DC;;;BU)(A;OICIIO;GA;;;CO)`

func baseLayer(t testing.TB) []byte {
	t.Helper()
	now, err := winfs.FiletimeFromTime(baseTime)
	if err != nil {
		t.Fatal(err)
	}
	times := winfs.Times{Creation: now, LastAccess: now, LastWrite: now, Change: now}
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := func(path string) {
		sd := winsec.BuilderDirectory()
		if path == layer.RootFiles {
			sd = sddl(t, rootSDDL)
		}
		check(w.Add(&layer.Entry{Kind: layer.Dir, Path: path, Attributes: winfs.AttrDirectory, Times: times, Security: sd}))
	}
	file := func(path string, data []byte) {
		check(w.Add(&layer.Entry{Kind: layer.File, Path: path, Attributes: winfs.AttrArchive, Times: times, Security: winsec.BuilderFile(), Size: int64(len(data))}))
		check(w.AddStream(&layer.Stream{Size: int64(len(data))}))
		_, err := w.Write(data)
		check(err)
	}
	for _, d := range []string{`Files`, `Files\inetpub`, `Files\inetpub\wwwroot`, `Files\Users`, `Files\Users\Public`, `Files\Windows`, `Files\Windows\System32`, hives.ConfigDir} {
		dir(d)
	}
	for _, n := range hives.All() {
		raw, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
		check(err)
		if n == hives.System {
			h, err := regf.OpenBytes(raw, &regf.Options{Clock: func() winfs.Filetime { return now }})
			check(err)
			k, err := h.CreatePath(`ControlSet001\Control\Session Manager\Environment`)
			check(err)
			check(k.SetValue("Path", regf.RegExpandSZ, regf.StringData(`%SystemRoot%\system32;%SystemRoot%`)))
			raw, err = h.Image()
			check(err)
			check(h.Close())
		}
		file(n.Path(hives.Config), raw)
	}
	file(`Files\inetpub\wwwroot\iisstart.htm`, []byte("<html>"))
	file(`Files\Windows\win.ini`, []byte("[fonts]\r\n"))
	check(w.Commit())
	check(w.Close())
	return b.Bytes()
}

// contextDir makes a build context of files; a name that ends with a slash is a directory.
func contextDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		parent := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			parent = path
		}
		if err := os.MkdirAll(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		if parent == path {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, baseTime, baseTime); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// buildTest builds a Dockerfile on the base image, called base, and returns the result opened.
type buildTest struct {
	dockerfile string
	files      map[string]string
	base       string // reference; "" for one that is made
	options    func(*Options)

	warnings  []string
	steps     []Step
	result    *Result
	reference string
}

func (b *buildTest) build(t testing.TB) (*image.Image, error) {
	t.Helper()
	if b.base == "" {
		b.base = baseImage(t, nil)
	}
	out := "oci:" + filepath.Join(t.TempDir(), "out") + ":v1"
	opt := Options{
		Dockerfile: strings.NewReader(b.dockerfile),
		Context:    contextDir(t, b.files),
		Contexts:   map[string]Context{"base": {Image: b.base}},
		Output:     out,
		Warn:       func(w Warning) { b.warnings = append(b.warnings, w.String()) },
		Progress:   func(s Step) { b.steps = append(b.steps, s) },
	}
	if b.options != nil {
		b.options(&opt)
	}
	var err error
	b.reference = opt.Output
	b.result, err = Build(t.Context(), opt)
	if err != nil {
		if _, stat := os.Stat(strings.TrimSuffix(strings.TrimPrefix(out, "oci:"), ":v1")); !errors.Is(stat, fs.ErrNotExist) {
			t.Errorf("the build failed and left something: %v", stat)
		}
		return nil, err
	}
	img, err := image.Open(t.Context(), opt.Output)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img, nil
}

// must builds and checks the image, which must have no finding.
func (b *buildTest) must(t testing.TB) *image.Image {
	t.Helper()
	img, err := b.build(t)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			t.Log("\n" + e.Excerpt())
		}
		t.Fatal(err)
	}
	for f, err := range img.Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("finding: %v", f)
	}
	return img
}

// config returns the configuration of an image with the members that Docker adds.
func config(t testing.TB, img *image.Image) map[string]any {
	t.Helper()
	var c struct{ Config map[string]any }
	if err := json.Unmarshal(img.RawConfig(), &c); err != nil {
		t.Fatal(err)
	}
	return c.Config
}

// read returns the content of a file of the merged tree.
func read(t testing.TB, img *image.Image, path string) (string, *layer.Entry) {
	t.Helper()
	tree, err := img.Tree(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	item, err := tree.Lookup(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if item.Kind == layer.Dir {
		e := item.Entry.Clone()
		return "", &e
	}
	r, err := tree.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	kept := e.Clone()
	if _, err := r.NextStream(); err == io.EOF {
		return "", &kept
	} else if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), &kept
}

// value returns the text of a registry value.
func value(t testing.TB, img *image.Image, n hives.Name, key, name string) string {
	t.Helper()
	h, err := img.Hive(context.WithoutCancel(t.Context()), n)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	v, err := h.Value(key, name)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	s, err := v.AsString()
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return s
}

// absent fails if the merged tree has a path.
func absent(t testing.TB, img *image.Image, path string) {
	t.Helper()
	tree, err := img.Tree(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if _, err := tree.Lookup(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", path, err)
	}
}
