package cimfs

// cachedSource keeps blocks of a file that is read in small pieces all over. It is
// for one goroutine.
type cachedSource struct {
	Source
	slots [cachedBlocks]cachedBlock
}

const (
	cachedBlockSize = 16 << 10
	cachedBlocks    = 256 // 4 MiB
)

type cachedBlock struct {
	key int64 // number of the block plus 1
	b   []byte
}

func (c *cachedSource) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > cachedBlockSize || off < 0 || int64(len(p)) > c.Size()-off {
		return c.Source.ReadAt(p, off)
	}
	for done := 0; done < len(p); {
		n := (off + int64(done)) / cachedBlockSize
		s := &c.slots[n%cachedBlocks]
		if s.key != n+1 {
			if s.b == nil {
				s.b = make([]byte, cachedBlockSize)
			}
			s.key = 0
			s.b = s.b[:min(cachedBlockSize, c.Size()-n*cachedBlockSize)]
			if err := readFull(c.Source, s.b, n*cachedBlockSize); err != nil {
				return done, err
			}
			s.key = n + 1
		}
		done += copy(p[done:], s.b[off+int64(done)-n*cachedBlockSize:])
	}
	return len(p), nil
}
