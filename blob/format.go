package blob

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
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

// newDecompressor returns a decompressor that runs in the goroutine of its reader. It adds
// the points that it passes to the survey, which may be nil.
func newDecompressor(f Format, r io.Reader, s *survey) (io.ReadCloser, error) {
	switch f {
	case Gzip:
		return newMembers(r, s)
	case Zstd:
		return newFrames(r, s)
	}
	return io.NopCloser(r), nil
}

// newCompressor returns a compressor whose output depends only on its input: no name and no
// time in the header, and nothing that the number of processors changes.
func newCompressor(f Format, w io.Writer) (io.WriteCloser, error) {
	switch f {
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.DefaultCompression)
	case Zstd:
		return newFrameWriter(w, encoders())
	}
	return nopWriteCloser{w}, nil
}

type nopWriteCloser struct{ io.Writer }

func (nopWriteCloser) Close() error { return nil }
