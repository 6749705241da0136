package cimfs

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
		t.root, _ = t.newNode(true)
		for d := range 100 {
			dir, _ := t.newNode(true)
			t.insert(t.root, names[d], dir)
			for _, n := range names {
				if f, _ := t.find(dir, n); f.id != 0 {
					b.Fatal("found too early")
				}
				id, _ := t.newNode(false)
				t.insert(dir, n, id)
			}
			for _, n := range names {
				if f, _ := t.find(dir, n); f.id == 0 {
					b.Fatal("not found")
				}
			}
		}
	}
}
