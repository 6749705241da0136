package blob

import (
	"io"
	"sync"

	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
)

// windowsInMemory is how many bytes of windows a survey keeps before it writes them to a
// temporary file. A layer of 100 MiB has as many.
const windowsInMemory = 1 << 20

// A windowStore keeps the packed windows of a map that is being made. It is safe for
// concurrent use.
type windowStore struct {
	mu     sync.Mutex
	file   *tempfile.File // or nil
	size   int64          // of what is in the file
	buf    []byte         // what follows
	taken  bool           // it belongs to a map
	closed bool
	err    error
}

// add stores bytes and returns their offset. take returns its error.
func (s *windowStore) add(b []byte) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.size + int64(len(s.buf))
	if s.err == nil && !s.closed && len(s.buf) > 0 && len(s.buf)+len(b) > windowsInMemory {
		s.err = s.flush()
	}
	if s.err == nil && !s.closed {
		s.buf = append(s.buf, b...)
	}
	return at
}

func (s *windowStore) flush() (err error) {
	if s.file == nil {
		if s.file, err = tempfile.Create("", "mullion-points-"); err != nil {
			return err
		}
	}
	n, err := s.file.WriteAt(s.buf, s.size)
	s.size += int64(n)
	s.buf = s.buf[n:]
	if err == nil {
		s.buf = s.buf[:0:cap(s.buf)]
	}
	return err
}

// take makes the store that of a map, which closes it.
func (s *windowStore) take() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return layer.ErrClosed
	}
	s.taken = s.taken || s.err == nil
	return s.err
}

// discard closes the store unless it belongs to a map.
func (s *windowStore) discard() {
	s.mu.Lock()
	taken := s.taken
	s.mu.Unlock()
	if !taken {
		s.Close()
	}
}

// ReadAt implements io.ReaderAt.
func (s *windowStore) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, layer.ErrClosed
	}
	n := 0
	if off < s.size {
		m := min(int64(len(p)), s.size-off)
		var err error
		if n, err = s.file.ReadAt(p[:m], off); err != nil {
			return n, err
		}
	}
	if at := off + int64(n) - s.size; n < len(p) && at >= 0 && at <= int64(len(s.buf)) {
		n += copy(p[n:], s.buf[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close may be called twice.
func (s *windowStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.buf = true, nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
