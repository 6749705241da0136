package image_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestAssembly: a new image keeps the layers of its base as they are, can be read before it is
// written, and is the same when it is opened afterwards.
func TestAssembly(t *testing.T) {
	src := gzipped(hiveEntries(t))(t)
	src.Config.Author = "somebody"
	base := openLayout(t, layout(t, src))
	a, err := image.NewAssembly(base)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	roots := []layertest.Item{{Entry: layer.Entry{Path: "Files", Kind: layer.Dir}}, {Entry: layer.Entry{Path: "Hives", Kind: layer.Dir}}}
	file := layertest.Item{Entry: layer.Entry{Path: `Files\new.txt`, Kind: layer.File, Size: 3}, Streams: []layertest.Stream{{Data: []byte("new")}}}
	r, err := (&layertest.Layer{Items: append(slices.Clone(roots), file)}).Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.AddLayer(t.Context(), r, blob.Zstd, &ocispec.History{CreatedBy: "test"}); err != nil {
		t.Fatal(err)
	}
	more := tarOfEntries(t, []entry{{kind: layer.Dir, path: "Files"}, {kind: layer.Dir, path: "Hives"}, {kind: layer.Whiteout, path: `Files\new.txt`}})
	opened := 0
	open := func() (io.ReadCloser, error) { opened++; return io.NopCloser(bytes.NewReader(more)), nil }
	inspect := func(r io.Reader) error {
		for f, err := range wintar.Check(t.Context(), r, wintar.HasParents()) {
			if err != nil || f.Severity == finding.Error {
				return fmt.Errorf("%v, %w", f, err)
			}
		}
		return nil
	}
	if _, err := a.AddBlob(t.Context(), open, inspect, &ocispec.History{CreatedBy: "test 2"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.SetConfig("Env", []string{"A=1"}, "config"), a.SetConfig("author", nil), a.Annotate("k", "v")); err != nil {
		t.Fatal(err)
	}
	if err := a.SetConfig("rootfs", nil); !errors.Is(err, image.ErrManifest) {
		t.Errorf("rootfs was set: %v", err)
	}
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	check := func(img *image.Image) {
		t.Helper()
		c := img.Config()
		if !slices.Equal(c.Config.Env, []string{"A=1"}) || c.Author != "" || c.OSVersion != "10.0.20348.2700" || len(c.History) != 3 || c.History[0].CreatedBy != "" || c.History[2].CreatedBy != "test 2" {
			t.Errorf("%s", img.RawConfig())
		}
		if img.Manifest().Annotations["k"] != "v" || len(img.Layers()) != 3 || img.Layers()[0].Descriptor.Digest != base.Layers()[0].Descriptor.Digest {
			t.Errorf("%s", img.Document().Raw)
		}
		if got := []string{img.Layers()[1].Descriptor.MediaType, img.Layers()[2].Descriptor.MediaType}; !slices.Equal(got, []string{ocispec.MediaTypeImageLayerZstd, ocispec.MediaTypeImageLayer}) {
			t.Errorf("%q", got)
		}
		tree, err := img.Tree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		if _, err := tree.Lookup(`Files\new.txt`); err == nil {
			t.Error("the whiteout hides nothing")
		}
		if h, err := img.Hive(t.Context(), hives.Software); err != nil {
			t.Error(err)
		} else if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	check(img)
	out := filepath.Join(t.TempDir(), "out")
	opened = 0
	done, err := a.Write(t.Context(), "oci:"+out+":v2")
	if err != nil || done.Blobs != 3 || opened != 1 {
		t.Fatalf("%+v, %v; the blob was opened %d times", done, err, opened)
	}
	written, err := image.Open(t.Context(), "oci:"+out+":v2")
	if err != nil {
		t.Fatal(err)
	}
	defer written.Close()
	check(written)
	if written.Digest() != img.Digest() {
		t.Errorf("%s was written, not %s", written.Digest(), img.Digest())
	}
	if done, err := a.Write(t.Context(), "oci:"+out+":v3"); err != nil || done.Blobs != 0 {
		t.Errorf("%+v, %v: blobs that were there are written again", done, err)
	}
	more[600] ^= 1
	if _, err := a.Write(t.Context(), "oci:"+out+"2"); !errors.Is(err, blob.ErrDigest) {
		t.Errorf("a blob that has changed: %v", err)
	}
}

// TestAssemblyFromNothing: an image without a base is for Windows, and its layers can come
// from images of another family of media types.
func TestAssemblyFromNothing(t *testing.T) {
	src := gzipped(hiveEntries(t))(t)
	src.Layers[0].MediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	base := openLayout(t, layout(t, src))
	a, err := image.NewAssembly(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.KeepLayer(base.Layers()[0], &ocispec.History{Comment: "kept"}); err != nil {
		t.Fatal(err)
	}
	img, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	if p := img.Platform().String(); p != "windows/amd64" || img.Layers()[0].Descriptor.MediaType != ocispec.MediaTypeImageLayerGzip {
		t.Errorf("%s, %+v", p, img.Layers()[0].Descriptor)
	}
	if v, err := img.OSVersion(t.Context(), nil); err != nil || v.String() != "10.0.20348.2700" {
		t.Errorf("%v, %v", v, err)
	}
	if err := a.Truncate(0); err != nil || len(a.History()) != 0 {
		t.Errorf("%v, %s", err, a.History())
	}
	if len(img.Layers()) != 1 {
		t.Error("an image changes with its assembly")
	}
}

// TestAssemblyKeepsMembers: what this version does not know stays in both documents.
func TestAssemblyKeepsMembers(t *testing.T) {
	img := openLayout(t, layout(t, imagetest.Image{Config: windows("10.0.17763.1"), Layers: []imagetest.Layer{{Tar: tarOf(t, "Files", "")}}}))
	a, err := image.NewAssembly(img)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := errors.Join(a.SetConfig("x.unknown", map[string]int{"a": 1}), a.SetConfig("User", "u", "config")); err != nil {
		t.Fatal(err)
	}
	next, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	b, err := image.NewAssembly(next)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.SetConfig("User", nil, "config"); err != nil {
		t.Fatal(err)
	}
	var x map[string]int
	if ok, err := b.ConfigMember(&x, "x.unknown"); !ok || err != nil || x["a"] != 1 {
		t.Errorf("%v, %v, %v", x, ok, err)
	}
	last, err := b.Image()
	if err != nil {
		t.Fatal(err)
	}
	if raw := string(last.RawConfig()); !strings.Contains(raw, `"x.unknown":{"a":1}`) || strings.Contains(raw, "User") || !json.Valid(last.RawConfig()) {
		t.Errorf("%s", raw)
	}
}
