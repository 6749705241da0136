package wctransport

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
)

// TestFinish: a file that the hook adds is published with the layer, and an error of the
// hook fails the commit.
func TestFinish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer")
	w, err := Create(path, WithSync(SyncNone), WithFinish(func(root *os.Root) error {
		return root.WriteFile("Files/added", []byte("by the hook"), 0o666)
	}))
	must(t, err)
	defer w.Close()
	must(t, w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir}))
	addFiles(t, w, `Files\a`, "a")
	must(t, w.Commit())
	if b, err := os.ReadFile(filepath.Join(path, "Files", "added")); err != nil || string(b) != "by the hook" {
		t.Errorf("%q, %v", b, err)
	}

	stop := errors.New("stop")
	path = filepath.Join(t.TempDir(), "layer")
	w, err = Create(path, WithSync(SyncNone), WithFinish(func(*os.Root) error { return stop }))
	must(t, err)
	defer w.Close()
	must(t, w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir}))
	addFiles(t, w, `Files\a`, "a")
	if err := w.Commit(); !errors.Is(err, stop) {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a failed commit: %v", err)
	}
}
