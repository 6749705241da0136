package layer

import (
	"math/rand/v2"
	"testing"
)

// TestNameTable compares the table with a map, among keys of which many begin in one place.
func TestNameTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var table nameTable[int]
	if table.find(treeKey{1, 1}) != nil {
		t.Error("an empty table has a key")
	}
	want := map[treeKey]int{}
	for i := range 20000 {
		k := treeKey{rng.Uint64N(3000) << 40 >> rng.UintN(41), 1 + rng.Uint64N(4)}
		if got := table.find(k); (got == nil) != (want[k] == 0) || got != nil && *got != want[k] {
			t.Fatalf("%x: %v, want %d", k, got, want[k])
		}
		v, added := table.at(k)
		if added != (want[k] == 0) || *v != want[k] {
			t.Fatalf("%x: %d, added %v, want %d", k, *v, added, want[k])
		}
		*v, want[k] = i+1, i+1
	}
	if len(table.named) != len(want) {
		t.Errorf("%d names, want %d", len(table.named), len(want))
	}
	copied := table.clone()
	for i := range table.named {
		n := &table.named[i]
		if want[n.key] != n.value {
			t.Errorf("%x: %d, want %d", n.key, n.value, want[n.key])
		}
		if c := copied.find(n.key); c == nil || *c != n.value {
			t.Errorf("%x: %v in the copy, want %d", n.key, c, n.value)
		}
	}
	if copied.at(treeKey{9, 9}); table.find(treeKey{9, 9}) != nil {
		t.Error("what is added to a copy is in the table")
	}
}
