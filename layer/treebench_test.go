package layer

import (
	"fmt"
	"testing"
)

// BenchmarkTree adds 100,000 names in directories of 1,000 and looks each of them up.
func BenchmarkTree(b *testing.B) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("File-%07d.dll", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		t := newTree()
		for d := range 100 {
			dir := t.add(t.hash(0, names[d]), 0, names[d], 0)
			for _, n := range names {
				if _, ok := t.childOf(dir, n); ok {
					b.Fatal("found too early")
				}
				t.add(t.hash(dir, n), dir, n, 0)
			}
			for _, n := range names {
				if _, ok := t.childOf(dir, n); !ok {
					b.Fatal("not found")
				}
			}
		}
	}
}
