package blob

import (
	"io"
	"sync"

	"github.com/mullion/mullion/layer"
)

// Writer compresses its input and computes the digests and sizes of both sides. Compression
// and hashing run concurrently with the producer.
type Writer struct {
	plain *outStage // accepts the input, hashes it, feeds the compressor
	blob  *outStage // accepts the output of the compressor; plain itself without one
	comp  io.WriteCloser
	err   error
	done  bool
}

// NewWriter writes a blob of the given format to w. The caller must Close the writer, which
// finishes the blob and does not close w.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	if f == Plain {
		s := newOutStage(w)
		return &Writer{plain: s, blob: s}, nil
	}
	blob := newOutStage(w)
	comp, err := newCompressor(f, blob)
	if err != nil {
		blob.finish()
		return nil, err
	}
	return &Writer{plain: newOutStage(comp), blob: blob, comp: comp}, nil
}

// Write accepts uncompressed bytes. A later Write or Close may report an error of the
// destination.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, layer.ErrClosed
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.plain.Write(p)
	w.err = err
	return n, err
}

// Close finishes the blob and waits until all of it was written. Further calls return the
// same error.
func (w *Writer) Close() error {
	if w.done {
		return w.err
	}
	w.done = true
	err := w.plain.finish()
	if w.comp != nil {
		if cerr := w.comp.Close(); err == nil {
			err = cerr
		}
		if berr := w.blob.finish(); err == nil {
			err = berr
		}
	}
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// Digest returns the SHA-256 digest of the blob as stored. Digests and sizes are available
// after Close.
func (w *Writer) Digest() string { return w.blob.sum }

// StoredSize returns the length of the blob as stored.
func (w *Writer) StoredSize() int64 { return w.blob.n }

// DiffID returns the SHA-256 digest of the writer's input.
func (w *Writer) DiffID() string { return w.plain.sum }

// Size returns the number of bytes written to the writer.
func (w *Writer) Size() int64 { return w.plain.n }

// An outStage collects writes into chunks, hashes them in one goroutine and writes them in
// another.
type outStage struct {
	cur  *chunk
	full chan *chunk
	free chan *chunk
	wait sync.WaitGroup

	mu  sync.Mutex
	err error

	n   int64
	sum string
	end bool
}

func newOutStage(w io.Writer) *outStage {
	s := &outStage{full: make(chan *chunk, chunksAhead), free: make(chan *chunk, chunksAhead)}
	for range chunksAhead {
		s.free <- nil
	}
	hashing := make(chan *chunk, chunksAhead)
	s.wait.Add(2)
	go func() {
		defer s.wait.Done()
		h, _ := newHash("sha256")
		for c := range hashing {
			h.Write(c.buf)
			s.release(c)
		}
		s.sum = sumOf(h)
	}()
	go func() {
		defer s.wait.Done()
		defer close(hashing)
		for c := range s.full {
			hashing <- c
			if s.failed() == nil {
				if _, err := w.Write(c.buf); err != nil {
					s.fail(err)
				}
			}
			s.release(c)
		}
	}()
	return s
}

func (s *outStage) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *outStage) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *outStage) release(c *chunk) {
	if c.refs.Add(-1) == 0 {
		s.free <- c
	}
}

// Write fills chunks; only full ones are passed on, so that the output never depends on the
// sizes of the producer's writes.
func (s *outStage) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if err := s.failed(); err != nil {
			return written, err
		}
		if s.cur == nil {
			if s.cur = <-s.free; s.cur == nil {
				s.cur = &chunk{buf: make([]byte, 0, chunkSize)}
			}
			s.cur.buf = s.cur.buf[:0]
		}
		n := min(len(p), chunkSize-len(s.cur.buf))
		s.cur.buf = append(s.cur.buf, p[:n]...)
		p, written, s.n = p[n:], written+n, s.n+int64(n)
		if len(s.cur.buf) == chunkSize {
			s.send()
		}
	}
	return written, nil
}

func (s *outStage) send() {
	s.cur.refs.Store(2)
	s.full <- s.cur
	s.cur = nil
}

// finish sends the rest and waits for both goroutines.
func (s *outStage) finish() error {
	if !s.end {
		s.end = true
		if s.cur != nil {
			s.send()
		}
		close(s.full)
		s.wait.Wait()
	}
	return s.failed()
}
