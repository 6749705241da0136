//go:build linux || darwin

package fusefs

import (
	"io"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Programs that read a whole tree read the small files of a directory one after the other,
// in the order of the listing. Each costs a message from the kernel and two context
// switches. So when files are read in order, the content of the next ones is passed to the
// kernel in advance, by a goroutine of its own: a store waits while a program waits for the
// same page, and so must not be made before an answer.
//
// The kernel sends no message for a file that it has in its cache. So one file of each
// batch is left out, the mark. When it is read, the next batch is stored, while there is
// still content ahead of the program. And a program that reads the files of a directory in
// order is expected to read those of the next ones: their first batch is stored as soon as
// they are listed, while the kernel still processes the listing. The last of aheadTrust
// directories has its mark on the first file, which renews the expectation.
const (
	aheadFile  = 64 << 10 // the largest file
	aheadFiles = 128      // in a batch
	aheadBytes = 1 << 20  // in a batch
	aheadTrust = 8
	// aheadWindow is the number of files whose place in a listing is recorded, and
	// aheadDirs the number of directories whose reading is tracked.
	aheadWindow = 16 << 10
	aheadDirs   = 64
	aheadAtOnce = 4 // batches
	// aheadWait is the time to wait for the kernel to process a listing, and aheadPause the
	// length of each pause.
	aheadWait  = 5 * time.Millisecond
	aheadPause = 50 * time.Microsecond
)

type readAhead struct {
	server  *fuse.Server
	wait    time.Duration // aheadWait except in tests, where machines are busy
	running sync.WaitGroup
	bufs    sync.Pool // *[aheadFile]byte

	mu    sync.Mutex
	slots [aheadWindow]listed // by number
	dirs  recent[*cursor]
	trust int // directories
	busy  int // batches
}

// listed is the place in a listing of a small file that was sent to the kernel.
type listed struct {
	id, dir uint64
	index   int // in the listing
	nth     int // among those before it
}

// cursor is the progress of reading a directory. readAhead.mu guards it.
type cursor struct {
	told  int    // index after the entries sent to the kernel
	small int    // how many of them are small files
	last  listed // the file that was read last
	next  int    // index after the stored files
	mark  int    // index of the file that was left out, 0 for none
	busy  bool   // a batch is being stored
}

func newReadAhead() *readAhead {
	return &readAhead{
		wait: aheadWait,
		bufs: sync.Pool{New: func() any { return new([aheadFile]byte) }},
		dirs: newRecent[*cursor](aheadDirs),
	}
}

// small reports whether a file is small enough to be read ahead.
func small(f File) bool {
	return !f.IsDir() && f.Size() > 0 && f.Size() <= aheadFile && linkOf(f) == nil
}

// cursor returns the cursor of a directory, a new one at the start of a listing.
func (a *readAhead) cursor(dir uint64, begin bool) *cursor {
	c, ok := a.dirs.get(dir)
	if !ok || begin && !c.busy {
		c = &cursor{}
		a.dirs.put(dir, c)
	}
	return c
}

// listed records small files that are about to be sent to the kernel, with the entries of a
// listing from one index to another.
func (v *readonly) listed(dir uint64, from, to int, files []listed) {
	a := v.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.cursor(dir, from == 0)
	c.told = max(c.told, to)
	for _, f := range files {
		f.nth = c.small
		c.small++
		a.slots[f.id%aheadWindow] = f
	}
	if from == 0 && len(files) > 0 && a.trust > 0 {
		b := &batch{v: v, c: c, dir: dir, from: files[0].index, fresh: true, markFirst: a.trust == 1}
		if b.start() {
			a.trust--
		}
	}
}

// wasRead is called when the start of a file was read.
func (v *readonly) wasRead(id uint64) {
	a := v.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.slots[id%aheadWindow]
	if at.id != id {
		return
	}
	c := a.cursor(at.dir, false)
	last := c.last
	c.last = at
	if at.index != c.mark && at.index != c.next && (last.id == 0 || at.nth != last.nth+1) {
		return
	}
	a.trust = aheadTrust
	if at.index == c.mark || at.index >= c.next {
		b := &batch{v: v, c: c, dir: at.dir, from: max(c.next, at.index+1)}
		b.start()
	}
}

// batch is a group of files of a directory that are stored together.
type batch struct {
	v         *readonly
	c         *cursor
	dir       uint64
	from      int  // index of the next entry
	fresh     bool // the kernel may not have processed the listing yet
	markFirst bool
}

// start starts storing the files, unless others of the directory are being stored. The
// caller holds readAhead.mu.
func (b *batch) start() bool {
	a := b.v.ahead
	if b.c.busy || a.busy == aheadAtOnce {
		return false
	}
	b.c.busy, b.c.mark = true, 0
	a.busy++
	a.running.Go(func() {
		b.store()
		a.mu.Lock()
		defer a.mu.Unlock()
		b.c.busy, b.c.next = false, b.from
		a.busy--
	})
	return true
}

// store passes the files to the kernel.
func (b *batch) store() {
	list, err := b.v.listing(b.dir)
	if err != nil {
		return
	}
	a := b.v.ahead
	buf := a.bufs.Get().(*[aheadFile]byte)
	defer a.bufs.Put(buf)
	for files, bytes := 0, 0; files < aheadFiles && bytes < aheadBytes; files++ {
		half := files > aheadFiles/2 || bytes > aheadBytes/2
		id := b.take(list, half && len(list)-b.from > aheadFiles/2)
		if id == 0 {
			return
		}
		data := b.v.content(id, buf[:])
		if data == nil {
			return
		}
		status := a.server.InodeNotifyStoreCache(b.v.node(id), 0, data)
		for end := time.Now().Add(a.wait); status == fuse.ENOENT && b.fresh && time.Now().Before(end); {
			time.Sleep(aheadPause)
			status = a.server.InodeNotifyStoreCache(b.v.node(id), 0, data)
		}
		if !status.Ok() {
			return
		}
		bytes += len(data)
	}
}

// take returns the next file to store, 0 if there is none. It skips the files that the
// program has read in the meantime, and the mark.
func (b *batch) take(list []Entry, mark bool) uint64 {
	a := b.v.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.c.last.index >= b.from {
		b.from = b.c.last.index + 2 // it is reading the next one
	}
	for b.from < min(b.c.told, len(list)) {
		at := b.from
		b.from++
		id := list[at].ID
		switch s := a.slots[id%aheadWindow]; {
		case s.id != id || s.dir != b.dir: // not small, or known by another name
		case b.c.mark == 0 && (mark || b.markFirst):
			b.c.mark = at
		default:
			return id
		}
	}
	return 0
}

// content reads a small file; it returns nil after an error.
func (v *readonly) content(id uint64, buf []byte) []byte {
	f, err := v.files.file(id)
	if err != nil {
		return nil
	}
	s, err := f.Open()
	if err != nil || s.Size() == 0 || s.Size() > int64(len(buf)) || s.Size() != f.Size() {
		return nil
	}
	b := buf[:s.Size()]
	if n, err := s.ReadAt(b, 0); n < len(b) || err != nil && err != io.EOF {
		return nil
	}
	return b
}
