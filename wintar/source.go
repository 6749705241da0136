package wintar

import (
	"io"
	"strings"

	"github.com/mullion/mullion/internal/zeros"
	"github.com/mullion/mullion/layer"
)

const blockSize = 512

// sourceBuffer holds a few headers; the data of large files bypasses it.
const sourceBuffer = 64 << 10

// source buffers the archive under archive/tar. It records its position, the start of the
// last header, and whether the archive was at its end when a header was expected, which
// archive/tar does not distinguish from a proper end.
type source struct {
	r         io.Reader
	buf       []byte
	from, to  int   // unread part of buf
	offset    int64 // of the next byte that Read returns
	first     int64 // offset at which the source begins
	err       error // of r, sticky
	block     int64 // offset of the last read of one block
	blockZero bool  // it was all zeros
	dataEnd   int64 // blocks before this offset are data, even if they look like a header
	last      [blockSize]byte
	ended     bool // a read has reached the end
	recording bool
	tape      []byte    // the bytes read while recording
	seeker    io.Seeker // r, if it can seek
}

func newSource(r io.Reader) *source {
	s := &source{r: r, buf: make([]byte, sourceBuffer)}
	if k, ok := r.(io.Seeker); ok {
		if _, err := k.Seek(0, io.SeekCurrent); err == nil {
			s.seeker = k
		}
	}
	return s
}

// withSeek returns the source, able to seek if the underlying reader is.
func (s *source) withSeek() io.Reader {
	if s.seeker != nil {
		return seekSource{s}
	}
	return s
}

// Read fills p completely while p is small, so that a header is always read in one piece.
func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	start := s.offset
	n := 0
	for n < len(p) {
		if s.from < s.to {
			c := copy(p[n:], s.buf[s.from:s.to])
			s.from += c
			n += c
			continue
		}
		if s.err != nil {
			break
		}
		if len(p)-n >= len(s.buf) {
			if n > 0 {
				break // a large read may be short
			}
			var c int
			c, s.err = s.r.Read(p)
			n += c
			if c > 0 {
				break
			}
			continue
		}
		if n > blockSize {
			break
		}
		s.from, s.to = 0, 0
		s.to, s.err = s.r.Read(s.buf)
	}
	s.offset += int64(n)
	if s.recording {
		if len(s.tape)+n > recordedMost {
			return 0, &layer.LimitError{Limit: "MetadataLen", Max: recordedMost}
		}
		s.tape = append(s.tape, p[:n]...)
	}
	if len(p) == blockSize && n == blockSize {
		s.seen(start, p)
	}
	if n > 0 {
		return n, nil
	}
	s.ended = s.ended || s.err == io.EOF
	return 0, s.err
}

// recordedMost bounds the header of one entry, records and the map of a sparse file
// included. archive/tar bounds all of it except the map of an old GNU header.
const recordedMost = 8 << 20

// record starts recording the bytes that Read returns.
func (s *source) record() { s.recording, s.tape = true, s.tape[:0] }

// recorded stops recording and returns the recorded bytes, valid until the next record; nil
// if there are none.
func (s *source) recorded() []byte {
	if !s.recording {
		return nil
	}
	s.recording = false
	return s.tape
}

// seen records the last block read.
func (s *source) seen(at int64, b []byte) {
	s.block, s.blockZero = at, at >= s.dataEnd && b[0] == 0 && zeros.All(b)
	copy(s.last[:], b)
}

// window returns the buffered bytes, at least n of them if there are as many and n is at
// most the size of the buffer. It consumes nothing.
func (s *source) window(n int) []byte {
	if s.to-s.from < n && n <= len(s.buf) {
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
		for s.to < n && s.err == nil {
			var c int
			c, s.err = s.r.Read(s.buf[s.to:])
			s.to += c
		}
	}
	return s.buf[s.from:s.to]
}

// take consumes n bytes of the window, which end with a header block.
func (s *source) take(n int) {
	s.from += n
	s.offset += int64(n)
	s.block, s.blockZero = s.offset-blockSize, false
	copy(s.last[:], s.buf[s.from-blockSize:s.from])
}

// data reads up to len(p) bytes of data; p is not empty. It returns io.EOF if there are
// none.
func (s *source) data(p []byte) (int, error) {
	if s.from == s.to && s.err == nil {
		if len(p) >= len(s.buf) {
			n, err := s.r.Read(p)
			s.offset += int64(n)
			s.err = err
			if n > 0 {
				return n, nil
			}
		} else {
			s.from = 0
			s.to, s.err = s.r.Read(s.buf)
		}
	}
	if s.from == s.to {
		s.ended = s.ended || s.err == io.EOF
		return 0, s.err
	}
	n := copy(p, s.buf[s.from:s.to])
	s.from += n
	s.offset += int64(n)
	return n, nil
}

// skip skips n bytes; it returns io.EOF if there are fewer.
func (s *source) skip(n int64) error {
	k := min(n, int64(s.to-s.from))
	s.from += int(k)
	s.offset += k
	n -= k
	if n > int64(len(s.buf)) && s.seeker != nil && s.err == nil {
		// Seeking past the end is no error, but reading there is. A size in a header may be
		// too large for a file offset; the data is then read up to its end.
		if _, err := s.seeker.Seek(n-1, io.SeekCurrent); err == nil {
			s.offset += n - 1
			n = 1
		}
	}
	for n > 0 {
		if b := s.window(1); len(b) == 0 {
			s.ended = s.ended || s.err == io.EOF
			return s.err
		}
		k := min(n, int64(s.to-s.from))
		s.from += int(k)
		s.offset += k
		n -= k
	}
	return nil
}

// seekSource is a source over a file: archive/tar skips unwanted data by seeking.
type seekSource struct{ *source }

// Seek is called by archive/tar, which seeks forward from the current position only.
func (s seekSource) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errSeek
	}
	buffered := int64(s.to - s.from)
	if offset <= buffered {
		s.from += int(offset)
		s.offset += offset
		return s.offset, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	if _, err := s.seeker.Seek(offset-buffered, io.SeekCurrent); err != nil {
		// As in skip. archive/tar reads next and finds the end of the data.
		if err := s.skip(offset); err != nil && err != io.EOF {
			return 0, err
		}
		return s.offset, nil
	}
	s.from, s.to = 0, 0
	s.offset += offset
	return s.offset, nil
}

// lastName returns the name in the last block, if that is a header of an entry: errors of
// archive/tar do not contain the name.
func (s *source) lastName() string {
	const atType, atMagic = 156, 257
	if string(s.last[atMagic:atMagic+5]) != "ustar" {
		return ""
	}
	switch s.last[atType] {
	case 'x', 'g', 'L', 'K':
		return ""
	}
	name, _, _ := strings.Cut(string(s.last[:100]), "\x00")
	return name
}
