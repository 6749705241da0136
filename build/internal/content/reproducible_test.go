package content_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

func layerTar(t testing.TB, d *draft.Draft) []byte {
	t.Helper()
	r, err := d.Layer()
	must(t, err)
	defer r.Close()
	var b bytes.Buffer
	_, err = layer.Convert(context.Background(), wintar.NewWriter(&b), r)
	must(t, err)
	return b.Bytes()
}

// The same files give the same layer, in whichever order and when they were made, and whether
// they come from a directory or an archive, for which the times behind the epoch are the epoch.
func TestReproducible(t *testing.T) {
	files := []string{"b/two", "2", "a", "1", "b/One", "1", "c/d/e/f", "deep", "B2", "x", "z.txt", "z"}
	epoch := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []byte
	check := func(what string, dir string, names []string, extract bool) {
		t.Helper()
		d := newDraft(t)
		must(t, content.CopyInto(context.Background(), d, open(t, dir, ""), names, `Files\app`, true, content.Options{Epoch: epoch, Extract: extract}))
		got := layerTar(t, d)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: another layer, of %d bytes, not %d", what, len(got), len(want))
		}
	}
	check("forwards", tree(t, files...), []string{"."}, false)
	var back []string
	for i := len(files) - 2; i >= 0; i -= 2 {
		back = append(back, files[i], files[i+1])
	}
	check("backwards", tree(t, back...), []string{"."}, false)
	later := tree(t, files...)
	for i := 0; i < len(files); i += 2 {
		must(t, os.Chtimes(filepath.Join(later, files[i]), when, when.Add(time.Hour)))
	}
	check("later", later, []string{"."}, false)
	for _, format := range []string{"", "gzip", "zstd"} {
		var list []entry
		for i := 0; i < len(back); i += 2 {
			list = append(list, entry{back[i], back[i+1], 0})
		}
		check("archive "+format, tree(t, "x", string(packed(t, format, archive(t, list...)))), []string{"x"}, true)
	}
}

// The memory of a copy grows with the names and not with the content; those of a context are
// not held beside those of the draft.
func TestMemory(t *testing.T) {
	const dirs, files = 20, 500
	dir := t.TempDir()
	data := make([]byte, 4096)
	for i := range dirs {
		must(t, os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o777))
		for k := range files {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i), fmt.Sprint(k)), data, 0o666))
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	c, before := open(t, dir, ""), heap()
	d := newDraft(t)
	must(t, content.CopyInto(context.Background(), d, c, []string{"."}, "Files", true, content.Options{}))
	if each := (int64(heap()) - int64(before)) / (dirs * files); each > 2000 {
		t.Errorf("a copy keeps %d bytes for each file of %d", each, len(data))
	}
	if n := len(slices.Collect(func(yield func(int) bool) {
		for range d.Children("Files") {
			if !yield(0) {
				return
			}
		}
	})); n != dirs {
		t.Errorf("%d directories", n)
	}
}
