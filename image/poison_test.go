package image_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestAnswerOfAnotherImage: an image with the configuration of another one and a base layer
// of its own does not answer for it.
func TestAnswerOfAnotherImage(t *testing.T) {
	hello, err := image.Open(t.Context(), "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer hello.Close()
	tars, err := read(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hello.OSVersion(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	made := func(base []byte) (dir string, m ocispec.Manifest) {
		spec := imagetest.Image{Config: windows("10.0.20348.1")}
		for i, tar := range tars {
			if i == 0 {
				tar = base
			}
			spec.Layers = append(spec.Layers, imagetest.Layer{Tar: tar})
		}
		dir = layout(t, spec)
		raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		var index ocispec.Index
		if err := json.Unmarshal(raw, &index); err != nil {
			t.Fatal(err)
		}
		if raw, err = os.ReadFile(filepath.Join(dir, "blobs", "sha256", index.Manifests[0].Digest.Encoded())); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		return dir, m
	}
	good, manifest := made(tars[0])
	// The same layer, but for bytes behind its hives.
	evil, other := made(append(tars[0][:len(tars[0]):len(tars[0])], make([]byte, 512)...))
	config, err := os.ReadFile(filepath.Join(good, "blobs", "sha256", manifest.Config.Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	other.Config = manifest.Config
	raw, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	index, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{d}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"blobs/sha256/" + manifest.Config.Digest.Encoded(): config, "blobs/sha256/" + d.Digest.Encoded(): raw,
		"index.json": []byte(strings.Replace(string(index), `{`, `{"schemaVersion":2,`, 1)),
	} {
		if err := os.WriteFile(filepath.Join(evil, filepath.FromSlash(name)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a := &asker{ref: "oci:" + evil, dir: filepath.Join(t.TempDir(), "cache")}
	img, done := a.open(t)
	if _, err := img.OSVersion(t.Context(), nil); err == nil {
		t.Error("the diff ID of the base layer is not compared")
	}
	done()
	if list, err := filepath.Glob(filepath.Join(a.dir, "*.answer")); err != nil || len(list) != 0 {
		t.Errorf("%v is kept for another image, %v", list, err)
	}
	a.ref = "oci:" + good
	for n := range 2 {
		img, done := a.open(t)
		if v, err := img.OSVersion(t.Context(), nil); err != nil || v != want {
			t.Errorf("got %v, %v, want %v", v, err, want)
		}
		if n == 1 && a.read.Load() != 0 {
			t.Errorf("%d bytes read again", a.read.Load())
		}
		done()
	}
}
