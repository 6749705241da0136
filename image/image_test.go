package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/image/registry"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// tarOf makes a layer tar with one file.
func tarOf(t testing.TB, name, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"Files", "Hives"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "Files/" + name, Size: int64(len(data)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func windows(version string) ocispec.Image {
	return ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: version, Architecture: "amd64"},
		Config: ocispec.ImageConfig{Env: []string{"PATH=C:\\Windows"}}}
}

// twoLayers is a small image; tag and version tell it from others.
func twoLayers(t testing.TB, version, tag string) imagetest.Image {
	return imagetest.Image{Config: windows(version), Tag: tag, Layers: []imagetest.Layer{
		{Tar: tarOf(t, "base.txt", "base "+version), Format: blob.Gzip},
		{Tar: tarOf(t, "app.txt", strings.Repeat("app "+version, 50000)), Format: blob.Zstd},
	}}
}

func layout(t testing.TB, images ...imagetest.Image) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := imagetest.WriteLayout(dir, images...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// read reads all layers of an image and returns their tars.
func read(ctx context.Context, img *image.Image) ([][]byte, error) {
	var all [][]byte
	for _, l := range img.Layers() {
		r, err := l.Tar(ctx)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// mustRead opens an image and compares its layers with what they were made from.
func mustRead(t *testing.T, ref string, want imagetest.Image, opts ...image.Option) *image.Image {
	t.Helper()
	img, err := image.Open(t.Context(), ref, opts...)
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	t.Cleanup(func() {
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	})
	got, err := read(t.Context(), img)
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	if len(got) != len(want.Layers) {
		t.Fatalf("%s: %d layers", ref, len(got))
	}
	for i := range got {
		if !bytes.Equal(got[i], want.Layers[i].Tar) {
			t.Errorf("%s: layer %d differs", ref, i)
		}
	}
	if got := img.Platform().OSVersion; got != want.Config.OSVersion {
		t.Errorf("%s: OS version %s", ref, got)
	}
	return img
}

func TestOpenChooses(t *testing.T) {
	linux := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}, Tag: "v1"}
	w2019, w2022, w2022b := twoLayers(t, "10.0.17763.6189", "v1"), twoLayers(t, "10.0.20348.2700", "v1"), twoLayers(t, "10.0.20348.2762", "v2")
	one, three := layout(t, linux, w2022), layout(t, linux, w2019, w2022, w2022b)

	mustRead(t, "oci:"+one, w2022)
	mustRead(t, "oci:"+one+":v1", w2022)
	mustRead(t, "oci:"+three+":v2", w2022b)
	platform := func(s string) image.Option {
		p, err := image.ParsePlatform(s)
		if err != nil {
			t.Fatal(err)
		}
		return image.WithPlatform(p)
	}
	mustRead(t, "oci:"+three, w2019, platform("windows(10.0.17763)/amd64"))
	mustRead(t, "oci:"+three, w2022b, platform("windows(10.0.20348)/amd64")) // the newest
	mustRead(t, "oci:"+three, w2022b, platform("windows(10.0.26100.1)/amd64"))

	_, err := image.Open(t.Context(), "oci:"+three)
	var many *image.AmbiguousError
	if !errors.As(err, &many) || len(many.Candidates) != 3 || !strings.Contains(err.Error(), "windows(10.0.17763.6189)/amd64 sha256:") {
		t.Errorf("several Windows images: %v", err)
	}
	var none *image.NoMatchError
	for _, c := range []struct {
		ref  string
		opts []image.Option
	}{
		{"oci:" + layout(t, linux), nil},
		{"oci:" + three, []image.Option{platform("windows(10.0.14393)/amd64")}},
		{"oci:" + three, []image.Option{platform("windows/arm64")}},
		{"oci:" + layout(t), nil},
	} {
		if _, err := image.Open(t.Context(), c.ref, c.opts...); !errors.As(err, &none) {
			t.Errorf("%s: %v", c.ref, err)
		}
	}
	if _, err := image.Open(t.Context(), "oci:"+three+":v3"); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("unknown tag: %v", err)
	}
}

// Layers and documents that are not what the manifest says are refused.
func TestOpenVerifies(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string, m *ocispec.Manifest)
		want   error
		open   bool // Open itself fails
	}{
		{"layer bit", func(t *testing.T, dir string, m *ocispec.Manifest) { flip(t, dir, string(m.Layers[1].Digest)) }, blob.ErrDigest, false},
		{"layer grown", func(t *testing.T, dir string, m *ocispec.Manifest) { grow(t, dir, string(m.Layers[0].Digest)) }, blob.ErrSize, false},
		{"layer gone", func(t *testing.T, dir string, m *ocispec.Manifest) {
			if err := os.Remove(blobFile(dir, string(m.Layers[0].Digest))); err != nil {
				t.Fatal(err)
			}
		}, image.ErrMissingBlob, false},
		{"config bit", func(t *testing.T, dir string, m *ocispec.Manifest) { flip(t, dir, string(m.Config.Digest)) }, blob.ErrDigest, true},
		{"config grown", func(t *testing.T, dir string, m *ocispec.Manifest) { grow(t, dir, string(m.Config.Digest)) }, blob.ErrSize, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := layout(t, spec)
			img := mustRead(t, "oci:"+dir, spec)
			c.damage(t, dir, img.Manifest())
			img, err := image.Open(t.Context(), "oci:"+dir)
			if c.open {
				if !errors.Is(err, c.want) {
					t.Errorf("Open: %v, want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if _, err := read(t.Context(), img); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			// A damaged image is not copied, and nothing of it stays.
			for _, to := range []string{"oci", "oci-archive", "docker-archive"} {
				out := t.TempDir()
				if _, err := image.Copy(t.Context(), "oci:"+dir, to+":"+filepath.Join(out, "x")); !errors.Is(err, c.want) {
					t.Errorf("copy to %s: %v", to, err)
				}
				if left, _ := os.ReadDir(out); len(left) > 0 {
					t.Errorf("copy to %s left %v", to, left)
				}
			}
		})
	}
}

func blobFile(dir, name string) string {
	return filepath.Join(dir, "blobs", "sha256", digest.Digest(name).Encoded())
}

func flip(t *testing.T, dir, digest string) {
	t.Helper()
	b, err := os.ReadFile(blobFile(dir, digest))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(blobFile(dir, digest), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, dir, digest string) {
	t.Helper()
	f, err := os.OpenFile(blobFile(dir, digest), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte(" "))
	f.Close()
}

// A diff ID that is not that of the tar is found although the blob is right.
func TestDiffIDIsVerified(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	dir := layout(t, spec)
	img := mustRead(t, "oci:"+dir, spec)
	config := *img.Config()
	config.RootFS.DiffIDs[1] = ocispec.DescriptorEmptyJSON.Digest
	m := *img.Manifest()
	m.Config.Digest, m.Config.Size = put(t, dir, config)
	d := img.Descriptor()
	d.Digest, d.Size = put(t, dir, m)
	raw, _ := json.Marshal(ocispec.Index{Manifests: []ocispec.Descriptor{d}})
	if err := os.WriteFile(filepath.Join(dir, "index.json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	bad, err := image.Open(t.Context(), "oci:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if _, err := read(t.Context(), bad); !errors.Is(err, blob.ErrDigest) || !strings.Contains(err.Error(), "diff ID") {
		t.Errorf("got %v", err)
	}
}

// put stores a document in a layout.
func put(t *testing.T, dir string, v any) (digest.Digest, int64) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromBytes(raw)
	if err := os.WriteFile(blobFile(dir, string(d)), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return digest.Digest(d), int64(len(raw))
}

// Copies between all kinds of files keep the manifest, or for docker archives the
// configuration, and the same copy gives the same bytes.
func TestCopyBetweenFiles(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "v1")
	src := "oci:" + layout(t, spec)
	first := mustRead(t, src, spec)
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	steps := []struct{ from, to string }{
		{src, "oci-archive:" + at("a.tar") + ":v1"},
		{"oci-archive:" + at("a.tar"), "oci:" + at("b") + ":v2"},
		{"oci:" + at("b") + ":v2", "oci-archive:" + at("c.tar") + ":v1"},
		{"oci-archive:" + at("c.tar") + ":v1", "docker-archive:" + at("d.tar") + ":hello:v1"},
		{"docker-archive:" + at("d.tar") + ":hello:v1", "docker-archive:" + at("e.tar") + ":hello:v1"},
		{"docker-archive:" + at("e.tar"), "oci:" + at("f")},
	}
	for _, s := range steps {
		done, err := image.Copy(t.Context(), s.from, s.to)
		if err != nil {
			t.Fatalf("%s to %s: %v", s.from, s.to, err)
		}
		img := mustRead(t, s.to, spec)
		if !strings.HasPrefix(s.to, "docker") && done.Digest != img.Digest() {
			t.Errorf("%s: digest %s, Copy said %s", s.to, img.Digest(), done.Digest)
		}
		if !bytes.Equal(img.RawConfig(), first.RawConfig()) {
			t.Errorf("%s: configuration changed", s.to)
		}
		if strings.Contains(s.from+s.to, "docker") {
			continue
		}
		if img.Digest() != first.Digest() {
			t.Errorf("%s: manifest changed", s.to)
		}
	}
	for _, pair := range [][2]string{{"a.tar", "c.tar"}, {"d.tar", "e.tar"}} {
		x, err1 := os.ReadFile(at(pair[0]))
		y, err2 := os.ReadFile(at(pair[1]))
		if err1 != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("%v differ", pair)
		}
	}
	if _, err := image.Copy(t.Context(), src, "oci-archive:"+at("a.tar")); !errors.Is(err, os.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	// Not a.tar, which is open: Windows may refuse to replace what is in use.
	if err := os.WriteFile(at("z.tar"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Copy(t.Context(), src, "oci-archive:"+at("z.tar"), image.WithForce()); err != nil {
		t.Errorf("with force: %v", err)
	}
	if _, err := image.Copy(t.Context(), src, "oci:"+tmp); !errors.Is(err, os.ErrExist) {
		t.Errorf("into a folder with other things: %v", err)
	}
}

// A layout that exists takes more images; a tag moves.
func TestCopyAddsToLayout(t *testing.T) {
	one, two := twoLayers(t, "10.0.17763.1", ""), twoLayers(t, "10.0.20348.1", "")
	src1, src2 := "oci:"+layout(t, one), "oci:"+layout(t, two)
	dst := "oci:" + filepath.Join(t.TempDir(), "all")
	for _, c := range []struct{ src, tag string }{{src1, "a"}, {src2, "b"}, {src2, "b"}, {src2, "a"}} {
		if _, err := image.Copy(t.Context(), c.src, dst+":"+c.tag); err != nil {
			t.Fatal(err)
		}
	}
	mustRead(t, dst+":a", two)
	mustRead(t, dst+":b", two)
	var many *image.AmbiguousError
	if _, err := image.Open(t.Context(), dst); !errors.As(err, &many) || len(many.Candidates) != 2 {
		t.Errorf("the untagged image is lost: %v", err)
	}
}

func TestCompressedArchive(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	tmp := t.TempDir()
	if _, err := image.Copy(t.Context(), "oci:"+layout(t, spec), "oci-archive:"+filepath.Join(tmp, "a.tar")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(tmp, "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(tmp, "a.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := blob.NewWriter(f, blob.Gzip)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(raw)
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	img := mustRead(t, "oci-archive:"+filepath.Join(tmp, "a.tgz"), spec)
	if err := img.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	mustRead(t, "oci-archive:"+filepath.Join(tmp, "a.tar"), spec) // for the cleanup above
}

// Foreign layers come from their URLs only when that is wanted, and from this machine
// only when that is wanted too.
func TestForeign(t *testing.T) {
	spec := twoLayers(t, "10.0.17763.1", "")
	var stored bytes.Buffer
	w, _ := blob.NewWriter(&stored, blob.Gzip)
	w.Write(spec.Layers[0].Tar)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/gone" {
			http.NotFound(rw, r)
			return
		}
		rw.Write(stored.Bytes())
	}))
	defer server.Close()
	spec.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	spec.Layers[0].URLs = []string{server.URL + "/gone", server.URL + "/layer"}
	spec.Layers[0].Absent = true
	src := "oci:" + layout(t, spec)

	img, err := image.Open(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := read(t.Context(), img); !errors.Is(err, image.ErrForeign) || !errors.Is(err, image.ErrMissingBlob) || asked > 0 {
		t.Errorf("without leave: %v, %d requests", err, asked)
	}
	leave := []image.Option{image.WithForeign(), image.WithTransport(registry.New(registry.WithPrivateNetwork()))}
	mustRead(t, src, spec, leave...)
	if asked != 2 {
		t.Errorf("%d requests, want 2", asked)
	}
	near, err := image.Open(t.Context(), src, image.WithForeign())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	if _, err := read(t.Context(), near); !registry.PrivateAddress(err) || asked != 2 {
		t.Errorf("URL on this machine: %v, %d requests", err, asked)
	}
	dst := "oci:" + filepath.Join(t.TempDir(), "out")
	done, err := image.Copy(t.Context(), src, dst)
	if err != nil || len(done.Omitted) != 1 {
		t.Errorf("copy: %+v, %v", done, err)
	}
	mustRead(t, dst, spec, leave...) // still at its URL
	file := "docker-archive:" + filepath.Join(t.TempDir(), "d.tar")
	if done, err = image.Copy(t.Context(), src, file); err != nil || len(done.Omitted) != 1 {
		t.Errorf("copy to docker archive: %+v, %v", done, err)
	}
	mustRead(t, file, spec, leave...)
	spec.Layers[0].URLs = []string{"file:///etc/passwd", "ftp://x/y"}
	bad, err := image.Open(t.Context(), "oci:"+layout(t, spec), image.WithForeign())
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if _, err := read(t.Context(), bad); !errors.Is(err, image.ErrMediaType) {
		t.Errorf("file URL: %v", err)
	}
}

func TestBadDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		index string
		want  error
	}{
		"not JSON":       {`{`, image.ErrManifest},
		"not an index":   {`{"schemaVersion":2}`, image.ErrManifest},
		"both":           {`{"schemaVersion":2,"manifests":[],"layers":[]}`, image.ErrManifest},
		"schema 1":       {`{"schemaVersion":1,"fsLayers":[]}`, image.ErrMediaType},
		"bad digest":     {`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:../../../x","size":3}]}`, blob.ErrDigestSyntax},
		"no blob":        {fmt.Sprintf(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%064d","size":3}]}`, 0), image.ErrMissingBlob},
		"negative size":  {fmt.Sprintf(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%064d","size":-3}]}`, 0), image.ErrManifest},
		"huge manifest":  {fmt.Sprintf(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%064d","size":99999999999}]}`, 0), image.ErrManifest},
		"artifacts only": {fmt.Sprintf(`{"manifests":[{"mediaType":"application/x","digest":"sha256:%064d","size":3}]}`, 0), image.ErrNoWindows},
	} {
		dir := layout(t)
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(c.index), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := image.Open(t.Context(), "oci:"+dir); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := layout(t)
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Open(t.Context(), "oci:"+dir); !errors.Is(err, image.ErrManifest) {
		t.Errorf("layout version: %v", err)
	}
}

func TestBadArchives(t *testing.T) {
	make := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
		}
		w.Close()
		return b.Bytes()
	}
	for name, raw := range map[string][]byte{
		"empty":     {},
		"not a tar": bytes.Repeat([]byte("no tar "), 1000),
		"no index":  make(tar.Header{Name: "x", Size: 3}),
		"twice":     make(tar.Header{Name: "manifest.json", Size: 3}, tar.Header{Name: "./manifest.json", Size: 3}),
		"cut off":   make(tar.Header{Name: "manifest.json", Size: 3000})[:1000],
		"loop":      make(tar.Header{Name: "manifest.json", Linkname: "manifest.json", Typeflag: tar.TypeSymlink}, tar.Header{Name: "oci-layout", Linkname: "oci-layout", Typeflag: tar.TypeLink}),
	} {
		file := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"oci-archive:", "docker-archive:"} {
			if _, err := image.Open(t.Context(), kind+file); !errors.Is(err, image.ErrArchive) {
				t.Errorf("%s%s: %v", kind, name, err)
			}
		}
	}
	// A bomb is stopped when the archive itself is compressed.
	var bomb bytes.Buffer
	w, _ := blob.NewWriter(&bomb, blob.Zstd)
	w.Write(bytes.Repeat([]byte{0}, 64<<20))
	w.Close()
	file := filepath.Join(t.TempDir(), "bomb.tar")
	if err := os.WriteFile(file, bomb.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Open(t.Context(), "oci-archive:"+file); !errors.Is(err, layer.ErrLimit) {
		t.Errorf("bomb: %v", err)
	}
}

// An image of a layout with an index of all platforms is copied whole with WithAll.
func TestCopyAll(t *testing.T) {
	w2019, w2022 := twoLayers(t, "10.0.17763.1", ""), twoLayers(t, "10.0.20348.1", "")
	dir := layout(t, w2019, w2022)
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	digest, size := put(t, dir, json.RawMessage(raw))
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest, Size: size, Annotations: map[string]string{ocispec.AnnotationRefName: "multi"}}
	outer, _ := json.Marshal(ocispec.Index{Manifests: []ocispec.Descriptor{d}})
	if err := os.WriteFile(filepath.Join(dir, "index.json"), outer, 0o644); err != nil {
		t.Fatal(err)
	}
	dst := "oci-archive:" + filepath.Join(t.TempDir(), "all.tar")
	done, err := image.Copy(t.Context(), "oci:"+dir, dst+":multi", image.WithAll())
	if err != nil || done.Images != 2 || done.Blobs != 4 || string(done.Digest) != string(digest) {
		t.Fatalf("%+v, %v", done, err)
	}
	p, _ := image.ParsePlatform("windows(10.0.17763)/amd64")
	mustRead(t, dst+":multi", w2019, image.WithPlatform(p))
	if _, err := image.Copy(t.Context(), "oci:"+dir, "docker-archive:"+filepath.Join(t.TempDir(), "x"), image.WithAll()); !errors.Is(err, image.ErrMediaType) {
		t.Errorf("index to docker archive: %v", err)
	}
}
