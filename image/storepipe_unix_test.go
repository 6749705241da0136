//go:build unix

package image_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/image"
)

// A pipe under the name of a record is refused, and a link to a large file is not read.
func TestStoreRecordsArePlain(t *testing.T) {
	spec := twoLayers(t, "10.0.20348.1", "")
	img, err := image.Open(t.Context(), "oci:"+layout(t, spec))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	for _, suffix := range []string{".json", ".config.json"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "images", img.Digest().Encoded()+suffix)
		if err := syscall.Mkfifo(name, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := img.UnpackStore(t.Context(), openStore(t, dir), cimlayer.WithMissingHives(cimlayer.LeaveMissing)); err == nil {
			t.Errorf("%s: a pipe was replaced", suffix)
		}
		if st, err := os.Lstat(name); err != nil || st.Mode().IsRegular() {
			t.Errorf("%s: %v, %v", suffix, st, err)
		}
	}
}
