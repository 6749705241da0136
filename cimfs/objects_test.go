package cimfs

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestObjectOrder holds both orders of objects to plain sorting.
func TestObjectOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, fewObjects - 1, fewObjects, 1000, 20_000} {
		for _, spread := range []int64{1, 200, 1 << 20, maxOffset} {
			table := newObjectTable()
			var plain []object
			for range n {
				o := object{length: r.Uint64N(4), at: at(3, r.Int64N(spread))}
				// Digests that agree in their first bytes, and some in all.
				for i := range 1 + r.IntN(digestSize) {
					o.digest[digestSize-1-i] = byte(r.IntN(3))
				}
				table.add(o)
				plain = append(plain, o)
			}
			byOffset := slices.Clone(plain)
			sortByOffset(byOffset)
			if !slices.IsSortedFunc(byOffset, func(a, b object) int { return cmp.Compare(a.at, b.at) }) {
				t.Fatalf("%d objects in %d bytes are not in the order of offsets", n, spread)
			}
			all := func(a, b object) int { return cmp.Or(a.compare(&b), cmp.Compare(a.at, b.at)) }
			slices.SortFunc(byOffset, all)
			table.sort()
			var sorted []object
			for i := range table.list.len() {
				sorted = append(sorted, *table.list.at(i))
			}
			if !slices.IsSortedFunc(sorted, func(a, b object) int { return a.compare(&b) }) {
				t.Fatalf("%d objects are not in the order of length and digest", n)
			}
			slices.SortFunc(sorted, all)
			slices.SortFunc(plain, all)
			if !slices.Equal(byOffset, plain) || !slices.Equal(sorted, plain) {
				t.Fatalf("%d objects in %d bytes: not the same objects any more", n, spread)
			}
		}
	}
}
