package layerdir

import (
	"fmt"
	"testing"
)

// BenchmarkTree adds names in directories of up to 1,000 and looks each of them up, once for
// a large layer and once for a small one.
func BenchmarkTree(b *testing.B) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("File-%07d.dll", i))
	}
	for _, size := range []struct{ dirs, names int }{{100, 1000}, {1, 50}} {
		b.Run(fmt.Sprint(size.dirs*size.names), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t := NewTree()
				for d := range size.dirs {
					dir := t.Add(0, names[d], NodeDir)
					for _, n := range names[:size.names] {
						if t.Find(dir, n) != NoNode {
							b.Fatal("found too early")
						}
						t.Add(dir, n, NodeFile)
					}
					for _, n := range names[:size.names] {
						if t.Find(dir, n) == NoNode {
							b.Fatal("not found")
						}
					}
				}
			}
		})
	}
}
