package cimfs

import (
	"io"
	"sync/atomic"
)

// sharedCache keeps blocks of an image's files for several goroutines. A block that
// is in it never changes; another one takes its place.
type sharedCache struct {
	slots []atomic.Pointer[sharedBlock]
}

type sharedBlock struct {
	r     *region
	index int64
	b     []byte
}

const (
	sharedBlockSize = 32 << 10
	// sharedRead is the largest read that goes through the cache.
	sharedRead = 16 << 10
)

// UseCache has the image keep up to size bytes of its files in memory, for programs
// that read many small things from it, such as file systems. It does nothing when it is
// called again.
func (im *Image) UseCache(size int64) {
	if n := size / sharedBlockSize; n > 0 {
		im.shared.CompareAndSwap(nil, &sharedCache{make([]atomic.Pointer[sharedBlock], n)})
	}
}

// readAt fills b from a region file.
func (im *Image) readAt(r *region, b []byte, off int64) error {
	c := im.shared.Load()
	if c == nil || len(b) > sharedRead || off < 0 || int64(len(b)) > r.src.Size()-off {
		return readFull(r.src, b, off)
	}
	for done := 0; done < len(b); {
		at := off + int64(done)
		block, err := c.block(r, at/sharedBlockSize)
		if err != nil {
			return err
		}
		n := copy(b[done:], block[at%sharedBlockSize:])
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		done += n
	}
	return nil
}

func (c *sharedCache) block(r *region, index int64) ([]byte, error) {
	// Regions are read side by side; their blocks start in different slots.
	slot := &c.slots[(uint64(index)+uint64(r.n)*101)%uint64(len(c.slots))]
	if s := slot.Load(); s != nil && s.index == index && s.r == r {
		return s.b, nil
	}
	b := make([]byte, min(sharedBlockSize, r.src.Size()-index*sharedBlockSize))
	if err := readFull(r.src, b, index*sharedBlockSize); err != nil {
		return nil, err
	}
	slot.Store(&sharedBlock{r, index, b})
	return b, nil
}
