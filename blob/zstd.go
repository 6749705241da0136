package blob

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the largest accepted window, the default of the zstd tool: a frame may
// require this much memory.
const maxZstdWindow = 128 << 20

// frames is a zstd file: one frame after the other (RFC 8878, 3.1). The decompressor gets
// one frame at a time, so that the place of each is known on both sides.
type frames struct {
	d      *zstd.Decoder
	frame  frameReader
	plain  int64
	survey *survey
}

func newFrames(r io.Reader, s *survey) (*frames, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(1<<62))
	if err != nil {
		return nil, err
	}
	f := &frames{d: d, frame: frameReader{r: r, buf: make([]byte, 0, 64<<10)}, survey: s}
	if err := f.next(); err != nil {
		d.Close()
		return nil, err
	}
	return f, nil
}

// next starts the next frame. It returns io.EOF if there is none.
func (f *frames) next() error {
	if err := f.frame.next(); err != nil {
		return err
	}
	f.survey.start(f.frame.start, f.plain)
	return f.d.Reset(&f.frame)
}

func (f *frames) Read(p []byte) (int, error) {
	for {
		n, err := f.d.Read(p)
		f.plain += int64(n)
		if n > 0 && err == io.EOF {
			return n, nil // the next Read returns it again
		}
		if err != io.EOF {
			return n, err
		}
		if !f.frame.ended {
			return 0, f.frame.failure()
		}
		if err := f.next(); err != nil {
			return 0, err
		}
	}
}

func (f *frames) Close() error {
	f.d.Close()
	return nil
}

// A frameReader reads the bytes of one frame. It follows the headers of the frame and its
// blocks, and leaves the rest to the decompressor: what is not a frame never ends.
type frameReader struct {
	r    io.Reader
	err  error  // of r
	buf  []byte // read ahead from r
	rest []byte // unread part of buf
	off  int64  // of the end of buf

	start int64 // offset of the frame
	ended bool
	left  int64 // bytes before the next header, or to the end
	then  func(*frameReader) int64
	sum   bool // the frame ends with a checksum
}

// next begins with the frame at the next unread byte. It returns io.EOF if there is none.
func (f *frameReader) next() error {
	if !f.fill(1) {
		return f.err
	}
	f.start = f.off - int64(len(f.rest))
	f.ended, f.left, f.then = false, 0, (*frameReader).header
	return nil
}

// fill makes sure that there are n unread bytes, if the source has them.
func (f *frameReader) fill(n int) bool {
	for empty := 0; len(f.rest) < n; {
		if f.err != nil {
			return false
		}
		f.buf = append(f.buf[:0], f.rest...)
		m, err := f.r.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf = f.buf[:len(f.buf)+m]
		f.rest, f.off, f.err = f.buf, f.off+int64(m), err
		if m > 0 || err != nil {
			empty = 0
		} else if empty++; empty > 100 {
			f.err = io.ErrNoProgress
		}
	}
	return true
}

// failure is the error of a frame without its end.
func (f *frameReader) failure() error {
	if f.err != nil && f.err != io.EOF {
		return f.err
	}
	return io.ErrUnexpectedEOF
}

func (f *frameReader) Read(p []byte) (int, error) {
	for f.left == 0 {
		if f.ended {
			return 0, io.EOF
		}
		if n := f.then(f); n < 0 {
			// A header that is damaged or incomplete: the decompressor sees it and the rest.
			f.left = 1 << 62
		} else {
			f.left = n
		}
	}
	if !f.fill(1) {
		return 0, f.err
	}
	n := copy(p, f.rest[:min(int64(len(f.rest)), f.left)])
	f.rest, f.left = f.rest[n:], f.left-int64(n)
	return n, nil
}

// header follows the header of a frame (3.1.1.1), or a skippable frame (3.1.2).
func (f *frameReader) header() int64 {
	if !f.fill(5) {
		return -1
	}
	magic, descriptor := le32(f.rest), f.rest[4]
	switch {
	case magic&^0xf == 0x184d2a50:
		if !f.fill(8) {
			return -1
		}
		f.then = (*frameReader).end
		return 8 + int64(le32(f.rest[4:]))
	case magic != 0xfd2fb528:
		return -1
	}
	single := descriptor&(1<<5) != 0
	n := 5 + int64([4]int{0, 1, 2, 4}[descriptor&3]) + int64([4]int{0, 2, 4, 8}[descriptor>>6])
	if !single {
		n++ // the descriptor of the window
	} else if descriptor>>6 == 0 {
		n++ // a content size of one byte
	}
	f.sum = descriptor&(1<<2) != 0
	f.then = (*frameReader).block
	return n
}

// block follows the header of a block (3.1.1.2).
func (f *frameReader) block() int64 {
	if !f.fill(3) {
		return -1
	}
	h := int64(f.rest[0]) | int64(f.rest[1])<<8 | int64(f.rest[2])<<16
	size := h >> 3
	switch h >> 1 & 3 {
	case 1:
		size = 1 // a byte that is repeated
	case 3:
		return -1
	}
	if h&1 != 0 {
		f.then = (*frameReader).end
		if f.sum {
			size += 4
		}
	}
	return 3 + size
}

func (f *frameReader) end() int64 {
	f.ended = true
	return 0
}
