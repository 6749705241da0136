package wclayer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

// smallFiles is a tar of n files of 1,000 bytes, a hundred in each directory.
func smallFiles(b *testing.B, n int) []byte {
	var out bytes.Buffer
	w := wintar.NewWriter(&out)
	times := winfs.Times{Creation: 132356160001234567, LastAccess: 132356160001234567, LastWrite: 132356160001234567, Change: 132356160001234567}
	dir := layer.Entry{Path: "Files", Kind: layer.Dir, Attributes: winfs.AttrDirectory, Times: times, Security: winsec.BuilderDirectory()}
	file := layer.Entry{Kind: layer.File, Attributes: winfs.AttrArchive, Times: times, Security: winsec.BuilderFile(), Size: 1000}
	err := w.Add(&dir)
	for i := range n {
		if i%100 == 0 {
			dir.Path = fmt.Sprintf(`Files\d%04d`, i/100)
			err = errors.Join(err, w.Add(&dir))
		}
		file.Path = fmt.Sprintf(`%s\file-%06d.dat`, dir.Path, i)
		err = errors.Join(err, w.Add(&file), w.AddStream(&layer.Stream{Size: 1000}))
		w.Write(make([]byte, 1000))
	}
	if err := errors.Join(err, w.Commit()); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// benchDir is in memory where the host has such a place, so that the disk has no
// say.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp("/dev/shm", "wclayer-")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func BenchmarkUnpack(b *testing.B) {
	const n = 20_000
	tar := smallFiles(b, n)
	for _, form := range []struct {
		name   string
		create func(path string) (layer.Writer, error)
	}{
		{"final/attributes", func(p string) (layer.Writer, error) {
			return wclayer.Create(p, nil, wclayer.WithSync(wclayer.SyncNone))
		}},
		{"final/index", func(p string) (layer.Writer, error) {
			return wclayer.Create(p, nil, wclayer.WithSync(wclayer.SyncNone), wclayer.WithMetadata(wclayer.MetadataIndex))
		}},
		{"transport", func(p string) (layer.Writer, error) {
			return wctransport.Create(p, wctransport.WithSync(wctransport.SyncNone))
		}},
	} {
		b.Run(form.name, func(b *testing.B) {
			path := filepath.Join(benchDir(b), "layer")
			b.ReportAllocs()
			for b.Loop() {
				w, err := form.create(path)
				if err != nil {
					b.Fatal(err)
				}
				if err := apply(w, tar); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				os.RemoveAll(path)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "us/file")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 20_000
	path := filepath.Join(benchDir(b), "layer")
	w, err := wclayer.Create(path, nil, wclayer.WithSync(wclayer.SyncNone))
	if err != nil {
		b.Fatal(err)
	}
	if err := apply(w, smallFiles(b, n)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := wclayer.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := layer.Copy(context.Background(), wintar.NewWriter(io.Discard), r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "us/file")
}
