package wclayer

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// TestShapeByIndex: a final directory stays one whatever names a layer has at its root.
func TestShapeByIndex(t *testing.T) {
	for _, name := range []string{filesName + metaSuffix, hivesName + metaSuffix, tombstoneName} {
		path := filepath.Join(t.TempDir(), "layer")
		w, err := Create(path, nil, WithSync(SyncNone))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []*layer.Entry{{Path: filesName, Kind: layer.Dir}, {Path: name, Kind: layer.File}} {
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

// TestForeignHives: what another program has exported has no record; NTFS gives such a
// file the attribute ARCHIVE.
func TestForeignHives(t *testing.T) {
	if nativeObjects {
		t.Skip("NTFS has attributes of its own")
	}
	path := t.TempDir()
	for _, d := range []string{filesName, hivesName} {
		if err := os.Mkdir(filepath.Join(path, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, d+metaSuffix), []byte{byte(winfs.AttrDirectory), 0, 0, 0}, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, hivesName, deltaName), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err) // the hive is the last entry
		}
		if e.Path != hivesName+`\`+deltaName {
			continue
		}
		if e.Attributes != winfs.AttrArchive {
			t.Errorf("attributes %v", e.Attributes)
		}
		return
	}
}
