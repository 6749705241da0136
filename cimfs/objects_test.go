package cimfs

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHashIndex holds the index to a map, with few enough hashes that they collide.
func TestHashIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, hashes := range []uint32{1, 7, 1000, 1 << 31} {
		var x hashIndex
		model := map[uint32][]uint32{}
		var all [][2]uint32
		find := func(h uint32) (list []uint32) {
			for n, next := x.next(h, 0); n != 0; n, next = x.next(h, next) {
				list = append(list, n)
			}
			slices.Sort(list)
			return list
		}
		if n := find(0); n != nil {
			t.Fatalf("an empty index has %v", n)
		}
		for n := uint32(1); n < 3000; n++ {
			h := r.Uint32N(hashes) * 0x10001
			x.add(h, n)
			model[h] = append(model[h], n)
			all = append(all, [2]uint32{h, n})
			if r.IntN(3) == 0 {
				i := r.IntN(len(all))
				h, n := all[i][0], all[i][1]
				x.remove(h, n)
				all = slices.Delete(all, i, i+1)
				model[h] = slices.DeleteFunc(model[h], func(m uint32) bool { return m == n })
			}
			if hashes > 100 || n%100 == 0 {
				if got := find(h); !slices.Equal(got, model[h]) {
					t.Fatalf("%d hashes, hash %#x: %v, want %v", hashes, h, got, model[h])
				}
			}
		}
		for h, want := range model {
			if got := find(h); !slices.Equal(got, want) {
				t.Fatalf("%d hashes, hash %#x: %v, want %v", hashes, h, got, want)
			}
		}
	}
}

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
