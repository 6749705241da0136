package compare

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
)

// TestPaths: what is added comes back, in every spelling and order.
func TestPaths(t *testing.T) {
	list := []string{"", "Files", `Files\a`, `Files\a\b\c`, `Files\ab`, `files\a\b`, `Files\a\b`, `Files\a\b\d\e`, `x`, `Files\a\`, `Files\a\b\c\d`, `Files\a\b\c`, "ä", `ä\ö`}
	var p paths
	var places []place
	for _, path := range list {
		places = append(places, p.add(path))
	}
	p.done()
	var view pathBuffer
	for _, step := range []int{1, 4} {
		for i := range list {
			i = i * step % len(list)
			if got := p.get(places[i]); got != list[i] {
				t.Errorf("%q is %q", list[i], got)
			}
			if got := string(view.of(&p, places[i])); got != list[i] {
				t.Errorf("%q is seen as %q", list[i], got)
			}
		}
	}
}

// TestLongPaths: names in a long path, and directories in one another, take memory for
// their names only.
func TestLongPaths(t *testing.T) {
	deep := "Files" + strings.Repeat(`\`+strings.Repeat("d", 250), 100)
	scan := NewScanner(layer.Limits{})
	defer scan.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const entries = 10_000
	table := &Table{scan: scan}
	for i := range entries {
		e := &layer.Entry{Path: fmt.Sprintf(`%s\%d\%d`, deep, i/2, i), Kind: layer.File}
		if err := table.add(t.Context(), e, &nameReader{}); err != nil {
			t.Fatal(err)
		}
	}
	table.paths.done()
	tree, err := Merge(t.Context(), scan, table)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 20<<20 {
		t.Errorf("%d names of %d bytes take %d bytes", tree.Len(), len(deep), n)
	}
	changes, err := Files(t.Context(), tree, tree, FileOptions{})
	if err != nil || changes.Len() != 0 || changes.Compared != tree.Len() {
		t.Errorf("%d changes in %d, %v", changes.Len(), changes.Compared, err)
	}
	runtime.KeepAlive(table)
}
