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
