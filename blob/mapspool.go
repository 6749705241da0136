package blob

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
)

// A Spool reads the plain bytes of a blob at any offset, like a [ReaderAt], and decompresses
// each part of them once: what lies between two points of the map is put into a temporary
// file when something of it is read first. Its methods may be called concurrently.
type Spool struct {
	ctx    context.Context
	m      *Map
	src    Ranges
	dir    string
	budget *SpoolBudget
	direct *ReaderAt // for what cannot be kept

	filling sync.Mutex // held by who decompresses; guards the following
	copying []byte
	rest    *RangeReader // of a large part, at what follows the filled bytes; or nil
	restOf  int          // part

	mu     sync.RWMutex // guards the following; written with filling too
	file   *tempfile.File
	filled []int64 // of each part, bytes that are in the file
	kept   int64   // their sum
	failed bool    // there is no file, or none that can be written
	closed bool
}

// A SpoolBudget is the number of bytes that several spools may put into their files.
type SpoolBudget struct{ left atomic.Int64 }

// NewSpoolBudget returns a budget of n bytes.
func NewSpoolBudget(n int64) *SpoolBudget {
	b := &SpoolBudget{}
	b.left.Store(n)
	return b
}

func (b *SpoolBudget) take(n int64) bool {
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

const (
	// Parts of at most this size are decompressed as a whole, larger ones as far as they are
	// read and spoolAhead beyond.
	spoolPart  = 16 << 20
	spoolAhead = 1 << 20
)

// NewSpool returns a spool of src, as NewReader does a reader. Its temporary file is in dir,
// or in the system's directory for temporary files if dir is empty. When the budget is
// exhausted, the spool drops what it has; it keeps nothing if that does not help, or when the
// file cannot be written, and decompresses as a ReaderAt does. The caller must Close it.
func (m *Map) NewSpool(ctx context.Context, src Ranges, dir string, budget *SpoolBudget) *Spool {
	// Nothing is gained by a copy of plain bytes.
	return &Spool{ctx: ctx, m: m, src: src, dir: dir, budget: budget, direct: m.NewReaderAt(ctx, src),
		filled: make([]int64, len(m.Points)), failed: m.Format == Plain}
}

// Size returns the number of plain bytes.
func (s *Spool) Size() int64 { return s.m.Plain }

// ReadAt reads len(p) plain bytes at off; it returns io.EOF if the blob ends before.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("blob: negative offset %d", off)
	}
	n := 0
	for n < len(p) {
		if off >= s.m.Plain {
			return n, io.EOF
		}
		part := s.m.start(off)
		_, end := s.bounds(part)
		k := int(min(int64(len(p)-n), end-off))
		if err := s.read(part, p[n:n+k], off); err != nil {
			return n, err
		}
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// bounds returns where a part of the plain bytes begins and ends.
func (s *Spool) bounds(part int) (from, to int64) {
	from, to = s.m.Points[part].Plain, s.m.Plain
	if part+1 < len(s.m.Points) {
		to = s.m.Points[part+1].Plain
	}
	return from, to
}

// read fills p with bytes of one part.
func (s *Spool) read(part int, p []byte, off int64) error {
	there, err := s.kepts(part, p, off)
	if there || err != nil {
		return err
	}
	s.filling.Lock()
	defer s.filling.Unlock()
	if there, err := s.kepts(part, p, off); there || err != nil {
		return err
	}
	ok, err := s.fill(part, off+int64(len(p)))
	if err != nil {
		return err
	}
	if ok {
		_, err = s.kepts(part, p, off)
		return err
	}
	n, err := s.direct.ReadAt(p, off)
	if n == len(p) {
		err = nil
	}
	return err
}

// kepts reads bytes of a part from the file, if it has them.
func (s *Spool) kepts(part int, p []byte, off int64) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch from, _ := s.bounds(part); {
	case s.closed:
		return false, layer.ErrClosed
	case off+int64(len(p)) > from+s.filled[part]:
		return false, nil
	}
	_, err := s.file.ReadAt(p, off)
	return true, err
}

// fill decompresses a part at least up to an offset. It returns false if nothing can be kept.
func (s *Spool) fill(part int, to int64) (bool, error) {
	if s.failed {
		return false, nil
	}
	from, end := s.bounds(part)
	have := from + s.filled[part]
	if end-from > spoolPart {
		to = min(end, to+spoolAhead)
	} else {
		to = end
	}
	if !s.budget.take(to - have) {
		if err := s.drop(); err != nil {
			return false, err
		}
		if have = from; !s.budget.take(to - have) {
			return false, nil
		}
	}
	if s.file == nil {
		f, err := tempfile.Create(s.dir, "mullion-plain-")
		if err != nil {
			return s.giveUp(to - have), nil //nolint:nilerr // it reads without a file
		}
		s.mu.Lock()
		s.file, s.copying = f, make([]byte, 256<<10)
		s.mu.Unlock()
	}
	r, err := s.reader(part, have, end)
	if err != nil {
		s.budget.left.Add(to - have)
		return false, err
	}
	for at := have; at < to; {
		b := s.copying[:min(int64(len(s.copying)), to-at)]
		if _, err := io.ReadFull(r, b); err != nil {
			s.budget.left.Add(to - have)
			r.Close()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return false, err
		}
		if _, err := s.file.WriteAt(b, at); err != nil {
			r.Close()
			return s.giveUp(to - have), nil //nolint:nilerr // it reads without a file
		}
		at += int64(len(b))
	}
	if to < end {
		s.rest, s.restOf = r, part
	} else {
		r.Close()
	}
	s.mu.Lock()
	s.filled[part], s.kept = to-from, s.kept+to-have
	s.mu.Unlock()
	return true, nil
}

// reader returns a reader of the rest of a part.
func (s *Spool) reader(part int, have, end int64) (*RangeReader, error) {
	if r := s.rest; r != nil {
		s.rest = nil
		if s.restOf == part && r.off == have {
			return r, nil
		}
		r.Close()
	}
	return s.m.NewReader(s.ctx, s.src, have, end-have)
}

// giveUp has the spool write no more. It returns false.
func (s *Spool) giveUp(taken int64) bool {
	s.budget.left.Add(taken)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true // what the file has is still read
	return false
}

// drop empties the file.
func (s *Spool) drop() error {
	if s.rest != nil {
		s.rest.Close()
		s.rest = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.filled)
	s.budget.left.Add(s.kept)
	s.kept = 0
	if s.file == nil {
		return nil
	}
	return s.file.Truncate(0)
}

// Close removes the file. Later reads fail.
func (s *Spool) Close() error {
	s.filling.Lock()
	defer s.filling.Unlock()
	if s.closed {
		return nil
	}
	err := s.drop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.direct.Close()
	if s.file != nil {
		if cerr := s.file.Close(); err == nil {
			err = cerr
		}
	}
	return err
}
