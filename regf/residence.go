package regf

import "sync/atomic"

// residence counts the bytes read of a mapped hive that was not edited. Pages of a mapping
// count as memory of the process for as long as it exists, although the system caches the
// file anyway: one pass over a large hive would hold all of it.
type residence struct {
	mapping []byte
	read    atomic.Int64
}

// residentMax is the number of bytes to read before memory is released. Pages in use at
// that time are read again, at a page fault for each 64 KiB.
const residentMax = 16 << 20

// add counts a bin that was reached for the first time.
func (r *residence) add(n uint32) {
	if r.read.Add(int64(n)) < residentMax {
		return
	}
	r.read.Store(0)
	releasePages(r.mapping)
}

// passage bounds the memory of mapped hives that are read in several passes, or in an order
// other than that of their bins, for which residence counts too little.
type passage struct {
	passes []*pass
	blocks int // reached since pages were released
}

// blockShift is the logarithm of the bytes that one page fault makes resident.
const blockShift = 16

// pass is the part of a passage that one hive has.
type pass struct {
	of      *passage
	h       *Hive
	reached []uint64 // one bit per block
}

// over adds a hive to the passage. It returns nil for a hive that has nothing to release.
func (p *passage) over(h *Hive) *pass {
	if h.resident == nil {
		return nil
	}
	s := &pass{of: p, h: h, reached: make([]uint64, len(h.bins)>>blockShift/64+1)}
	p.passes = append(p.passes, s)
	return s
}

// reach notes that a cell is read.
func (s *pass) reach(off uint32) {
	if s == nil {
		return
	}
	i, bit := off>>blockShift/64, uint64(1)<<(off>>blockShift%64)
	if uint64(i) >= uint64(len(s.reached)) || s.reached[i]&bit != 0 {
		return
	}
	if s.of.blocks >= residentMax>>blockShift {
		s.of.blocks = 0
		for _, t := range s.of.passes {
			t.h.releaseMapped()
			clear(t.reached)
		}
	}
	s.reached[i] |= bit
	s.of.blocks++
}
