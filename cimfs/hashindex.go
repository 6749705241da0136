package cimfs

// hashIndex finds numbers other than 0 by hash. Each slot holds the hash next to the
// number, so that neither a search nor growth loads the objects that the numbers stand
// for from memory.
//
// The index consists of shards that grow by half, one at a time, because their first
// sizes differ. It therefore takes about 11 bytes a number, and growing needs little
// memory on top of that; one table that doubles takes between 9 and 18 bytes, and half as
// much again while it grows.
type hashIndex struct {
	shards [hashShards]hashShard
}

// hashShard is a hash table with linear probing. The high bits of a hash select the
// shard, the others the slot.
type hashShard struct {
	slots []hashSlot
	used  int // slots that are not free
}

type hashSlot struct{ hash, n uint32 }

const (
	hashShardBits = 6
	hashShards    = 1 << hashShardBits

	// slotRemoved is the number in a slot whose number was removed. A free slot has 0.
	slotRemoved = ^uint32(0)
)

func (x *hashIndex) shard(hash uint32) *hashShard { return &x.shards[hash>>(32-hashShardBits)] }

// home returns the slot at which the search for a hash begins. There must be slots.
func (s *hashShard) home(hash uint32) int {
	return int(uint64(hash<<hashShardBits) * uint64(len(s.slots)) >> 32)
}

// next returns the first number with a hash after the first skip slots of the search, or
// 0 if there is none, and the number of slots to skip for the number after that.
func (x *hashIndex) next(hash uint32, skip int) (n uint32, skipNext int) {
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

// add adds a number, which must not be 0.
func (x *hashIndex) add(hash, n uint32) {
	s := x.shard(hash)
	if (s.used+1)*8 > len(s.slots)*7 {
		s.grow(16 + int(hash>>(32-hashShardBits))*8/hashShards)
	}
	s.place(hashSlot{hash, n})
}

func (s *hashShard) place(slot hashSlot) {
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
func (s *hashShard) grow(least int) {
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
	s.slots, s.used = make([]hashSlot, size), 0
	for _, slot := range old {
		if slot.n != 0 && slot.n != slotRemoved {
			s.place(slot)
		}
	}
}

func (x *hashIndex) remove(hash, n uint32) {
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
