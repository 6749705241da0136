package layer

import (
	"io"

	"github.com/mullion/mullion/internal/zeros"
)

const (
	// sparseUnit is the minimum allocation of NTFS in a sparse file: 16 clusters of 4 KiB.
	sparseUnit   = 64 << 10
	sparseWindow = 1 << 20
	// sparseSearch is the number of zeros after which an empty extent is returned to the
	// caller.
	sparseSearch = 64 << 20
)

// ExtentFinder makes an [ExtentReader] of a source that stores holes as zeros. It finds the
// zeros that fill whole units of 64 KiB while a stream is read. It examines a window of 1
// MiB at a time, so one long run of data is returned as several adjacent extents, and
// during one long run of zeros it occasionally returns an empty one. The zero value is
// ready to use; Reset makes it ready for the next stream.
type ExtentFinder struct {
	active bool
	window []byte
	have   int   // bytes in the window
	at     int   // position in the window at which the search continues
	base   int64 // offset of the window in the stream
	left   []byte
}

// Reset prepares for the next stream.
func (x *ExtentFinder) Reset() { x.active, x.have, x.at, x.base, x.left = false, 0, 0, 0, nil }

// Active reports whether Next was called since the last Reset. From then on the stream must
// be read through the finder.
func (x *ExtentFinder) Active() bool { return x.active }

// Next returns the next range of r that is not zeros. r is a stream of size bytes that only
// the finder has read from. After the last range Next returns io.EOF.
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

// Read reads from the range returned by Next.
func (x *ExtentFinder) Read(p []byte) (int, error) {
	if len(x.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.left)
	x.left = x.left[n:]
	return n, nil
}
