package regf

import "sync/atomic"

// residence counts what was read of a mapped hive that was not edited. Pages of a
// mapping count as memory of the process for as long as it stands, though the
// system has the file anyway: one pass over a large hive would hold all of it.
type residence struct {
	mapping []byte
	read    atomic.Int64
}

// residentMax is how much of a hive is read before its memory is given back. What is
// in use then is read again, which costs a page fault for each 64 KiB.
const residentMax = 16 << 20

// add counts a bin that was reached for the first time.
func (r *residence) add(n uint32) {
	if r.read.Add(int64(n)) < residentMax {
		return
	}
	r.read.Store(0)
	releasePages(r.mapping)
}
