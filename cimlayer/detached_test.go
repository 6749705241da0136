package cimlayer_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/internal/testenv"
)

// An image whose directory is gone reads on, where systems allow that.
func TestOpenDetached(t *testing.T) {
	if _, err := cimlayer.OpenDetached(t.TempDir(), "absent.cim"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent image: %v", err)
	}
	corpus := testenv.Corpus(t, "cim", "synthetic-v1")
	dir := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(dir, os.DirFS(corpus)); err != nil {
		t.Fatal(err)
	}
	im, err := cimlayer.OpenDetached(dir, "synthetic.cim")
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := cimfs.Open(corpus, "synthetic.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	files := 0
	err = fs.WalkDir(whole.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		want, err := fs.ReadFile(whole.FS(), p)
		if err != nil {
			return err
		}
		got, err := fs.ReadFile(im.FS(), p)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes and %v, want %d", p, len(got), err, len(want))
		}
		files++
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
	if err := im.Close(); err != nil {
		t.Error(err)
	}
}
