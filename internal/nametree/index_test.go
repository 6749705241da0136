package nametree

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// TestIndex holds the index to a map, with few enough hashes that they collide.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, hashes := range []uint32{1, 7, 1000, 1 << 31} {
		var x Index
		model := map[uint32][]uint32{}
		var all [][2]uint32
		find := func(h uint32) (list []uint32) {
			for n, next := x.Next(h, 0); n != 0; n, next = x.Next(h, next) {
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
			x.Add(h, n)
			model[h] = append(model[h], n)
			all = append(all, [2]uint32{h, n})
			if r.IntN(3) == 0 {
				i := r.IntN(len(all))
				h, n := all[i][0], all[i][1]
				x.Remove(h, n)
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

// TestIndexSize counts the bytes for each number, whatever the number of numbers.
func TestIndexSize(t *testing.T) {
	h := NewHasher()
	var x Index
	for n := uint32(1); n <= 300_000; n++ {
		x.Add(h.Hash(n, "name"), n)
		if n < 50_000 || n%10_000 != 0 {
			continue
		}
		slots := 0
		for i := range x.shards {
			slots += len(x.shards[i].slots)
		}
		if per := float64(slots) * 8 / float64(n); per > 12.5 {
			t.Errorf("the index of %d numbers takes %.1f bytes each", n, per)
		}
	}
}

func TestHash(t *testing.T) {
	h := NewHasher()
	for _, c := range [][2]string{{"", ""}, {"a", "A"}, {"Straße", "STRAßE"}, {"é.dll", "É.DLL"}, {"ı", "ı"}} {
		if !winfs.EqualFold(c[0], c[1]) {
			t.Fatalf("%q and %q are different names", c[0], c[1])
		}
		if h.Hash(1, c[0]) != h.Hash(1, c[1]) {
			t.Errorf("%q and %q have different hashes", c[0], c[1])
		}
	}
	if h.Hash(1, "a") == h.Hash(2, "a") && h.Hash(1, "b") == h.Hash(2, "b") {
		t.Error("the directory does not count")
	}
}
