package wintar_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// writeSmallFiles writes a layer of directories with 100 files of 200 bytes each.
func writeSmallFiles(to io.Writer, dirs int) error {
	sd := layertest.Random(1, layertest.Shape{}).Items[0].Security
	content := make([]byte, 200)
	w := wintar.NewWriter(to)
	add := func(e layer.Entry, data []byte) error {
		e.Times, e.Security = allTimes, sd
		err := w.Add(&e)
		if err == nil && e.Kind == layer.File {
			if err = w.AddStream(&layer.Stream{Size: int64(len(data))}); err == nil {
				_, err = w.Write(data)
			}
		}
		return err
	}
	if err := add(layer.Entry{Path: "Files", Kind: layer.Dir}, nil); err != nil {
		return err
	}
	for d := range dirs {
		dir := fmt.Sprintf(`Files\directory%d`, d)
		if err := add(layer.Entry{Path: dir, Kind: layer.Dir}, nil); err != nil {
			return err
		}
		for f := range 100 {
			if err := add(layer.Entry{Path: fmt.Sprintf(`%s\file%d.dll`, dir, f), Kind: layer.File, Size: 200, Attributes: winfs.AttrArchive}, content); err != nil {
				return err
			}
		}
	}
	return w.Commit()
}

// smallFiles has 100,000 files.
var smallFiles = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := writeSmallFiles(&b, 1000); err != nil {
		panic(err)
	}
	return b.Bytes()
})

const smallEntries = 101_001

// largeFiles is a layer of 64 files of 4 MiB.
var largeFiles = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	data := make([]byte, 4<<20)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for f := range 64 {
		w.Add(&layer.Entry{Path: fmt.Sprintf(`Files\%d`, f), Kind: layer.File, Size: int64(len(data)), Attributes: winfs.AttrArchive})
		w.AddStream(&layer.Stream{Size: int64(len(data))})
		w.Write(data)
	}
	if err := w.Commit(); err != nil {
		panic(err)
	}
	return b.Bytes()
})

// once hides Seek, as a decompressor does.
func once(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) }

func benchmark(b *testing.B, data []byte, entries int, run func() error) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(entries), "ns/entry")
}

func BenchmarkReadSmall(b *testing.B) {
	data := smallFiles()
	benchmark(b, data, smallEntries, func() error { return drain(wintar.NewReader(once(data))) })
}

func convert(data []byte) func() error {
	return func() error {
		w := wintar.NewWriter(io.Discard)
		if _, err := layer.Copy(context.Background(), w, wintar.NewReader(once(data))); err != nil {
			return err
		}
		return w.Commit()
	}
}

func BenchmarkCopySmall(b *testing.B) {
	data := smallFiles()
	benchmark(b, data, smallEntries, convert(data))
}

func BenchmarkCopyLarge(b *testing.B) {
	data := largeFiles()
	benchmark(b, data, 64, convert(data))
}

func BenchmarkCheckSmall(b *testing.B) {
	data := smallFiles()
	benchmark(b, data, smallEntries, func() error {
		for f, err := range wintar.Check(context.Background(), once(data)) {
			if err != nil {
				return err
			}
			if f.Severity == finding.Error && f.Rule != layer.RuleMissingRoot.ID {
				return fmt.Errorf("%v", f)
			}
		}
		return nil
	})
}

func BenchmarkUnionSmall(b *testing.B) {
	data := smallFiles()
	src := layer.SourceFunc(func() (layer.Reader, error) { return wintar.NewReader(once(data)), nil })
	benchmark(b, data, smallEntries, func() error {
		v, err := layer.Union(context.Background(), []layer.Source{src})
		if err != nil {
			return err
		}
		return v.Close()
	})
}

func BenchmarkDiffSmall(b *testing.B) {
	data := smallFiles()
	src := layer.SourceFunc(func() (layer.Reader, error) { return wintar.NewReader(once(data)), nil })
	benchmark(b, data, 2*smallEntries, func() error {
		_, err := layer.Diff(context.Background(), src, src)
		return err
	})
}

// peak runs fn and returns how large the heap was at most, in bytes, garbage
// included, sampled every few milliseconds.
func peak(fn func()) int64 {
	runtime.GC()
	debug.FreeOSMemory()
	done := make(chan struct{})
	result := make(chan int64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var most uint64
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-done:
				result <- int64(most)
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	fn()
	close(done)
	return <-result
}

// TestMemory holds everything that looks at whole layers to 64 MiB and 400 bytes
// an entry, garbage included.
func TestMemory(t *testing.T) {
	dirs := int64(100)
	if os.Getenv("MULLION_LONG") == "1" {
		dirs = 1000
	}
	entries := 1 + 101*dirs
	path := filepath.Join(t.TempDir(), "layer.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(writeSmallFiles(f, int(dirs)), f.Close()); err != nil {
		t.Fatal(err)
	}
	src := layer.SourceFunc(func() (layer.Reader, error) { return wintar.Open(t.Context(), path) })
	for _, c := range []struct {
		name    string
		entries int64
		run     func() error
	}{
		{"copy", 0, func() error {
			r, err := src.Open()
			if err != nil {
				return err
			}
			defer r.Close()
			w := wintar.NewWriter(io.Discard)
			_, err = layer.Copy(context.Background(), w, r)
			return err
		}},
		{"check", entries, func() error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			for range wintar.Check(context.Background(), f) {
			}
			return nil
		}},
		{"union of three", 3 * entries, func() error {
			v, err := layer.Union(context.Background(), []layer.Source{src, src, src})
			if err != nil {
				return err
			}
			defer v.Close()
			return drain(v.Reader())
		}},
		{"diff", 2 * entries, func() error {
			_, err := layer.Diff(context.Background(), src, src)
			return err
		}},
	} {
		var err error
		got := peak(func() { err = c.run() })
		if err != nil {
			t.Fatal(err)
		}
		limit := int64(64<<20) + 400*c.entries
		t.Logf("%s: %.1f MiB at most, %.1f are allowed", c.name, float64(got)/(1<<20), float64(limit)/(1<<20))
		if got > limit {
			t.Errorf("%s: %d bytes, %d are allowed", c.name, got, limit)
		}
	}
}
