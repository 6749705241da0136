package tempfile_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/mullion/mullion/internal/tempfile"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	left := func(want int) {
		t.Helper()
		if list, err := os.ReadDir(dir); err != nil || len(list) != want {
			t.Errorf("%v, %v; want %d names", list, err, want)
		}
	}
	f, err := tempfile.Create(dir, "x-*")
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		left(0)
	}
	if _, err := f.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	left(0)
	if err := f.Close(); err == nil {
		t.Error("it was closed twice")
	}
	if _, err := tempfile.Create(dir+"/none", "x-*"); err == nil {
		t.Error("a folder that does not exist has a file")
	}
}
