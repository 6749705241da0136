package cli

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image/imagetest"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

// indexes makes layouts whose indexes are of several kinds:
//
//	one      names two images and holds the one of build 20348
//	two      builds 17763 and 20348
//	twins    two images of build 20348
//	gone     names an image that it does not hold
//	foreign  an image whose only layer is at a URL on this machine
//	index    an index of both images, in an index
//	part     the same, and only the image of build 20348 is there
func indexes(ts *testscript.TestScript, _ bool, _ []string) {
	of := func(version string, layers ...imagetest.Layer) imagetest.Image {
		if layers == nil {
			layers = []imagetest.Layer{{Tar: make([]byte, 1024), Format: blob.Gzip}}
		}
		return imagetest.Image{Layers: layers, Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}}}
	}
	index := func(dir string) (ocispec.Index, string) {
		name := filepath.Join(ts.MkAbs(dir), "index.json")
		raw, err := os.ReadFile(name)
		ts.Check(err)
		var i ocispec.Index
		ts.Check(json.Unmarshal(raw, &i))
		return i, name
	}
	forget := func(dir string, n int) {
		i, _ := index(dir)
		ts.Check(os.Remove(filepath.Join(ts.MkAbs(dir), "blobs", "sha256", i.Manifests[n].Digest.Encoded())))
	}
	for dir, images := range map[string][]imagetest.Image{
		"one":   {of("10.0.17763.1"), of("10.0.20348.1")},
		"two":   {of("10.0.17763.1"), of("10.0.20348.1")},
		"index": {of("10.0.17763.1"), of("10.0.20348.1")},
		"part":  {of("10.0.17763.1"), of("10.0.20348.1")},
		"twins": {of("10.0.20348.1"), of("10.0.20348.1", imagetest.Layer{Tar: make([]byte, 2048)})},
		"gone":  {of("10.0.20348.1")},
		"foreign": {of("10.0.20348.1", imagetest.Layer{Tar: make([]byte, 1024), Absent: true, URLs: []string{"http://127.0.0.1:1/layer"},
			MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar"})},
	} {
		ts.Check(imagetest.WriteLayout(ts.MkAbs(dir), images...))
	}
	forget("one", 0)
	forget("gone", 0)

	forget("part", 0)
	for _, dir := range []string{"index", "part"} {
		i, name := index(dir)
		raw, err := json.Marshal(i)
		ts.Check(err)
		d := godigest.FromBytes(raw)
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(dir), "blobs", "sha256", d.Encoded()), raw, 0o644))
		i.Manifests = []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageIndex, Digest: d, Size: int64(len(raw))}}
		raw, err = json.Marshal(i)
		ts.Check(err)
		ts.Check(os.WriteFile(name, raw, 0o644))
	}
}
