// Package nametree finds the names of a directory tree without regard to case.
//
// A tree numbers its nodes and stores them as it likes. Its index maps the hash of a
// directory and a name, see [Hasher], to the numbers of the nodes with that hash; the
// tree compares the directory and the name of each of them.
package nametree

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// Hasher hashes names under a random seed, so that an attacker cannot make names that collide.
// It may be used from several goroutines at once.
type Hasher struct{ seed maphash.Seed }

// NewHasher returns a hasher with a seed of its own.
func NewHasher() Hasher { return Hasher{maphash.MakeSeed()} }

// Hash returns the hash of a name in the directory with a number. Names that are equal
// in the upcase table of NTFS have equal hashes.
func (h Hasher) Hash(dir uint32, name string) uint32 {
	var buf [128]byte
	b := binary.LittleEndian.AppendUint32(buf[:0], dir)
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= 0x80 {
			b = append(b[:4], winfs.Fold(name)...)
			break
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return uint32(maphash.Bytes(h.seed, b))
}

// Index finds numbers other than 0 by hash. Each slot holds the hash next to the
// number, so that neither a search nor growth loads the objects that the numbers
// identify from memory.
//
// The index consists of shards that grow by half, one at a time, because their first
// sizes differ. It therefore takes about 11 bytes a number, and growing needs little
// memory on top of that; one table that doubles takes between 9 and 18 bytes, and half as
// much again while it grows.
type Index struct {
	shards [shardCount]shard
}

// shard is a hash table with linear probing. The high bits of a hash select the
// shard, the others the slot.
type shard struct {
	slots []slot
	used  int // slots that are not free
}

type slot struct{ hash, n uint32 }

const (
	shardBits  = 6
	shardCount = 1 << shardBits

	// slotRemoved is the number in a slot whose number was removed. A free slot has 0.
	slotRemoved = ^uint32(0)
)

func (x *Index) shard(hash uint32) *shard { return &x.shards[hash>>(32-shardBits)] }

// home returns the slot at which the search for a hash starts. There must be slots.
func (s *shard) home(hash uint32) int {
	return int(uint64(hash<<shardBits) * uint64(len(s.slots)) >> 32)
}

// Next returns the first number with a hash after the first skip slots of the search, or
// 0 if there is none, and the number of slots to skip for the number after that.
func (x *Index) Next(hash uint32, skip int) (n uint32, skipNext int) {
	s := x.shard(hash)
	if len(s.slots) == 0 {
		return 0, 0
	}
	i := s.home(hash) + skip
	if i >= len(s.slots) {
		i -= len(s.slots)
	}
	for {
		skip++
		slot := s.slots[i]
		if slot.n == 0 {
			return 0, skip
		}
		if slot.hash == hash && slot.n != slotRemoved {
			return slot.n, skip
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}

// Add adds a number, which must not be 0.
func (x *Index) Add(hash, n uint32) {
	s := x.shard(hash)
	if (s.used+1)*8 > len(s.slots)*7 {
		s.grow(16 + int(hash>>(32-shardBits))*8/shardCount)
	}
	s.place(slot{hash, n})
}

func (s *shard) place(slot slot) {
	i := s.home(slot.hash)
	for s.slots[i].n != 0 {
		if i++; i == len(s.slots) {
			i = 0
		}
	}
	s.slots[i] = slot
	s.used++
}

// grow makes room for another number and drops removed ones.
func (s *shard) grow(least int) {
	live := 0
	for _, slot := range s.slots {
		if slot.n != 0 && slot.n != slotRemoved {
			live++
		}
	}
	size := max(least, len(s.slots))
	for size*3 < live*4+4 {
		size += size / 2
	}
	old := s.slots
	s.slots, s.used = make([]slot, size), 0
	for _, slot := range old {
		if slot.n != 0 && slot.n != slotRemoved {
			s.place(slot)
		}
	}
}

// Clone returns a copy.
func (x *Index) Clone() Index {
	c := *x
	for i := range c.shards {
		c.shards[i].slots = slices.Clone(c.shards[i].slots)
	}
	return c
}

// Remove removes a number that was added with the hash.
func (x *Index) Remove(hash, n uint32) {
	s := x.shard(hash)
	if len(s.slots) == 0 {
		return
	}
	for i := s.home(hash); s.slots[i].n != 0; {
		if s.slots[i].n == n {
			s.slots[i].n = slotRemoved
			return
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}
