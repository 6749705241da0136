package cimfs

import (
	"fmt"
	"testing"
	"unsafe"
)

// TestTreeSize counts the bytes that the tree takes for each file: an image of millions
// of files is made in memory of 250 bytes a file, and the objects of the commit need
// about 55 of them.
func TestTreeSize(t *testing.T) {
	if n := unsafe.Sizeof(node{}); n > 104 {
		t.Errorf("a node has %d bytes", n)
	}
	if n := unsafe.Sizeof(dirLink{}); n > 20 {
		t.Errorf("an entry has %d bytes", n)
	}
	tr := newTree()
	tr.root, _ = tr.newNode(true)
	for n := 1; n <= 300_000; n++ {
		id, _ := tr.newNode(false)
		tr.insert(tr.root, fmt.Sprintf("file-%07d", n), id)
		if n < 100_000 || n%10_000 != 0 {
			continue
		}
		if blocks := (n*(nameHeading+12) + arenaBlock - 1) / (arenaBlock - 64); len(tr.names.b) > blocks+1 {
			t.Errorf("the names of %d files take %d blocks", n, len(tr.names.b))
		}
	}
}

// TestTreeDrop checks that the memory of entries and names is free after all of a block
// have been dropped, in any order.
func TestTreeDrop(t *testing.T) {
	tr := newTree()
	tr.root, _ = tr.newNode(true)
	const files = 20_000
	for n := range files {
		id, _ := tr.newNode(false)
		tr.insert(tr.root, fmt.Sprintf("file-%07d", n), id)
	}
	for n := uint32(2); n <= files; n += 2 {
		tr.drop(n)
	}
	for n := uint32(1); n < files; n += 2 {
		if got, want := tr.names.get(tr.entry(n).name), fmt.Sprintf("file-%07d", n-1); got != want {
			t.Fatalf("entry %d has the name %q, want %q", n, got, want)
		}
		tr.drop(n)
	}
	for i, b := range tr.entries.b {
		if b != nil {
			t.Errorf("piece %d of the entries is in memory", i)
		}
	}
	for i, b := range tr.names.b {
		if b != nil {
			t.Errorf("block %d of the names is in memory", i)
		}
	}
}
