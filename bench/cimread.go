package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// createCIM turns a tar into an image: a[0] to a[1].
func createCIM(a []string) error {
	src, err := wintar.Open(context.Background(), a[0])
	if err != nil {
		return err
	}
	defer src.Close()
	dir, name := filepath.Split(a[1])
	w, err := cimfs.Create(dir, name, &cimfs.Options{DefaultSecurity: cimfs.NullDACL()})
	if err != nil {
		return err
	}
	dst := cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{Name: name})
	defer dst.Close()
	if _, err := layer.Copy(context.Background(), dst, src); err != nil {
		return err
	}
	return dst.Commit()
}

// counted is the file system with every read counted.
type counted struct {
	dir   string
	bytes *atomic.Int64
}

type countedSource struct {
	*os.File
	size  int64
	bytes *atomic.Int64
}

func (c counted) OpenFile(name string) (cimfs.Source, error) {
	f, err := os.Open(filepath.Join(c.dir, name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &countedSource{f, info.Size(), c.bytes}, nil
}

func (s *countedSource) Size() int64 { return s.size }

func (s *countedSource) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.File.ReadAt(p, off)
	s.bytes.Add(int64(n))
	return n, err
}

// measureReading prints the cost of a lookup and of a walk of an image.
func measureReading(out io.Writer, dir, name, path string) error {
	var times []time.Duration
	var bytes int64
	for range 101 {
		var n atomic.Int64
		start := time.Now()
		im, err := cimfs.OpenFiles(counted{dir, &n}, name, cimfs.Limits{})
		if err != nil {
			return err
		}
		if _, err := im.Lookup(path); err != nil {
			return err
		}
		times = append(times, time.Since(start))
		bytes = max(bytes, n.Load())
		if err := im.Close(); err != nil {
			return err
		}
	}
	slices.Sort(times)
	fmt.Fprintf(out, "open and one lookup: median %.3f ms, max %.3f ms, %d bytes read\n",
		float64(times[len(times)/2])/1e6, float64(times[len(times)-1])/1e6, bytes)

	im, err := cimfs.Open(dir, name)
	if err != nil {
		return err
	}
	defer im.Close()
	var rates []float64
	var names int
	for range 5 {
		names = 0
		start := time.Now()
		if err := im.Walk(func(string, *cimfs.File) error { names++; return nil }); err != nil {
			return err
		}
		rates = append(rates, float64(names)/time.Since(start).Seconds())
	}
	slices.Sort(rates)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	fmt.Fprintf(out, "full walk of %d names: median %.0f entries/s, min %.0f; %.1f MiB of Go memory\n",
		names, rates[2], rates[0], float64(mem.Sys)/(1<<20))
	return nil
}

// firstDeep returns a path of the image that is as deep as any other.
func firstDeep(dir, name string) (string, error) {
	im, err := cimfs.Open(dir, name)
	if err != nil {
		return "", err
	}
	defer im.Close()
	best := ""
	err = im.Walk(func(p string, _ *cimfs.File) error {
		if strings.Count(p, `\`) > strings.Count(best, `\`) {
			best = p
		}
		return nil
	})
	return best, err
}
