package regf

import (
	"errors"
	"io"
)

// ReadWriterAt is a file that is written and read at any place. It must return what was
// written to it.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// Sizes of the memory of a spill. Most writes go to the bins made last and to the lists of the
// level above, which are filled in order, so that few pieces are in use at a time.
const (
	spillPiece  = 64 << 10
	spillWindow = 8 << 20
)

var errSpill = errors.New("the file does not return what was written to it")

// spill keeps the bins of a result in a file, and in memory those in use. Pieces leave the
// memory only in settle: until then, what at returned stays part of the result.
type spill struct {
	f       ReadWriterAt
	pieces  []piece
	of      []uint32 // by page of the bins: index of its piece
	size    uint32   // bytes of bins
	inside  []uint32 // the pieces in memory
	hand    int      // the next of them to look at
	held    int      // bytes in memory
	window  int      // the most that settle leaves in memory
	room    int      // bytes of a piece, unless a bin is larger
	buffers [][]byte // of pieces that left
	err     error    // the first one of the file
}

// piece is a run of whole bins.
type piece struct {
	off    uint32 // of the first bin
	n      uint32 // bytes
	recent bool   // used since the hand went past
	b      []byte // nil if it is in the file alone
}

func newSpill(f ReadWriterAt) *spill { return &spill{f: f, window: spillWindow, room: spillPiece} }

// extend appends n zero bytes for a new bin and returns them.
func (s *spill) extend(n uint32) []byte {
	last := len(s.pieces) - 1
	if last < 0 || uint64(cap(s.pieces[last].b)) < uint64(s.pieces[last].n)+uint64(n) {
		last++
		s.pieces = append(s.pieces, piece{off: s.size})
		s.enter(last, int(n))
	}
	p := &s.pieces[last]
	from := p.n
	p.n += n
	p.b = p.b[:p.n]
	p.recent = true
	clear(p.b[from:])
	for range n / pageSize {
		s.of = append(s.of, uint32(last))
	}
	s.size += n
	return p.b[from:]
}

// enter gives a piece memory for n bytes at least.
func (s *spill) enter(i, n int) {
	var b []byte
	if k := len(s.buffers); n <= s.room && k > 0 {
		b, s.buffers = s.buffers[k-1], s.buffers[:k-1]
	} else {
		b = make([]byte, max(n, s.room))[:0:max(n, s.room)]
	}
	s.pieces[i].b = b[:0]
	s.inside = append(s.inside, uint32(i))
	s.held += cap(b)
}

// at returns the bytes from an offset to the end of its piece. After a failure of the file,
// which err keeps, they are zero.
func (s *spill) at(off uint32) []byte {
	page := off / pageSize
	if uint64(page) >= uint64(len(s.of)) {
		s.fail(errSpill)
		return make([]byte, 2*pageSize)
	}
	i := s.of[page]
	p := &s.pieces[i]
	p.recent = true
	if p.b == nil {
		s.enter(int(i), int(p.n))
		p.b = p.b[:p.n]
		if n, err := s.f.ReadAt(p.b, baseSize+int64(p.off)); n < len(p.b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			s.fail(err)
			clear(p.b)
		}
	}
	return p.b[off-p.off:]
}

func (s *spill) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// settle moves pieces to the file, if more memory is used than the window: those that were
// not used lately.
func (s *spill) settle() {
	if s.held <= s.window || s.err != nil {
		return
	}
	last := uint32(len(s.pieces) - 1) // the next bin may be part of it
	for turn := 2 * len(s.inside); s.held > s.window*3/4 && turn > 0; turn-- {
		if s.hand >= len(s.inside) {
			s.hand = 0
		}
		i := s.inside[s.hand]
		p := &s.pieces[i]
		if p.recent || i == last {
			p.recent = false
			s.hand++
			continue
		}
		if s.save(p); s.err != nil {
			return
		}
		s.held -= cap(p.b)
		if cap(p.b) == s.room {
			s.buffers = append(s.buffers, p.b[:0])
		}
		p.b = nil
		s.inside[s.hand] = s.inside[len(s.inside)-1]
		s.inside = s.inside[:len(s.inside)-1]
	}
}

func (s *spill) save(p *piece) {
	if _, err := s.f.WriteAt(p.b, baseSize+int64(p.off)); err != nil {
		s.fail(err)
	}
}

// finish writes the base block and all that is still in memory, and returns the size of the
// file.
func (s *spill) finish(base []byte) (int64, error) {
	for i := range s.pieces {
		if p := &s.pieces[i]; p.b != nil && s.err == nil {
			s.save(p)
		}
	}
	if s.err == nil {
		_, s.err = s.f.WriteAt(base, 0)
	}
	return baseSize + int64(s.size), s.err
}
