//go:build unix

package image_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mullion/mullion/image"
)

// A pipe in the place of a file does not keep anybody waiting.
func TestPipes(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	for _, name := range []string{"index.json", "oci-layout", "manifest", "layer"} {
		dir := layout(t, spec)
		img, err := image.Open(t.Context(), "oci:"+dir)
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		switch name {
		case "manifest":
			at = filepath.Join(dir, "blobs", "sha256", img.Digest().Encoded())
		case "layer":
			at = filepath.Join(dir, "blobs", "sha256", img.Layers()[1].Descriptor.Digest.Encoded())
		}
		img.Close()
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(at, 0o644); err != nil {
			t.Fatal(err)
		}
		img, err = image.Open(t.Context(), "oci:"+dir)
		if err == nil {
			_, err = read(t.Context(), img)
			img.Close()
		}
		if err == nil {
			t.Errorf("%s: read a pipe", name)
		}
	}
	pipe := filepath.Join(t.TempDir(), "p.tar")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"oci-archive:", "docker-archive:"} {
		if _, err := image.Open(t.Context(), transport+pipe); err == nil {
			t.Errorf("%s: read a pipe", transport)
		}
	}
}
