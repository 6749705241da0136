package containerdtest_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// build is the Windows version that the images of the tests are for.
const build = "10.0.20348.2700"

// file is a path in a layer and what is there: a directory if the path ends in \, a
// whiteout if it begins with -.
type file struct{ path, data string }

// windowsLayer makes the tar of a layer.
func windowsLayer(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := func(path string) {
		check(w.Add(&layer.Entry{Kind: layer.Dir, Path: path, Attributes: winfs.AttrDirectory, Security: winsec.BuilderDirectory()}))
	}
	dir("Files")
	for _, f := range files {
		switch {
		case f.path[0] == '-':
			check(w.Add(&layer.Entry{Kind: layer.Whiteout, Path: f.path[1:]}))
		case f.path[len(f.path)-1] == '\\':
			dir(f.path[:len(f.path)-1])
		default:
			check(w.Add(&layer.Entry{Kind: layer.File, Path: f.path, Attributes: winfs.AttrArchive, Security: winsec.BuilderFile(), Size: int64(len(f.data))}))
			check(w.AddStream(&layer.Stream{Size: int64(len(f.data))}))
			_, err := io.WriteString(w, f.data)
			check(err)
		}
	}
	check(w.Commit())
	return b.Bytes()
}

// baseLayer is a base layer: the five hives, and what the test wants.
func baseLayer(t testing.TB, files ...file) []byte {
	t.Helper()
	all := []file{{`Files\Windows\`, ""}, {`Files\Windows\System32\`, ""}, {hives.ConfigDir + `\`, ""}}
	for _, n := range hives.All() {
		h, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, file{n.Path(hives.Config), string(h)})
	}
	return windowsLayer(t, append(all, files...)...)
}

// windowsImage makes an image of layers, stored in the given format.
func windowsImage(format blob.Format, layers ...[]byte) imagetest.Image {
	img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: build, Architecture: "amd64"}}}
	for _, l := range layers {
		img.Layers = append(img.Layers, imagetest.Layer{Tar: l, Format: format})
	}
	return img
}

// linuxImage makes an image of one layer with one file.
func linuxImage(t testing.TB, name, data string) imagetest.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755}, {Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Uid: 12, Size: int64(len(data))}} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}},
		Layers: []imagetest.Layer{{Tar: b.Bytes(), Format: blob.Gzip}}}
}

// archive writes an image, with the tag v1, to a file that ctr imports.
func archive(t testing.TB, img imagetest.Image) string {
	t.Helper()
	dir := t.TempDir()
	if err := imagetest.WriteLayout(filepath.Join(dir, "layout"), img); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "image.tar")
	opts := []image.Option{}
	if img.Config.OS != "windows" {
		opts = append(opts, image.WithAll())
	}
	if _, err := image.Copy(t.Context(), "oci:"+filepath.Join(dir, "layout"), "oci-archive:"+name+":v1", opts...); err != nil {
		t.Fatal(err)
	}
	return name
}

// numbered makes n files whose content nothing else has.
func numbered(prefix string, n int) []file {
	files := []file{{`Files\` + prefix + `\`, ""}}
	for i := range n {
		files = append(files, file{fmt.Sprintf(`Files\%s\%03d.txt`, prefix, i), fmt.Sprintf("%s file %d\r\n", prefix, i)})
	}
	return files
}
