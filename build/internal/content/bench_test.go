package content_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// BenchmarkCopy copies a context of 100,000 files into a draft and writes the draft as a tar.
// The tree below is that of the image MULLION_BASE_IMAGE, or none.
func BenchmarkCopy(b *testing.B) {
	const files, perDir = 100_000, 100
	dir := b.TempDir()
	for i := range files / perDir {
		d := filepath.Join(dir, fmt.Sprintf("d%d", i%10), fmt.Sprintf("package-%d", i))
		must(b, os.MkdirAll(d, 0o777))
		for j := range perDir {
			must(b, os.WriteFile(filepath.Join(d, fmt.Sprintf("file-%d.txt", j)), []byte("content of a file"), 0o666))
		}
	}
	ctx := context.Background()
	lower := draft.NoLower
	if ref := os.Getenv("MULLION_BASE_IMAGE"); ref != "" {
		cache, err := os.MkdirTemp("", "mullion-bench-*")
		must(b, err)
		defer os.RemoveAll(cache)
		c, err := image.OpenCache(cache, 1<<32, func(err error) { b.Error(err) })
		must(b, err)
		img, err := image.Open(ctx, ref, image.WithCache(c))
		must(b, err)
		defer img.Close()
		tree, err := img.Tree(ctx)
		must(b, err)
		defer tree.Close()
		lower = tree
	}
	runtime.GC()
	before := heap()
	for b.Loop() {
		d := draft.New(lower, draft.Options{Now: now})
		src := open(b, dir, "")
		must(b, content.CopyInto(ctx, d, src, []string{"."}, `Files\Program Files\app`, true, content.Options{}))
		runtime.GC()
		b.ReportMetric(float64(heap()-before)/files, "heap-bytes/file")
		r, err := d.Layer()
		must(b, err)
		w := wintar.NewWriter(io.Discard)
		stats, err := layer.Convert(ctx, w, r)
		must(b, err)
		if stats.Files != files {
			b.Fatalf("%+v", stats)
		}
		must(b, d.Close())
	}
	b.ReportMetric(files*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// heap returns the bytes of living objects.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
