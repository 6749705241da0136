package wctransport

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/winfs"
)

// TestForeignHives: what another program has exported has no record; NTFS gives such a
// file the attribute ARCHIVE.
func TestForeignHives(t *testing.T) {
	if hostfs.NativeObjects {
		t.Skip("NTFS has attributes of its own")
	}
	path := t.TempDir()
	for _, d := range []string{layerdir.FilesName, layerdir.HivesName} {
		if err := os.Mkdir(filepath.Join(path, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, d+layerdir.MetaSuffix), []byte{byte(winfs.AttrDirectory), 0, 0, 0}, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, layerdir.HivesName, deltaName), []byte("x"), 0o644); err != nil {
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
		if e.Path != layerdir.HivesName+`\`+deltaName {
			continue
		}
		if e.Attributes != winfs.AttrArchive {
			t.Errorf("attributes %v", e.Attributes)
		}
		return
	}
}
