package cimfs

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
)

// Writers of different images in one directory clear leftovers away, each also where
// another one has just begun, and none takes that for a writer of its own image. Two
// writers of one image are told.
func TestWritersClearBesideEachOther(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				w, err := Create(dir, fmt.Sprintf("%d-%d.cim", n, i), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	first, err := Create(dir, "a.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir, "a.cim", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second writer: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	onlyFiles(t, dir, 0)
}
