package blob

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Format is the compression of a blob.
type Format uint8

// The compressions of image layers.
const (
	Plain Format = iota
	Gzip
	Zstd
)

// String returns none, gzip or zstd, the words of --compress.
func (f Format) String() string {
	switch f {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	}
	return "none"
}

// ParseFormat parses the words that String returns.
func ParseFormat(s string) (Format, error) {
	for _, f := range []Format{Plain, Gzip, Zstd} {
		if strings.EqualFold(s, f.String()) {
			return f, nil
		}
	}
	return Plain, fmt.Errorf("%w: %.40q (know gzip, zstd, none)", ErrCompression, s)
}

// detectLength is the number of bytes that Detect needs.
const DetectLength = 6

// Detect returns the compression by the first bytes of a blob; it needs six. Uncompressed
// data, including none at all, is Plain; compressions that image layers never use are
// ErrCompression, so that such a blob is not reported as a broken tar.
func Detect(prefix []byte) (Format, error) {
	has := func(magic string) bool { return bytes.HasPrefix(prefix, []byte(magic)) }
	switch {
	case has("\x1f\x8b\x08"):
		return Gzip, nil
	case has("\x28\xb5\x2f\xfd"):
		return Zstd, nil
	// A skippable frame, the first frame of zstd:chunked and pzstd (RFC 8878, 3.1.2).
	case len(prefix) >= 4 && prefix[0]&0xf0 == 0x50 && has(string(prefix[0])+"\x2a\x4d\x18"):
		return Zstd, nil
	case has("BZh"):
		return Plain, fmt.Errorf("%w: bzip2", ErrCompression)
	case has("\xfd7zXZ\x00"):
		return Plain, fmt.Errorf("%w: xz", ErrCompression)
	}
	return Plain, nil
}

// maxZstdWindow is the largest accepted window, the default of the zstd tool: a frame may
// require this much memory.
const maxZstdWindow = 128 << 20

// newDecompressor returns a decompressor that runs in the goroutine of its reader.
func newDecompressor(f Format, r io.Reader) (io.ReadCloser, error) {
	switch f {
	case Gzip:
		// The inflater is faster with this type than with any other reader.
		return newMembers(bufio.NewReaderSize(r, 64<<10))
	case Zstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(1<<62))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// members is a gzip file: one member after the other (RFC 1952, 2.2), and then perhaps
// zeros, with which some writers and tapes fill a block. The gzip program ignores them.
type members struct {
	*gzip.Reader
	src *bufio.Reader
}

func newMembers(src *bufio.Reader) (*members, error) {
	z, err := gzip.NewReader(src)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &members{z, src}, nil
}

func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.Reader.Read(p)
		if n > 0 && err == io.EOF {
			return n, nil // the next Read returns it again
		}
		if err != io.EOF {
			return n, err
		}
		if err := m.next(); err != nil {
			return 0, err
		}
	}
}

// next continues with the next member. It returns io.EOF if there is none.
func (m *members) next() error {
	b, err := m.src.Peek(1)
	if len(b) == 0 {
		return err
	}
	if b[0] != 0 {
		err := m.Reader.Reset(m.src)
		m.Reader.Multistream(false)
		return err
	}
	for {
		if _, err := m.src.Peek(1); err != nil {
			return err
		}
		b, _ := m.src.Peek(m.src.Buffered())
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			return errAfterPadding
		}
		m.src.Discard(len(b))
	}
}

var errAfterPadding = errors.New("the zeros after the last member are followed by something else")

// newCompressor returns a compressor whose output depends only on its input: no name and no
// time in the header, no concurrency.
func newCompressor(f Format, w io.Writer) (io.WriteCloser, error) {
	switch f {
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.DefaultCompression)
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	}
	return nopWriteCloser{w}, nil
}

type nopWriteCloser struct{ io.Writer }

func (nopWriteCloser) Close() error { return nil }
