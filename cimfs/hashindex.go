package cimfs

// hashIndex finds numbers by hash. Each slot keeps the hash beside the number, so that
// neither a search that passes by nor growth looks at what the number stands for, which
// lies somewhere else in memory. The numbers are not 0.
type hashIndex struct {
	slots []hashSlot // a power of two
	used  int        // slots that are not free
}

type hashSlot struct{ hash, n uint32 }

// slotRemoved is the number in a slot whose number was removed; 0 is a free slot.
const slotRemoved = ^uint32(0)

const hashIndexMin = 256

// next returns the next number with a hash and where to go on, 0 if there is no other.
// A search begins at int(hash).
func (x *hashIndex) next(hash uint32, at int) (n uint32, after int) {
	mask := len(x.slots) - 1
	for i := at; mask >= 0; i++ {
		s := x.slots[i&mask]
		if s.n == 0 {
			break
		}
		if s.hash == hash && s.n != slotRemoved {
			return s.n, i + 1
		}
	}
	return 0, at
}

func (x *hashIndex) add(hash, n uint32) {
	if (x.used+1)*8 > len(x.slots)*7 {
		x.grow()
	}
	x.place(hashSlot{hash, n})
}

func (x *hashIndex) place(s hashSlot) {
	mask := len(x.slots) - 1
	i := int(s.hash) & mask
	for x.slots[i].n != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
	x.used++
}

// grow makes room and drops removed numbers.
func (x *hashIndex) grow() {
	live := 0
	for _, s := range x.slots {
		if s.n != 0 && s.n != slotRemoved {
			live++
		}
	}
	size := hashIndexMin
	for size*3 < live*4+4 {
		size *= 2
	}
	old := x.slots
	x.slots, x.used = make([]hashSlot, size), 0
	for _, s := range old {
		if s.n != 0 && s.n != slotRemoved {
			x.place(s)
		}
	}
}

func (x *hashIndex) remove(hash, n uint32) {
	mask := len(x.slots) - 1
	for i := int(hash); mask >= 0 && x.slots[i&mask].n != 0; i++ {
		if s := &x.slots[i&mask]; s.n == n {
			s.n = slotRemoved
			return
		}
	}
}
