package image_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
)

// readLayers reads every layer through Open to its end, as unpacking does.
func readLayers(t *testing.T, img *image.Image) (all string, err error) {
	t.Helper()
	for _, l := range img.Layers() {
		r, err := l.Open(t.Context())
		if err != nil {
			return all, err
		}
		defer r.Close()
		for {
			e, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return all, err
			}
			all += e.Path + "\n"
			for {
				if _, err := r.NextStream(); err == io.EOF {
					break
				} else if err != nil {
					return all, err
				}
				b, err := io.ReadAll(r)
				if err != nil {
					return all, err
				}
				all += string(b)
			}
		}
		if err := r.Close(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// A local blob that has an index is read by its means: the same entries, each stored byte is
// compared, and a blob that was changed since is refused.
func TestReadIndexed(t *testing.T) {
	var big []entry
	for n := range 60 {
		b := make([]byte, 300<<10)
		for i := range b {
			b[i] = byte(i * (n + i>>9))
		}
		big = append(big, entry{kind: layer.File, path: fmt.Sprintf(`Files\f%02d`, n), data: string(b)})
	}
	big = append([]entry{{kind: layer.Dir, path: `Files`}}, big...)
	dir := layout(t, gzipped(big)(t))
	a := &asker{ref: "oci:" + dir, dir: filepath.Join(t.TempDir(), "cache")}
	var first string
	for turn := range 2 {
		img, done := a.open(t)
		got, err := readLayers(t, img)
		if err != nil {
			t.Fatal(err)
		}
		if stored := img.Layers()[0].Descriptor.Size; a.read.Load() < stored {
			t.Errorf("turn %d: %d of %d bytes are read", turn, a.read.Load(), stored)
		}
		if !img.Layers()[0].Indexed() {
			t.Error("no index")
		}
		done()
		if turn == 0 {
			first = got
		} else if got != first {
			t.Error("another layer the second time")
		}
	}
	img, done := a.open(t)
	name := filepath.Join(dir, "blobs", "sha256", img.Layers()[0].Descriptor.Digest.Encoded())
	b, err := os.ReadFile(name)
	if err == nil {
		b[len(b)/2] ^= 4
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var mismatch *blob.MismatchError
	if _, err := readLayers(t, img); !errors.As(err, &mismatch) {
		t.Errorf("a changed blob: %v", err)
	}
	done()
	if err := errors.Join(a.notes...); err != nil {
		t.Error(err)
	}
}
