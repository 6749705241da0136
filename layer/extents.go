package layer

import (
	"io"

	"github.com/mullion/mullion/internal/zeros"
)

const (
	// sparseUnit is what NTFS allocates at least in a sparse file: 16 clusters of
	// 4 KiB.
	sparseUnit   = 64 << 10
	sparseWindow = 1 << 20
	// sparseSearch is how many zeros are passed over before the caller is told.
	sparseSearch = 64 << 20
)

// ExtentFinder makes an [ExtentReader] of a source that stores holes as zeros. It
// finds the zeros that fill whole units of 64 KiB while a stream goes by. It looks
// at a window of 1 MiB at a time, so one long run of data comes as several
// adjacent extents, and in one long run of zeros it returns an empty one now and then. The zero value is ready; Reset makes it ready for the next
// stream.
type ExtentFinder struct {
	active bool
	window []byte
	have   int   // bytes in the window
	at     int   // where in the window the search goes on
	base   int64 // offset in the stream of the window
	left   []byte
}

// Reset prepares for the next stream.
func (x *ExtentFinder) Reset() { x.active, x.have, x.at, x.base, x.left = false, 0, 0, 0, nil }

// Active reports whether Next was called since the last Reset, after which the
// stream is read through the finder.
func (x *ExtentFinder) Active() bool { return x.active }

// Next returns the next range of r, a stream of size bytes of which nothing has
// been read but by the finder, that is not zeros. It returns io.EOF after the
// last.
func (x *ExtentFinder) Next(r io.Reader, size int64) (Extent, error) {
	if !x.active {
		if x.window == nil {
			x.window = make([]byte, sparseWindow)
		}
		x.Reset()
		x.active = true
	}
	for searched := x.base; ; {
		if x.at == x.have {
			if x.base-searched >= sparseSearch {
				return Extent{Offset: x.base}, nil
			}
			x.base += int64(x.have)
			x.at, x.have, x.left = 0, 0, nil
			if x.base >= size {
				return Extent{}, io.EOF
			}
			want := min(int64(len(x.window)), size-x.base)
			n, err := io.ReadFull(r, x.window[:want])
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return Extent{}, err
			}
			x.have = n
		}
		for x.at < x.have && zeros.All(x.unit(x.at)) {
			x.at += len(x.unit(x.at))
		}
		from := x.at
		for x.at < x.have && !zeros.All(x.unit(x.at)) {
			x.at += len(x.unit(x.at))
		}
		if x.at > from {
			x.left = x.window[from:x.at]
			return Extent{Offset: x.base + int64(from), Length: int64(x.at - from)}, nil
		}
	}
}

func (x *ExtentFinder) unit(at int) []byte { return x.window[at:min(at+sparseUnit, x.have)] }

// Read reads from the range that Next returned.
func (x *ExtentFinder) Read(p []byte) (int, error) {
	if len(x.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.left)
	x.left = x.left[n:]
	return n, nil
}
