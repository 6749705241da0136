package compare_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// wide is a layer of many files with paths, descriptors and times like those of a base
// layer, and content of eight bytes that depends on the seed in one file of ten.
type wide struct {
	n, at, seed int
	entry       layer.Entry
	stream      layer.Stream
	content     []byte
}

func (w *wide) Open() (layer.Reader, error) { return &wide{n: w.n, seed: w.seed}, nil }

func (w *wide) Next() (*layer.Entry, error) {
	if w.at == w.n {
		return nil, io.EOF
	}
	i := w.at
	w.at++
	seed := 0
	if i%10 == 0 {
		seed = w.seed
	}
	w.content = fmt.Appendf(w.content[:0], "%8d", i*10+seed)
	w.stream = layer.Stream{Size: int64(len(w.content))}
	w.entry = layer.Entry{
		Path: fmt.Sprintf(`Files\Windows\WinSxS\amd64_component-%06d_31bf3856ad364e35_10.0.20348.1_none_%08x\file-%d.dll`, i/8, i/8*2654435761, i%8),
		Kind: layer.File, Size: w.stream.Size, Attributes: winfs.AttrArchive,
		Security: fmt.Appendf(nil, "descriptor %d", i%300),
		Times:    winfs.Times{Creation: 1, LastAccess: 2, LastWrite: winfs.Filetime(i), Change: 4},
	}
	return &w.entry, nil
}

func (w *wide) NextStream() (*layer.Stream, error) {
	if w.stream.Size < 0 {
		return nil, io.EOF
	}
	s := w.stream
	w.stream.Size = -1
	return &s, nil
}

func (w *wide) Read(p []byte) (int, error) {
	n := copy(p, w.content)
	w.content = w.content[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (*wide) Close() error { return nil }

// BenchmarkFiles compares two images of 110,000 files after they were read, and reports what
// the comparison holds in memory.
func BenchmarkFiles(b *testing.B) {
	ctx := context.Background()
	const entries = 110_000
	s := compare.NewScanner(layer.Limits{})
	defer s.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var tables [2]*compare.Table
	for i := range tables {
		var err error
		if tables[i], err = s.Layer(ctx, "", &wide{n: entries, seed: i}); err != nil {
			b.Fatal(err)
		}
	}
	var all *compare.FileChanges
	for b.Loop() {
		x, err := compare.Merge(ctx, s, tables[0])
		if err != nil {
			b.Fatal(err)
		}
		y, err := compare.Merge(ctx, s, tables[1])
		if err != nil {
			b.Fatal(err)
		}
		if all, err = compare.Files(ctx, x, y, compare.FileOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := all.Totals(); n.Changed != entries/10 {
		b.Fatalf("%+v", n)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(2*entries), "B/entry")
}
