package blob

import (
	"context"
	"io"
	"runtime"

	"github.com/mullion/mullion/layer"
)

const (
	// spanSize is the least number of plain bytes that one goroutine decompresses; a span
	// ends at the next point.
	spanSize = 4 << 20
	// blocksAhead are the blocks of chunkSize that a span may have ready before its turn:
	// 6 MiB.
	blocksAhead = 24
	// maxSpans bounds the spans that are decompressed while another is read.
	maxSpans = 4
)

// NewParallelReader returns a reader like NewReader that decompresses several parts of the
// blob at a time, as many as there are processors, at most four. It needs 6 MiB for each,
// and for one more. At the ends of the parts it reads chunks twice, so that it suits local
// blobs.
func (m *Map) NewParallelReader(ctx context.Context, src Ranges, off, n int64) (io.ReadCloser, error) {
	return m.newParallelReader(ctx, src, off, n, min(runtime.GOMAXPROCS(0), maxSpans))
}

func (m *Map) newParallelReader(ctx context.Context, src Ranges, off, n int64, spans int) (io.ReadCloser, error) {
	off = min(off, m.Plain)
	end := m.Plain
	if n >= 0 && n < end-off {
		end = off + n
	}
	if spans < 2 || m.Format == Plain || off < 0 || m.spanEnd(off) >= end {
		return m.NewReader(ctx, src, off, n)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &parallelReader{
		ctx: ctx, cancel: cancel,
		spans: make(chan *span, spans-1), // one more waits to be sent, and one is read
		free:  make(chan []byte, (spans+1)*blocksAhead),
	}
	go r.start(m, src, off, end)
	return r, nil
}

// spanEnd returns the end of a span that starts at an offset.
func (m *Map) spanEnd(off int64) int64 {
	for i := m.start(off) + 1; i < len(m.Points); i++ {
		if p := m.Points[i].Plain; p >= off+spanSize {
			return p
		}
	}
	return m.Plain
}

type parallelReader struct {
	ctx    context.Context
	cancel context.CancelFunc
	spans  chan *span
	free   chan []byte // blocks to use again

	cur   *span
	block []byte // being read
	rest  []byte // unread part of it
	err   error
}

// A span is a part of the plain bytes.
type span struct {
	blocks chan []byte // closed at the end of the span
	err    error       // why it ended early; set before blocks is closed
}

// start decompresses the spans in their order, as many at a time as the channel holds.
func (r *parallelReader) start(m *Map, src Ranges, off, end int64) {
	defer close(r.spans)
	for off < end {
		n := min(m.spanEnd(off), end) - off
		s := &span{blocks: make(chan []byte, blocksAhead)}
		go r.run(s, m, src, off, n)
		select {
		case r.spans <- s:
		case <-r.ctx.Done():
			return
		}
		off += n
	}
}

func (r *parallelReader) run(s *span, m *Map, src Ranges, off, n int64) {
	defer close(s.blocks)
	rd, err := m.NewReader(r.ctx, src, off, n)
	if err != nil {
		s.err = err
		return
	}
	defer rd.Close()
	for {
		var b []byte
		select {
		case b = <-r.free:
		default:
			b = make([]byte, chunkSize)
		}
		n, err := fill(rd, b[:chunkSize])
		if n > 0 {
			select {
			case s.blocks <- b[:n]:
			case <-r.ctx.Done():
				s.err = context.Cause(r.ctx)
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				s.err = err
			}
			return
		}
	}
}

// Read returns io.EOF after the last of the bytes.
func (r *parallelReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 {
		if r.err = r.next(); r.err != nil {
			r.cancel()
			return 0, r.err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next takes the next block.
func (r *parallelReader) next() error {
	if r.block != nil {
		select {
		case r.free <- r.block:
		default:
		}
		r.block = nil
	}
	for {
		if r.cur == nil {
			select {
			case s, ok := <-r.spans:
				if !ok {
					if r.ctx.Err() != nil {
						return context.Cause(r.ctx)
					}
					return io.EOF
				}
				r.cur = s
			case <-r.ctx.Done():
				return context.Cause(r.ctx)
			}
		}
		b, ok := <-r.cur.blocks // run ends with the context
		if ok {
			r.block, r.rest = b, b
			return nil
		}
		if r.cur.err != nil {
			return r.cur.err
		}
		r.cur = nil
	}
}

// Close ends the reading. It does not wait for reads of the source in progress.
func (r *parallelReader) Close() error {
	r.cancel()
	if r.err == nil {
		r.err = layer.ErrClosed
	}
	return nil
}
