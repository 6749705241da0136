package regf

import (
	"io"
	"sync"
)

// pageSource reads the pages of a hive when they are first needed.
type pageSource struct {
	r    io.ReaderAt
	size int64
	mu   sync.Mutex
	have []uint64 // one bit per page
}

func newPageSource(r io.ReaderAt, size int64) *pageSource {
	pages := (size + pageSize - 1) / pageSize
	return &pageSource{r: r, size: size, have: make([]uint64, (pages+63)/64)}
}

// load makes n bytes of the file at off present in h.data.
func (h *Hive) load(off, n int) error {
	s := h.lazy
	if s == nil || n <= 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := (min(off+n, len(h.data)) - 1) / pageSize
	for p := off / pageSize; p <= last; p++ {
		if s.have[p/64]>>(p%64)&1 != 0 {
			continue
		}
		run := p + 1 // read missing neighbours too in one call
		for run <= last && s.have[run/64]>>(run%64)&1 == 0 {
			run++
		}
		b := h.data[p*pageSize : min(run*pageSize, len(h.data))]
		got, err := s.r.ReadAt(b, int64(p)*pageSize)
		if got < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		for ; p < run; p++ {
			s.have[p/64] |= 1 << (p % 64)
		}
		p--
	}
	return nil
}
