package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"sync/atomic"
)

const (
	chunkSize = 256 << 10
	// chunksAhead bounds how far a stage runs ahead of the next one: 2 MiB.
	chunksAhead = 8
)

// A chunk is a piece of the stream that is passed to several readers, the hashes and the next
// stage. The last of them to finish with it returns it.
type chunk struct {
	buf  []byte // filled part
	refs atomic.Int32
}

// A stage reads ahead from a source in a goroutine of its own, hashes the bytes in another,
// and is read by the next stage. Its Read returns io.EOF only after the digest and the size
// were compared with the expected ones.
type stage struct {
	ctx  context.Context
	src  io.Reader
	what string // for errors

	algorithm string               // of the hash, "" for none
	chunks    *[][sha256.Size]byte // takes the sum of each chunk, if it is not nil

	want string // expected digest, "" for none
	size int64  // expected size, -1 for none

	full chan *chunk // to the next stage; closed after the last
	free chan *chunk
	done chan struct{} // closed when err and sum are final, before full is
	err  error         // why the stream ended; io.EOF when all is well
	sum  string
	n    atomic.Int64 // bytes read from the source

	cur *chunk // the chunk that the next stage is reading
	pos int
}

func newStage(ctx context.Context, what string, src io.Reader, want string, size int64) *stage {
	return &stage{
		ctx: ctx, what: what, src: src, want: want, size: size,
		full: make(chan *chunk, chunksAhead), free: make(chan *chunk, chunksAhead),
		done: make(chan struct{}),
	}
}

// start starts reading; check, if not nil, is called after every chunk, and an error ends
// the reading. If algorithm is "", nothing is hashed.
func (s *stage) start(algorithm string, check func() error) {
	for range chunksAhead {
		s.free <- nil // allocated when first used: small blobs stay small
	}
	s.algorithm = algorithm
	go s.run(check)
}

func (s *stage) run(check func() error) {
	defer close(s.full)
	defer close(s.done)
	var hashing []chan<- *chunk
	sum := make(chan string, 1)
	h, hashed := newHash(s.algorithm)
	if hashed {
		c := make(chan *chunk, chunksAhead)
		hashing = append(hashing, c)
		go func() {
			for c := range c {
				h.Write(c.buf)
				s.release(c)
			}
			sum <- hex.EncodeToString(h.Sum(nil))
		}()
	}
	mapped := make(chan struct{})
	if s.chunks != nil {
		c := make(chan *chunk, chunksAhead)
		hashing = append(hashing, c)
		go func() {
			defer close(mapped)
			for c := range c {
				*s.chunks = append(*s.chunks, sha256.Sum256(c.buf))
				s.release(c)
			}
		}()
	} else {
		close(mapped)
	}
	err := s.pump(hashing, check)
	for _, c := range hashing {
		close(c)
	}
	if hashed {
		s.sum = s.algorithm + ":" + <-sum
	}
	<-mapped
	if err == io.EOF {
		if n := s.n.Load(); s.size >= 0 && n != s.size {
			err = s.sizeError(n)
		} else if s.want != "" && s.sum != s.want {
			err = &MismatchError{What: s.what, Want: s.want, Got: s.sum, Err: ErrDigest}
		}
	}
	s.err = err
}

func (s *stage) sizeError(n int64) error {
	return &MismatchError{What: s.what, Want: strconv.FormatInt(s.size, 10), Got: strconv.FormatInt(n, 10), Err: ErrSize}
}

// pump moves chunks from the source to the hashers and the next stage.
func (s *stage) pump(hashing []chan<- *chunk, check func() error) error {
	for {
		var c *chunk
		select {
		case c = <-s.free:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
		if c == nil {
			c = &chunk{buf: make([]byte, chunkSize)}
		}
		n, err := fill(s.src, c.buf[:chunkSize])
		if n > 0 {
			if total := s.n.Add(int64(n)); s.size >= 0 && total > s.size {
				return s.sizeError(total) // do not read the rest of an endless blob
			}
			c.buf = c.buf[:n]
			c.refs.Store(int32(1 + len(hashing)))
			for _, h := range hashing {
				h <- c // never blocks for long: a hasher waits for nothing
			}
			select {
			case s.full <- c:
			case <-s.ctx.Done():
				return context.Cause(s.ctx)
			}
		}
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(); err != nil {
				return err
			}
		}
	}
}

// fill reads until b is full or the source ends. Full chunks also make the following stages
// independent of the sizes of the source's reads.
func fill(r io.Reader, b []byte) (int, error) {
	n, empty := 0, 0
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
		if m == 0 {
			if empty++; empty > 100 {
				return n, io.ErrNoProgress
			}
			continue
		}
		empty = 0
	}
	return n, nil
}

func (s *stage) release(c *chunk) {
	if c.refs.Add(-1) == 0 {
		s.free <- c // has room: there are never more chunks than slots
	}
}

// Read yields the bytes of the source.
func (s *stage) Read(p []byte) (int, error) {
	if err := s.next(); err != nil {
		return 0, err
	}
	n := copy(p, s.cur.buf[s.pos:])
	s.pos += n
	return n, nil
}

// next makes sure that the current chunk has unread bytes.
func (s *stage) next() error {
	for s.cur == nil || s.pos == len(s.cur.buf) {
		if s.cur != nil {
			s.release(s.cur)
			s.cur = nil
		}
		select {
		case c, ok := <-s.full:
			if !ok {
				return s.err
			}
			s.cur, s.pos = c, 0
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	return nil
}

// peek returns up to n bytes without consuming them, and io.EOF if there are fewer. It is
// used before the first Read.
func (s *stage) peek(n int) ([]byte, error) {
	if err := s.next(); err != nil {
		return nil, err
	}
	return s.cur.buf[:min(n, len(s.cur.buf))], nil
}

// result returns the digest once the stream has ended.
func (s *stage) result() string {
	select {
	case <-s.done:
		return s.sum
	default:
		return ""
	}
}
