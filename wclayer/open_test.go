package wclayer

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
)

// TestShapeByIndex: a final directory stays one whatever names a layer has at its root.
func TestShapeByIndex(t *testing.T) {
	for _, name := range []string{layerdir.FilesName + layerdir.MetaSuffix, layerdir.HivesName + layerdir.MetaSuffix, layerdir.TombstoneName} {
		path := filepath.Join(t.TempDir(), "layer")
		w, err := Create(path, nil, WithSync(SyncNone))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []*layer.Entry{{Path: layerdir.FilesName, Kind: layer.Dir}, {Path: name, Kind: layer.File}} {
			if err := w.Add(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for {
			e, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			found = found || e.Path == name
		}
		if _, ok := r.(*Reader); !ok || !found {
			t.Errorf("%s: read by %T, found %v", name, r, found)
		}
		r.Close()
	}
}
