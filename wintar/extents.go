package wintar

import (
	"io"

	"github.com/mullion/mullion/layer"
)

const (
	// sparseUnit is what NTFS allocates at least in a sparse file: 16 clusters of
	// 4 KiB.
	sparseUnit   = 64 << 10
	sparseWindow = 1 << 20
)

// extents finds the zeros of a stream while it goes by. It looks at a window of
// 1 MiB at a time, so one long run of data comes as several adjacent extents.
type extents struct {
	active bool
	window []byte
	have   int   // bytes in the window
	at     int   // where in the window the search goes on
	base   int64 // offset in the stream of the window
	left   []byte
}

func (x *extents) reset() { x.active, x.have, x.at, x.base, x.left = false, 0, 0, 0, nil }

func (x *extents) next(r io.Reader, size int64) (layer.Extent, error) {
	if !x.active {
		if x.window == nil {
			x.window = make([]byte, sparseWindow)
		}
		x.reset()
		x.active = true
	}
	for {
		if x.at == x.have {
			x.base += int64(x.have)
			x.at, x.have, x.left = 0, 0, nil
			if x.base >= size {
				return layer.Extent{}, io.EOF
			}
			want := min(int64(len(x.window)), size-x.base)
			n, err := io.ReadFull(r, x.window[:want])
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return layer.Extent{}, err
			}
			x.have = n
		}
		for x.at < x.have && allZero(x.unit(x.at)) {
			x.at += len(x.unit(x.at))
		}
		from := x.at
		for x.at < x.have && !allZero(x.unit(x.at)) {
			x.at += len(x.unit(x.at))
		}
		if x.at > from {
			x.left = x.window[from:x.at]
			return layer.Extent{Offset: x.base + int64(from), Length: int64(x.at - from)}, nil
		}
	}
}

func (x *extents) unit(at int) []byte { return x.window[at:min(at+sparseUnit, x.have)] }

func (x *extents) read(p []byte) (int, error) {
	if len(x.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.left)
	x.left = x.left[n:]
	return n, nil
}
