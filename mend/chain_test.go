package mend_test

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/mend"
)

// TestLinkChain: a link leads to its file however many links are on the way, in either
// order of the layer. Following each link on its own would take 5,000,000,000 steps here.
func TestLinkChain(t *testing.T) {
	const n = 100_000
	for _, forward := range []bool{false, true} {
		words := []string{"d Files"}
		name := func(i int) string { return fmt.Sprintf(`Files\%d`, i) }
		for i := range n {
			if forward {
				i = n - 1 - i
			}
			words = append(words, "l "+name(i+1)+">"+name(i))
		}
		at := 1
		if forward {
			at = len(words)
		}
		words = append(words[:at:at], append([]string{"f " + name(0)}, words[at:]...)...)
		got := format(mended(t, parse(words...), mend.Options{Base: true}))
		links := 0
		for i, word := range got {
			if strings.HasPrefix(word, "l ") {
				links++
				if !strings.HasSuffix(word, ">"+name(0)) {
					t.Fatalf("forward %v: entry %d is %s", forward, i, word)
				}
			}
		}
		if links != n {
			t.Errorf("forward %v: %d links of %d", forward, links, n)
		}
	}
}

// TestLinkCycle: the links of a cycle, and those that lead into it, stay as they are.
func TestLinkCycle(t *testing.T) {
	words := []string{"d Files", "d Hives", `f Files\f`, `l Files\a>Files\b`, `l Files\b>Files\c`, `l Files\c>Files\b`, `l Files\d>Files\c`, `l Files\e>Files\d`}
	if got := format(mended(t, parse(words...), mend.Options{HasParents: true})); strings.Join(got, "\n") != strings.Join(words, "\n") {
		t.Errorf("got %q", got)
	}
}

// TestDeepParents: directories are added once, also where many entries are far below them.
func TestDeepParents(t *testing.T) {
	deep := `Files` + strings.Repeat(`\a`, 100)
	l := &layertest.Layer{}
	for i := range 1000 {
		l.Items = append(l.Items, parse(fmt.Sprintf(`f %s\%d\f`, deep, i)).Items...)
	}
	dirs := 0
	for _, it := range mended(t, l, mend.Options{HasParents: true}).Items {
		if it.Kind == layer.Dir {
			dirs++
		}
	}
	if want := 1 + 1 + 100 + 1000; dirs != want { // Files, Hives
		t.Errorf("%d directories, want %d", dirs, want)
	}
}

// TestHeldLinks: the links that a plan holds, to move them, are bounded. The others stay
// where they are, and lead to the file all the same.
func TestHeldLinks(t *testing.T) {
	const limit = 64 << 20 / int(unsafe.Sizeof(layer.Entry{}))
	const n = limit + 1000
	l := parse("d Files")
	for i := range n {
		l.Items = append(l.Items, layertest.Item{Entry: layer.Entry{Kind: layer.Link, Path: fmt.Sprintf(`Files\%d`, i), Target: `Files\f`}})
	}
	l.Items = append(l.Items, parse(`f Files\f`).Items...)
	moved, before := 0, true
	got := mended(t, l, mend.Options{Base: true}).Items
	for _, it := range got {
		before = before && it.Kind != layer.File
		if !before && it.Kind == layer.Link {
			moved++
		}
	}
	if moved == 0 || moved > limit || len(got) != n+2 {
		t.Errorf("%d links of %d are moved, at most %d should be; %d entries", moved, n, limit, len(got))
	}
}
