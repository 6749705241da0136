package cimfs

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

type memorySource struct{ *bytes.Reader }

func (memorySource) Close() error { return nil }

// Several goroutines read through a cache that is too small, and get what is there.
func TestSharedCache(t *testing.T) {
	content := make([]byte, 10*sharedBlockSize+123)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	im := &Image{}
	im.UseCache(3 * sharedBlockSize)
	regions := []*region{{src: memorySource{bytes.NewReader(content)}}, {n: 1, src: memorySource{bytes.NewReader(content[5:])}}}
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(g)))
			for range 2000 {
				n := r.IntN(2)
				want := content[5*n:]
				from := r.IntN(len(want))
				to := from + r.IntN(min(len(want)-from, 2*sharedRead))
				got := make([]byte, to-from)
				if err := im.readAt(regions[n], got, int64(from)); err != nil || !bytes.Equal(got, want[from:to]) {
					t.Errorf("%d bytes at %d: %v", len(got), from, err)
					return
				}
			}
		})
	}
	wait.Wait()
	if err := im.readAt(regions[0], make([]byte, 10), int64(len(content)-5)); err == nil {
		t.Error("bytes behind the end were read")
	}
}
