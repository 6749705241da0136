package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/mullion/mullion/layer"
)

// Sizes of range requests: the first is small unless the length of what is read is known,
// and each is twice the one before it.
const (
	firstRange = 1 << 20
	maxRange   = 64 << 20
)

// A RangeReader reads a part of the plain bytes of a blob.
type RangeReader struct {
	m      *Map
	stored *chunkReader
	d      io.ReadCloser // nil once closed
	pos    int64         // in the plain bytes, of the next byte from d
	off    int64         // of the next byte for the caller
	end    int64
	err    error
}

// NewReader returns a reader of n plain bytes at off; n is -1 for all that follow, and what
// lies beyond the end of the blob is no error. src must be the blob that the map describes:
// every chunk is compared with its sum before a byte of it is used, and a difference is a
// MismatchError. The caller must Close the reader.
func (m *Map) NewReader(ctx context.Context, src Ranges, off, n int64) (*RangeReader, error) {
	if off < 0 {
		return nil, fmt.Errorf("blob: negative offset %d", off)
	}
	off = min(off, m.Plain)
	if n < 0 || n > m.Plain-off {
		n = m.Plain - off
	}
	r := &RangeReader{m: m, off: off, end: off + n}
	ahead := int64(firstRange)
	limit := m.Stored
	if r.end < m.Plain {
		limit = m.storedEnd(r.end)
		ahead = maxRange
	}
	if n == 0 {
		r.err = io.EOF
		return r, nil
	}
	if m.Format == Plain {
		r.stored = newChunkReader(ctx, m, src, off, limit, ahead)
		r.d, r.pos = io.NopCloser(r.stored), off
		return r, nil
	}
	p := &m.Points[m.start(off)]
	r.stored = newChunkReader(ctx, m, src, p.Stored, limit, ahead)
	r.pos = p.Plain
	d, err := m.decompressor(p, r.stored)
	if err != nil {
		r.stored.close()
		return nil, r.wrap(err)
	}
	r.d = d
	return r, nil
}

// decompressor starts at a point.
func (m *Map) decompressor(p *Point, stored io.Reader) (io.ReadCloser, error) {
	if p.Window == 0 {
		return newDecompressor(m.Format, stored, nil)
	}
	window, err := m.window(p)
	if err != nil {
		return nil, err
	}
	return resumeMembers(stored, p.Bit, window)
}

// Read returns io.EOF after the last of the bytes.
func (r *RangeReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.off == r.end {
		return 0, r.fail(io.EOF)
	}
	if len(p) == 0 {
		return 0, nil
	}
	for r.pos < r.off {
		n, err := io.CopyN(io.Discard, onlyReader{r.d}, r.off-r.pos)
		r.pos += n
		if err != nil {
			return 0, r.fail(r.wrap(err))
		}
	}
	p = p[:min(int64(len(p)), r.end-r.off)]
	n, err := r.d.Read(p)
	r.pos, r.off = r.pos+int64(n), r.off+int64(n)
	if n > 0 && (err == io.EOF || r.off == r.end) {
		err = nil // the next Read returns it again, or the end of the range
	}
	if err != nil {
		return n, r.fail(r.wrap(err))
	}
	return n, nil
}

type onlyReader struct{ io.Reader }

func (r *RangeReader) fail(err error) error {
	r.err = err
	r.release()
	return err
}

func (r *RangeReader) release() {
	if r.d != nil {
		r.d.Close()
		r.d = nil
		r.stored.close()
	}
}

// wrap names an error of decompression. The stored bytes are the verified ones, so it means
// that the map is wrong.
func (r *RangeReader) wrap(err error) error {
	if r.stored.err != nil && r.stored.err != io.EOF {
		return r.stored.err
	}
	if errors.Is(err, ErrMap) {
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %v at %#x of the plain bytes: %w", ErrMap, r.m.Format, r.pos, err)
}

// Close ends the reading. It may be called twice, and not during a Read.
func (r *RangeReader) Close() error {
	r.release()
	if r.err == nil {
		r.err = layer.ErrClosed
	}
	return nil
}

// A chunkReader reads stored bytes from an offset on and verifies them.
type chunkReader struct {
	ctx   context.Context
	m     *Map
	src   Ranges
	rc    io.ReadCloser // the open range, nil if there is none
	next  int64         // offset of the next chunk to read
	limit int64         // where reading ends: a multiple of the size of a chunk, or the end
	open  int64         // end of the open range
	ahead int64         // size of the next range
	buf   []byte        // of a chunk
	rest  []byte        // unread part of it
	skip  int64         // to the first wanted byte
	err   error
}

func newChunkReader(ctx context.Context, m *Map, src Ranges, off, limit, ahead int64) *chunkReader {
	first := off / m.ChunkSize * m.ChunkSize
	limit = min((limit+m.ChunkSize-1)/m.ChunkSize*m.ChunkSize, m.Stored)
	return &chunkReader{ctx: ctx, m: m, src: src, next: first, limit: limit, open: first, ahead: ahead, skip: off - first}
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.err == nil {
			c.err = c.fetch()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// fetch reads the next chunk and verifies it.
func (c *chunkReader) fetch() error {
	if c.next >= c.limit {
		return io.EOF
	}
	if err := c.ctx.Err(); err != nil {
		return context.Cause(c.ctx)
	}
	size := min(c.m.ChunkSize, c.m.Stored-c.next)
	if c.next == c.open {
		c.close()
		n := max(c.ahead/c.m.ChunkSize, 1) * c.m.ChunkSize
		n = min(n, c.limit-c.next)
		rc, err := c.src.OpenRange(c.ctx, c.next, n)
		if err != nil {
			return err
		}
		c.rc, c.open, c.ahead = rc, c.next+n, min(2*c.ahead, maxRange)
	}
	if c.buf == nil {
		c.buf = make([]byte, size)
	}
	b := c.buf[:size]
	if n, err := io.ReadFull(c.rc, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return &MismatchError{What: "blob", Err: ErrSize, Want: fmt.Sprint(c.m.Stored), Got: fmt.Sprint(c.next + int64(n))}
	} else if err != nil {
		return err
	}
	if err := c.m.verify(c.next/c.m.ChunkSize, b); err != nil {
		return err
	}
	c.next += size
	skip := min(c.skip, size)
	c.rest, c.skip = b[skip:], c.skip-skip
	return nil
}

func (c *chunkReader) close() {
	if c.rc != nil {
		c.rc.Close()
		c.rc = nil
	}
}

// A ReaderAt reads the plain bytes of a blob at any offset. It keeps the positions of its
// last reads, so that reading on from one of them costs no more than what is read, and the
// bytes around its last reads. Its methods may be called concurrently.
type ReaderAt struct {
	ctx context.Context
	m   *Map
	src Ranges

	mu      sync.Mutex
	readers []*RangeReader // the last used one first
	pages   []*page        // likewise
	closed  bool
}

const (
	readersKept = 4
	pageSize    = 128 << 10
	pagesKept   = 32 // 4 MiB
)

// A page is a piece of the plain bytes, at a multiple of pageSize.
type page struct {
	off int64
	b   []byte
}

// NewReaderAt returns a ReaderAt of src, as NewReader does a reader. The caller must Close
// it.
func (m *Map) NewReaderAt(ctx context.Context, src Ranges) *ReaderAt {
	return &ReaderAt{ctx: ctx, m: m, src: src}
}

// Size returns the number of plain bytes.
func (r *ReaderAt) Size() int64 { return r.m.Plain }

// ReadAt reads len(p) plain bytes at off; it returns io.EOF if the blob ends before.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("blob: negative offset %d", off)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) {
		if off >= r.m.Plain {
			return n, io.EOF
		}
		pg, err := r.page(off / pageSize * pageSize)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], pg.b[off-pg.off:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

// page returns a page that is kept, or reads it.
func (r *ReaderAt) page(off int64) (*page, error) {
	if r.closed {
		return nil, layer.ErrClosed
	}
	for i, p := range r.pages {
		if p.off == off {
			copy(r.pages[1:i+1], r.pages[:i])
			r.pages[0] = p
			return p, nil
		}
	}
	rd, err := r.reader(off)
	if err != nil {
		return nil, err
	}
	// Pages that are passed on the way to the wanted one are kept too: who reads backwards
	// finds them.
	for {
		p := r.newPage()
		p.off = rd.off
		p.b = p.b[:min(pageSize, r.m.Plain-p.off)]
		if _, err := io.ReadFull(rd, p.b); err != nil {
			rd.Close()
			r.readers = r.readers[1:]
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		r.pages = append(r.pages, nil)
		copy(r.pages[1:], r.pages)
		r.pages[0] = p
		if p.off == off {
			return p, nil
		}
	}
}

func (r *ReaderAt) newPage() *page {
	if n := len(r.pages); n == pagesKept {
		p := r.pages[n-1]
		r.pages = r.pages[:n-1]
		p.b = p.b[:cap(p.b)]
		return p
	}
	return &page{b: make([]byte, pageSize)}
}

// reader returns a reader, first in r.readers, at or before the page at off: one that is
// kept, if no point lies between its position and the page.
func (r *ReaderAt) reader(off int64) (*RangeReader, error) {
	from := off
	if r.m.Format != Plain {
		from = r.m.Points[r.m.start(off)].Plain
	}
	from = (from + pageSize - 1) / pageSize * pageSize
	if from > off {
		from = off
	}
	best := -1
	for i, rd := range r.readers {
		if rd.off >= from && rd.off <= off && (best < 0 || rd.off > r.readers[best].off) {
			best = i
		}
	}
	if best >= 0 {
		rd := r.readers[best]
		copy(r.readers[1:best+1], r.readers[:best])
		r.readers[0] = rd
		return rd, nil
	}
	rd, err := r.m.NewReader(r.ctx, r.src, from, -1)
	if err != nil {
		return nil, err
	}
	if n := len(r.readers); n == readersKept {
		r.readers[n-1].Close()
		r.readers = r.readers[:n-1]
	}
	r.readers = append([]*RangeReader{rd}, r.readers...)
	return rd, nil
}

// Close releases what was kept. Later reads fail.
func (r *ReaderAt) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, rd := range r.readers {
		rd.Close()
	}
	r.readers, r.pages = nil, nil
	return nil
}
