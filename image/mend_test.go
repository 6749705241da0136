package image_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
)

// TestMend: only the layers with faults are written anew; the configuration and the manifest
// keep everything else; a second correction changes nothing.
func TestMend(t *testing.T) {
	base := hiveEntries(t)
	hidden := entry{kind: layer.Dir, path: `Files\Windows\Sub`}
	roots := []entry{{kind: layer.Dir, path: "Files"}, {kind: layer.Dir, path: "Hives"}}
	faulty := slices.Concat(roots, []entry{
		{kind: layer.File, path: `Files\Windows\Sub\x`, data: "x"}, // no entry for its directories
		{kind: layer.Link, path: `Files\l`, target: `Files\new`},
		{kind: layer.File, path: `Files\new`, data: "new"},
	})
	sound := slices.Concat(roots, []entry{{kind: layer.Link, path: `Files\m`, target: `Files\l`}})
	src := gzipped(append(base, hidden), faulty, sound)(t)
	src.Layers[1].Format = blob.Zstd
	src.Tag = "v1"
	img := openLayout(t, layout(t, src))
	if found := severe(t, img); !slices.Equal(found, []string{"forward-link", "missing-parent"}) {
		t.Fatalf("%q", found)
	}
	out := "oci:" + filepath.Join(t.TempDir(), "out") + ":v2"
	m, err := img.Mend(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Layers, []int{1}) {
		t.Errorf("layers %v are written anew", m.Layers)
	}
	fixed, err := image.Open(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	defer fixed.Close()
	if found := severe(t, fixed); len(found) > 0 {
		t.Errorf("the corrected image has %q", found)
	}
	for i, l := range fixed.Layers() {
		old := img.Layers()[i]
		if same := l.Descriptor.Digest == old.Descriptor.Digest && l.DiffID == old.DiffID; same != (i != 1) || l.Descriptor.MediaType != old.Descriptor.MediaType {
			t.Errorf("layer %d: %+v, was %+v", i, l.Descriptor, old.Descriptor)
		}
	}
	var was, is map[string]any
	for raw, to := range map[*[]byte]*map[string]any{ptr(img.RawConfig()): &was, ptr(fixed.RawConfig()): &is} {
		if err := json.Unmarshal(*raw, to); err != nil {
			t.Fatal(err)
		}
		delete(*to, "rootfs")
	}
	a, _ := json.Marshal(was)
	b, _ := json.Marshal(is)
	if !bytes.Equal(a, b) {
		t.Errorf("the configuration was %s and is %s", a, b)
	}
	again, err := fixed.Mend(t.Context(), "oci:"+filepath.Join(t.TempDir(), "again"))
	if err != nil || len(again.Layers) > 0 || again.Digest != fixed.Digest() {
		t.Errorf("%+v, %v", again, err)
	}
}

func ptr(b []byte) *[]byte { return &b }

// severe returns the rules of the errors of an image, each once.
func severe(t *testing.T, img *image.Image) []string {
	t.Helper()
	found, err := finding.Collect(img.Check(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		if f.Severity == finding.Error {
			out = append(out, f.Rule)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestMendDamaged: an image with a damaged layer, or one that cannot be written, is an error,
// and nothing is published.
func TestMendDamaged(t *testing.T) {
	src := imagetest.Image{Config: windows("10.0.20348"), Layers: []imagetest.Layer{{Tar: []byte("no tar, however long one looks at it"), Format: blob.Gzip}}}
	img := openLayout(t, layout(t, src))
	dir := filepath.Join(t.TempDir(), "out")
	m, err := img.Mend(t.Context(), "oci:"+dir)
	if err == nil && len(m.Layers) > 0 {
		t.Errorf("%+v", m)
	}
	absent := imagetest.Image{Config: windows("10.0.20348"), Layers: []imagetest.Layer{{Tar: tarOf(t, "a", "b"), Format: blob.Gzip, Absent: true}}}
	img = openLayout(t, layout(t, absent))
	dir = filepath.Join(t.TempDir(), "absent")
	if _, err := img.Mend(t.Context(), "oci:"+dir); err == nil {
		t.Error("an image whose layer is missing is corrected")
	}
	if left, _ := filepath.Glob(dir + "*"); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}
