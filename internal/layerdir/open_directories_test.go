package layerdir

import (
	"fmt"
	"testing"

	"github.com/mullion/mullion/internal/hostfs"
)

// countedDirectory counts how often directories are opened, and how many are open.
type countedDirectory struct {
	hostfs.Directory
	c     *handleCount
	depth int
}

type handleCount struct{ opened, open, most int }

func (d *countedDirectory) Enter(name string) (hostfs.Directory, error) {
	if name != fmt.Sprint(d.depth) {
		return nil, fmt.Errorf("%s in directory %d", name, d.depth)
	}
	d.c.opened++
	d.c.open++
	d.c.most = max(d.c.most, d.c.open)
	return &countedDirectory{c: d.c, depth: d.depth + 1}, nil
}

func (d *countedDirectory) Close() error {
	d.c.open--
	return nil
}

// Of a deep path few directories are open, and going down and up it opens each a few
// times.
func TestHandlesDeep(t *testing.T) {
	const depth = 8000
	c := &handleCount{}
	h := handles{Root: &countedDirectory{c: c}}
	at := func(n int) {
		t.Helper()
		d, err := h.Dir(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.(*countedDirectory).depth; got != n {
			t.Fatalf("directory %d instead of %d", got, n)
		}
	}
	for i := range depth {
		at(i)
		h.Push(NodeID(i+1), fmt.Sprint(i))
	}
	down := c.opened
	for i := depth; i >= 0; i-- {
		if err := h.Truncate(i); err != nil {
			t.Fatal(err)
		}
		at(i)
	}
	if down > depth || c.opened > 8*depth {
		t.Errorf("%d directories: opened %d times on the way down, %d in all", depth, down, c.opened)
	}
	if c.most > maxHandles+2 {
		t.Errorf("%d are open at a time", c.most)
	}
	if c.open != 0 {
		t.Errorf("%d stay open", c.open)
	}
	t.Logf("%d directories: opened %d times, %d at most are open", depth, c.opened, c.most)
}
