package cimfs

import (
	"archive/tar"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/winfs"
)

// benchDir prefers memory, so that benchmarks measure the package and not a disk.
func benchDir(tb testing.TB) string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		dir, err := os.MkdirTemp("/dev/shm", "cimfs")
		if err == nil {
			tb.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	return tb.TempDir()
}

// benchTar makes a tar of n files in a tree; sizes are spread as in a system
// directory, many small and few large, and one in eight is a copy.
func benchTar(tb testing.TB, name string, n int) (size int64) {
	f, err := os.Create(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	rng := rand.New(rand.NewSource(1))
	pool := make([]byte, 16<<20)
	rng.Read(pool)
	tw := tar.NewWriter(f)
	dirs := map[string]bool{}
	var add func(d string)
	add = func(d string) {
		if d == "." || dirs[d] {
			return
		}
		add(path.Dir(d))
		dirs[d] = true
		tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: d + "/", Mode: 0o755, ModTime: time.Unix(1e9, 0)})
	}
	for i := range n {
		d := fmt.Sprintf("Files/d%02d/e%02d/f%d", i%37, i%61, i%5)
		add(d)
		k := int64(rng.ExpFloat64() * 6000)
		if i%50 == 0 {
			k = int64(rng.ExpFloat64() * 1.7e6)
		}
		k = min(k, int64(len(pool)-1))
		off := rng.Int63n(int64(len(pool)) - k)
		if i%8 == 0 {
			off = 0
		}
		tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%s/file-number-%d.dll", d, i), Size: k, Mode: 0o644, ModTime: time.Unix(1e9, 0)})
		if _, err := tw.Write(pool[off : off+k]); err != nil {
			tb.Fatal(err)
		}
		size += k
	}
	if err := tw.Close(); err != nil {
		tb.Fatal(err)
	}
	return size
}

func tarToCIM(tb testing.TB, tarName, dir, name string) {
	f, err := os.Open(tarName)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	w, err := Create(dir, name, &Options{DefaultSecurity: NullDACL()})
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	tr := tar.NewReader(f)
	buf := make([]byte, 128<<10)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		ft, _ := winfs.FiletimeFromTime(h.ModTime)
		meta := &Meta{Attributes: winfs.AttrArchive, Times: winfs.Times{LastWrite: ft}}
		p := strings.ReplaceAll(strings.TrimSuffix(h.Name, "/"), "/", `\`)
		if h.Typeflag == tar.TypeDir {
			err = w.AddDir(p, meta)
		} else if err = w.AddFile(p, meta, h.Size); err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{w}, tr, buf)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkTarToCIM(b *testing.B) {
	dir := benchDir(b)
	tarName := filepath.Join(dir, "tree.tar")
	b.SetBytes(benchTar(b, tarName, 26394))
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		tarToCIM(b, tarName, dir, "tree.cim")
		b.StopTimer()
		if err := Delete(dir, "tree.cim"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func benchEmptyFiles(tb testing.TB, dir string, n int) {
	w, err := Create(dir, "empty.cim", &Options{DefaultSecurity: NullDACL()})
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	meta := &Meta{Attributes: winfs.AttrArchive}
	for i := range n {
		if i%500 == 0 {
			if err := w.AddDir(fmt.Sprintf("dir-%d", i/500), meta); err != nil {
				tb.Fatal(err)
			}
		}
		if err := w.AddFile(fmt.Sprintf(`dir-%d\file-%d`, i/500, i), meta, 0); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkEmptyFiles(b *testing.B) {
	const n = 100_000
	dir := benchDir(b)
	for i := 0; b.Loop(); i++ {
		benchEmptyFiles(b, dir, n)
		b.StopTimer()
		if err := Delete(dir, "empty.cim"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkWalk(b *testing.B) {
	const n = 100_000
	dir := benchDir(b)
	benchEmptyFiles(b, dir, n)
	im, err := Open(dir, "empty.cim")
	if err != nil {
		b.Fatal(err)
	}
	defer im.Close()
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		if err := im.Walk(func(string, *File) error { seen++; return nil }); err != nil || seen < n {
			b.Fatal(seen, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkOpenAndLookup(b *testing.B) {
	dir := benchDir(b)
	benchEmptyFiles(b, dir, 100_000)
	for b.Loop() {
		im, err := Open(dir, "empty.cim")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := im.Lookup(`DIR-77\FILE-38999`); err != nil {
			b.Fatal(err)
		}
		im.Close()
	}
}

func BenchmarkCheck(b *testing.B) {
	dir := benchDir(b)
	benchEmptyFiles(b, dir, 100_000)
	for b.Loop() {
		wantClean(b, dir, "empty.cim")
	}
}
