package blob

import (
	"bufio"
	"bytes"
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

// ParseFormat reads the words that String writes.
func ParseFormat(s string) (Format, error) {
	for _, f := range []Format{Plain, Gzip, Zstd} {
		if strings.EqualFold(s, f.String()) {
			return f, nil
		}
	}
	return Plain, fmt.Errorf("%w: %.40q (know gzip, zstd, none)", ErrCompression, s)
}

// detectLength is how many bytes Detect wants to see.
const detectLength = 6

// Detect tells the compression by the first bytes, of which it wants six. What is
// not compressed, also nothing at all, is Plain; compressions that image layers
// never have give ErrCompression, so that they are not taken for a broken tar.
func Detect(prefix []byte) (Format, error) {
	has := func(magic string) bool { return bytes.HasPrefix(prefix, []byte(magic)) }
	switch {
	case has("\x1f\x8b\x08"):
		return Gzip, nil
	case has("\x28\xb5\x2f\xfd"):
		return Zstd, nil
	// A skippable frame, which zstd:chunked and pzstd put first (RFC 8878, 3.1.2).
	case len(prefix) >= 4 && prefix[0]&0xf0 == 0x50 && has(string(prefix[0])+"\x2a\x4d\x18"):
		return Zstd, nil
	case has("BZh"):
		return Plain, fmt.Errorf("%w: bzip2", ErrCompression)
	case has("\xfd7zXZ\x00"):
		return Plain, fmt.Errorf("%w: xz", ErrCompression)
	}
	return Plain, nil
}

// maxZstdWindow is the largest window that is accepted, the default of the zstd
// tool: a frame may demand this much memory.
const maxZstdWindow = 128 << 20

// newDecompressor returns a decompressor that runs in the goroutine of its reader.
func newDecompressor(f Format, r io.Reader) (io.ReadCloser, error) {
	switch f {
	case Gzip:
		// The inflater has a faster loop for this type than for any other reader.
		return gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
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

// newCompressor returns a compressor whose output depends on its input alone: no
// name and no time in the header, no concurrency.
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
