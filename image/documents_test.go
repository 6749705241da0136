package image_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// store puts a document into a layout and returns its descriptor.
func store(t *testing.T, dir, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	raw, ok := v.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	d := digest.FromBytes(raw)
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", d.Encoded()), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}
}

func indexOf(ds ...ocispec.Descriptor) ocispec.Index {
	i := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: ds}
	i.SchemaVersion = 2
	return i
}

// readIndex and writeIndex read and replace the index.json of a layout.
func readIndex(t *testing.T, dir string) (i ocispec.Index) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err == nil {
		err = json.Unmarshal(raw, &i)
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func writeIndex(t *testing.T, dir string, i ocispec.Index) {
	t.Helper()
	raw, err := json.Marshal(i)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "index.json"), raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Three levels of indexes that name each other a thousand times are three documents. If
// each mention were followed, these would be a thousand million.
func TestIndexGraph(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	dir := layout(t, spec)
	ds := readIndex(t, dir).Manifests
	for range 3 {
		ds[0].Platform = nil
		many := make([]ocispec.Descriptor, 1000)
		for i := range many {
			many[i] = ds[0]
		}
		ds = []ocispec.Descriptor{store(t, dir, ocispec.MediaTypeImageIndex, indexOf(many...))}
	}
	writeIndex(t, dir, indexOf(ds...))
	mustRead(t, "oci:"+dir, spec)
	done, err := image.Copy(t.Context(), "oci:"+dir, "oci:"+filepath.Join(t.TempDir(), "out"), image.WithAll())
	if err != nil || done.Images != 1 || done.Blobs != 2 {
		t.Errorf("copy: %+v, %v", done, err)
	}
}

// Documents are bounded together: many large ones are refused before they are held.
func TestDocumentsBounded(t *testing.T) {
	dir := layout(t)
	var ds []ocispec.Descriptor
	for i := range 20 {
		raw := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[],"annotations":{"n":"%d%s"}}`, i, strings.Repeat("x", 4<<20-100))
		ds = append(ds, store(t, dir, ocispec.MediaTypeImageIndex, raw))
	}
	writeIndex(t, dir, indexOf(ds...))
	var limit *layer.LimitError
	if _, err := image.Open(t.Context(), "oci:"+dir); !errors.As(err, &limit) {
		t.Errorf("open: %v", err)
	}
	writeIndex(t, dir, indexOf(store(t, dir, ocispec.MediaTypeImageIndex, indexOf(ds...))))
	if _, err := image.Copy(t.Context(), "oci:"+dir, "oci:"+filepath.Join(t.TempDir(), "out"), image.WithAll()); !errors.As(err, &limit) {
		t.Errorf("copy: %v", err)
	}
}

// Media types come with parameters and in capitals.
func TestMediaTypeSpelling(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	dir := layout(t, spec)
	i := readIndex(t, dir)
	i.Manifests[0].MediaType = strings.ToUpper(i.Manifests[0].MediaType) + "; charset=utf-8"
	writeIndex(t, dir, i)
	mustRead(t, "oci:"+dir, spec)
}

// "docker save" writes one platform of an index, and the whole index.
func TestPartialIndex(t *testing.T) {
	here, gone := twoLayers(t, "10.0.20348.1", ""), twoLayers(t, "10.0.26100.1", "")
	dir := layout(t, here, gone)
	missing := readIndex(t, dir).Manifests[1]
	if err := os.Remove(filepath.Join(dir, "blobs", "sha256", missing.Digest.Encoded())); err != nil {
		t.Fatal(err)
	}
	mustRead(t, "oci:"+dir, here)
	var none *image.NoMatchError
	_, err := image.Open(t.Context(), "oci:"+dir, image.WithPlatform(image.Platform{OS: "windows", OSVersion: "10.0.26100.1", Architecture: "amd64"}))
	if err != nil { // a host of build 26100 runs the image of build 20348 that is there
		t.Errorf("newer host: %v", err)
	}
	_, err = image.Open(t.Context(), "oci:"+dir, image.WithPlatform(image.Platform{OS: "windows", OSVersion: "10.0.25398.1"}))
	if err != nil {
		t.Errorf("host between the two: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "blobs", "sha256", readIndex(t, dir).Manifests[0].Digest.Encoded())); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Open(t.Context(), "oci:"+dir); !errors.As(err, &none) || !strings.Contains(err.Error(), "named, not stored") {
		t.Errorf("both absent: %v", err)
	}
}

// Where the index does not give the OS version, the configuration does.
func TestVersionFromConfiguration(t *testing.T) {
	old, young := twoLayers(t, "10.0.17763.1", ""), twoLayers(t, "10.0.20348.1", "")
	dir := layout(t, old, young)
	i := readIndex(t, dir)
	for n := range i.Manifests {
		i.Manifests[n].Platform.OSVersion = ""
	}
	writeIndex(t, dir, i)
	for version, want := range map[string]int{"10.0.17763": 0, "10.0.20348": 1} {
		img, err := image.Open(t.Context(), "oci:"+dir, image.WithPlatform(image.Platform{OS: "windows", OSVersion: version}))
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		if string(img.Digest()) != string(i.Manifests[want].Digest) {
			t.Errorf("%s: %s", version, img.Digest())
		}
		img.Close()
	}
	var many *image.AmbiguousError
	if _, err := image.Open(t.Context(), "oci:"+dir); !errors.As(err, &many) || many.Candidates[0].Platform.OSVersion != "10.0.17763.1" {
		t.Errorf("without a platform: %v", err)
	}
}

// A digest names an image or an index in a layout and in archives.
func TestDigestReference(t *testing.T) {
	one, two := twoLayers(t, "10.0.20348.1", "a"), twoLayers(t, "10.0.26100.1", "b")
	dir := layout(t, one, two)
	i := readIndex(t, dir)
	nested := store(t, dir, ocispec.MediaTypeImageIndex, indexOf(i.Manifests...))
	writeIndex(t, dir, indexOf(nested))
	file := filepath.Join(t.TempDir(), "a.tar")
	if _, err := image.Copy(t.Context(), "oci:"+dir, "oci-archive:"+file, image.WithAll()); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"oci:" + dir, "oci-archive:" + file} {
		mustRead(t, ref+"@"+string(i.Manifests[0].Digest), one)
		mustRead(t, ref+"@"+string(i.Manifests[1].Digest), two)
		none := "@sha256:" + strings.Repeat("0", 64)
		if _, err := image.Open(t.Context(), ref+none); !errors.Is(err, image.ErrNotFound) {
			t.Errorf("%s: %v", ref+none, err)
		}
	}
	writeIndex(t, dir, i)
	mustRead(t, "oci:"+dir+":a@"+string(i.Manifests[0].Digest), one)
	if _, err := image.Open(t.Context(), "oci:"+dir+":a@"+string(i.Manifests[1].Digest)); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("the digest of another tag: %v", err)
	}
	saved := filepath.Join(t.TempDir(), "d.tar")
	if _, err := image.Copy(t.Context(), "oci:"+dir+":a", "docker-archive:"+saved); err != nil {
		t.Fatal(err)
	}
	img := mustRead(t, "docker-archive:"+saved, one)
	mustRead(t, "docker-archive:"+saved+"@"+string(img.Digest()), one)
	if _, err := image.Open(t.Context(), "docker-archive:"+saved+"@"+string(i.Manifests[1].Digest)); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("docker archive: %v", err)
	}
}

// Copy refuses a layer whose content is not the one that the configuration names.
func TestCopyVerifiesDiffIDs(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	dir := layout(t, spec)
	i := readIndex(t, dir)
	var m ocispec.Manifest
	raw, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", i.Manifests[0].Digest.Encoded()))
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	var other bytes.Buffer
	w, _ := blob.NewWriter(&other, blob.Gzip)
	w.Write(tarOf(t, "other.txt", "other"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	m.Layers[0] = store(t, dir, m.Layers[0].MediaType, other.Bytes())
	d := store(t, dir, ocispec.MediaTypeImageManifest, m)
	d.Platform = i.Manifests[0].Platform
	writeIndex(t, dir, indexOf(d))
	for _, to := range []string{"oci:", "oci-archive:", "docker-archive:"} {
		out := t.TempDir()
		if _, err := image.Copy(t.Context(), "oci:"+dir, to+filepath.Join(out, "x")); !errors.Is(err, blob.ErrDigest) {
			t.Errorf("%s %v", to, err)
		}
		if left, _ := os.ReadDir(out); len(left) > 0 {
			t.Errorf("%s left %v", to, left)
		}
	}
}

// A blob that a layout has already is read before it is believed.
func TestCopyMendsBlobs(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	src, dst := layout(t, spec), filepath.Join(t.TempDir(), "out")
	if _, err := image.Copy(t.Context(), "oci:"+src, "oci:"+dst); err != nil {
		t.Fatal(err)
	}
	img := mustRead(t, "oci:"+dst, spec)
	name := filepath.Join(dst, "blobs", "sha256", img.Layers()[0].Descriptor.Digest.Encoded())
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	done, err := image.Copy(t.Context(), "oci:"+src, "oci:"+dst)
	if err != nil || done.Blobs != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	mustRead(t, "oci:"+dst, spec)
}
