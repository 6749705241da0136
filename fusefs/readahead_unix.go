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
// content of the next few is given to the kernel unasked: some before the program goes
// on, so that it does not ask for them, and the rest while it does.
const (
	aheadFile  = 64 << 10 // the largest file
	aheadFirst = 4        // files before the answer
	aheadFiles = 128      // at once
	aheadBytes = 1 << 20
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

// listed remembers files that the kernel was given.
func (a *readAhead) listed(files []listed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range files {
		a.slots[f.id%aheadWindow] = f
	}
}

// readAhead is called when the beginning of a file was read, before the answer.
func (v *readonly) readAhead(id uint64) {
	a := v.ahead
	if !a.mu.TryLock() {
		return // it is under way
	}
	at := a.slots[id%aheadWindow]
	if at.id != id {
		a.mu.Unlock()
		return
	}
	last := a.last
	a.last = at
	if last.dir != at.dir || at.index != last.index+1 && at.index != a.pushed {
		a.pushed = 0
		a.mu.Unlock()
		return
	}
	list, err := v.listing(at.dir)
	if err != nil {
		a.mu.Unlock()
		return
	}
	from := at.index + 1
	next, given, more := v.giveSome(list, at.dir, from, from+aheadFirst, 0)
	a.pushed = next
	if !more {
		a.mu.Unlock()
		return
	}
	go func() {
		defer a.mu.Unlock()
		a.pushed, _, _ = v.giveSome(list, at.dir, next, from+aheadFiles, given)
	}()
}

// giveSome hands files of a listing to the kernel, and returns which is the next.
func (v *readonly) giveSome(list []Entry, dir uint64, from, to, given int) (next, total int, more bool) {
	a := v.ahead
	for n := from; n < to; n++ {
		if n >= len(list) || given > aheadBytes {
			return n, given, false
		}
		// Only what the kernel knows from the same listing.
		if s := a.slots[list[n].ID%aheadWindow]; s.id != list[n].ID || s.dir != dir {
			return n, given, false
		}
		size, ok := v.give(list[n].ID)
		if !ok {
			return n, given, false
		}
		given += size
	}
	return to, given, true
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
