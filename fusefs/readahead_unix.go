//go:build linux || darwin

package fusefs

import (
	"io"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Programs that read a whole tree read the small files of a directory one after the
// other, in the order of the listing. Each costs a message from the kernel and two
// changes of process. So when two neighbours were read one after the other, the
// content of the next few is given to the kernel unasked.
const (
	aheadFile  = 64 << 10 // the largest file
	aheadFiles = 64       // at once
	aheadBytes = 512 << 10
	// aheadWindow is how many files are remembered with their place in a listing.
	aheadWindow = 4096
)

type readAhead struct {
	server *fuse.Server

	mu     sync.Mutex
	slots  [aheadWindow]listed // by number
	last   listed              // the file that was read last
	pushed int                 // place behind the last that was given to the kernel
	buf    []byte
}

// listed is a file's place in a listing that the kernel was given.
type listed struct {
	id, dir uint64
	index   int
}

func (a *readAhead) listed(id, dir uint64, index int) {
	a.mu.Lock()
	a.slots[id%aheadWindow] = listed{id, dir, index}
	a.mu.Unlock()
}

// readAhead is called when the beginning of a file was read.
func (v *readonly) readAhead(id uint64) {
	a := v.ahead
	if !a.mu.TryLock() {
		return
	}
	defer a.mu.Unlock()
	at := a.slots[id%aheadWindow]
	if at.id != id {
		return
	}
	last := a.last
	a.last = at
	sequential := last.dir == at.dir && (at.index == last.index+1 || at.index == a.pushed)
	if !sequential {
		a.pushed = 0
		return
	}
	list, err := v.listing(at.dir)
	if err != nil {
		return
	}
	given := 0
	n := at.index + 1
	for ; n < len(list) && n <= at.index+aheadFiles && given < aheadBytes; n++ {
		// Only what the kernel knows from the same listing.
		if s := a.slots[list[n].ID%aheadWindow]; s.id != list[n].ID || s.dir != at.dir {
			break
		}
		size, ok := v.give(list[n].ID)
		if !ok {
			break
		}
		given += size
	}
	a.pushed = n
}

// give hands the content of a small file to the kernel.
func (v *readonly) give(id uint64) (int, bool) {
	f, err := v.files.file(id)
	if err != nil || f.IsDir() || f.Size() == 0 || f.Size() > aheadFile || linkOf(f) != nil {
		return 0, err == nil
	}
	s, err := f.Open()
	if err != nil {
		return 0, false
	}
	a := v.ahead
	if a.buf == nil {
		a.buf = make([]byte, aheadFile)
	}
	b := a.buf[:s.Size()]
	if n, err := s.ReadAt(b, 0); n < len(b) || err != nil && err != io.EOF {
		return 0, false
	}
	return len(b), a.server.InodeNotifyStoreCache(v.node(id), 0, b).Ok()
}
