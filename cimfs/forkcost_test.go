package cimfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// largeBase makes an image of dirs directories with 100 files each.
func largeBase(tb testing.TB, dir string, v Version, dirs int) {
	tb.Helper()
	w, err := Create(dir, "base.cim", &Options{Version: v, DefaultSecurity: NullDACL()})
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	for d := range dirs {
		if err := w.AddDir(fmt.Sprintf("d%d", d), nil); err != nil {
			tb.Fatal(err)
		}
		for f := range 100 {
			content := fmt.Sprintf("file %d of directory %d", f, d)
			if err := w.AddFile(fmt.Sprintf(`d%d\f%d`, d, f), nil, int64(len(content))); err != nil {
				tb.Fatal(err)
			}
			if _, err := w.Write([]byte(content)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := w.Commit(); err != nil {
		tb.Fatal(err)
	}
}

// smallFork makes a layer of ten files, one of which the base has under another name.
func smallFork(tb testing.TB, dir, name string) (size int64) {
	tb.Helper()
	w, err := Create(dir, name, &Options{Parent: "base.cim", DefaultSecurity: NullDACL()})
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	for i := range 10 {
		content := fmt.Sprintf("file %d of fork %s", i, name)
		if i == 9 {
			content = "file 7 of directory 7"
		}
		if err := w.AddFile(fmt.Sprintf(`d%d\new`, i%3), nil, int64(len(content))); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Remove(`d5\f5`); err != nil {
		tb.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		tb.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files {
		if f == filepath.Join(dir, name) || strings.Contains(f, w.GUID().String()) {
			st, err := os.Stat(f)
			if err != nil {
				tb.Fatal(err)
			}
			size += st.Size()
		}
	}
	return size
}

// A fork costs what its changes cost: of the base it has new tables for the directories
// on the way to a change, and nothing for all others.
func TestForkIsAsLargeAsItsChanges(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		dir := t.TempDir()
		largeBase(t, dir, v, 120)
		size := smallFork(t, dir, "fork.cim")
		if size > 24<<10 {
			t.Errorf("version %d: a fork of ten files has %d bytes", v, size)
		}
		wantClean(t, dir, "fork.cim")
		im, err := Open(dir, "fork.cim")
		if err != nil {
			t.Fatal(err)
		}
		last, err := im.fileTable(im.tableCount - 1)
		if err != nil {
			t.Fatal(err)
		}
		im.Close()
		if want := 1 + 4 + 3; last.count != want { // root, directories, files
			t.Errorf("version %d: %d records, want %d", v, last.count, want)
		}
	}
}

func BenchmarkForkOfLargeBase(b *testing.B) {
	dir := benchDir(b)
	largeBase(b, dir, V3, 1100)
	b.ResetTimer()
	var size int64
	for i := range b.N {
		size = smallFork(b, dir, fmt.Sprintf("fork%d.cim", i))
	}
	b.ReportMetric(float64(size), "bytes/fork")
}
