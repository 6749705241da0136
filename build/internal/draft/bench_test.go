package draft_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// fill writes files into 1,000 directories of a draft and writes the layer as a tar.
func fill(t testing.TB, d *draft.Draft, files int) {
	t.Helper()
	for i := range files {
		dir := fmt.Sprintf(`Files\app\d%03d`, i%1000)
		if i < 1000 {
			if err := d.MkdirAll(dir, draft.Meta{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Write(fmt.Sprintf(`%s\file%06d.txt`, dir, i), text("some content"), draft.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := d.Layer()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stats, err := layer.Convert(context.Background(), wintar.NewWriter(io.Discard), r)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Entries < int64(files) {
		t.Fatalf("the layer has %d entries", stats.Entries)
	}
}

// BenchmarkDraft is a layer of 100,000 new files, written and read; B/file is what the draft
// keeps of one.
func BenchmarkDraft(b *testing.B) {
	const files = 100_000
	lower := union(b, tidy(b))
	var kept uint64
	for b.Loop() {
		before := heap()
		d := draft.New(lower, options())
		fill(b, d, files)
		kept = heap() - before
		runtime.KeepAlive(d)
	}
	b.ReportMetric(float64(kept)/files, "B/file")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The memory of a draft grows with its names, not with what is below it or with content.
func TestMemory(t *testing.T) {
	const files = 10_000
	before := heap()
	d := draft.New(union(t, tidy(t)), options())
	fill(t, d, files)
	after := heap()
	if perFile := (int64(after) - int64(before)) / files; perFile > 1500 {
		t.Errorf("a draft of %d files keeps %d bytes for each", files, perFile)
	}
	runtime.KeepAlive(d)
}
