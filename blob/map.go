package blob

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
)

// ErrMap reports that a map of a blob is damaged, or that a blob has none.
var ErrMap = errors.New("invalid map of a blob")

// DefaultSpacing is the usual distance of the points of a map, in plain bytes.
const DefaultSpacing = 4 << 20

// A Map describes a blob that was read and verified once, so that later any part of its
// plain bytes can be read and verified without the rest. NewReader with WithMap makes one,
// Encode stores it, OpenMap loads it.
//
// A map is as trustworthy as its source: its hashes are compared with what is read, and
// nothing compares the map with the digest of the blob again. It must not be modified while
// its methods are in use, which may be called concurrently.
type Map struct {
	Digest, DiffID string // of the stored and of the plain bytes
	Format         Format
	Stored, Plain  int64 // sizes in bytes

	// Chunks are the SHA-256 sums of each ChunkSize stored bytes; the last chunk may be
	// shorter.
	ChunkSize int64
	Chunks    [][sha256.Size]byte

	// Points are the positions at which decompression can start, sorted by both offsets.
	// The first is the start of the blob; a plain blob has no other, as it needs none.
	Points []Point

	windows windowSource
	closer  io.Closer // of the windows, or nil
}

// Close releases the temporary file that has the windows of a large map which a Reader
// made. It does not close the file of a map that OpenMap has opened.
func (m *Map) Close() error {
	if m.closer == nil {
		return nil
	}
	return m.closer.Close()
}

// A Point is a position at which decompression can start.
type Point struct {
	Plain  int64 // offset in the plain bytes
	Stored int64 // offset of the stored byte that has the first bit
	Bit    uint8 // number of bits of that byte that belong to what precedes the point
	// Window is the number of plain bytes before the point that decompression may refer
	// to. 0 marks the start of a gzip member or a zstd frame.
	Window int

	window windowRef
}

// Ranges opens parts of the stored bytes of a blob.
type Ranges interface {
	// OpenRange returns a reader of the n bytes at off, or an error if there are fewer. The
	// caller closes the reader, perhaps before its end.
	OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

// RangesOf returns the Ranges of a file or of anything else that is read by offset. Closing
// a range does not close r.
func RangesOf(r io.ReaderAt) Ranges { return rangesOf{r} }

type rangesOf struct{ r io.ReaderAt }

func (s rangesOf) OpenRange(_ context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.r, off, n)), nil
}

// WithMap makes the reader draw a map of the blob, with points that are spacing plain bytes
// or more apart; 0 is DefaultSpacing. It includes WithSums.
func WithMap(spacing int64) ReaderOption {
	if spacing <= 0 {
		spacing = DefaultSpacing
	}
	return func(o *readerOptions) { o.spacing, o.sum = spacing, true }
}

// Map returns the map of a blob that was read with WithMap to io.EOF, if it is called before
// Close. The caller closes the map, once for all calls.
func (r *Reader) Map() (*Map, error) {
	if r.survey == nil {
		return nil, fmt.Errorf("%w: the blob is not read with WithMap", ErrMap)
	}
	if r.err != io.EOF {
		return nil, fmt.Errorf("%w: the blob is not read to its end", ErrMap)
	}
	return r.survey.finish(r)
}

// start returns the index of the last point at or before an offset of the plain bytes.
func (m *Map) start(off int64) int {
	return sort.Search(len(m.Points), func(i int) bool { return m.Points[i].Plain > off }) - 1
}

// storedEnd returns an offset of the stored bytes such that nothing beyond it is needed for
// the plain bytes before off.
func (m *Map) storedEnd(off int64) int64 {
	if m.Format == Plain {
		return min(off, m.Stored)
	}
	i := sort.Search(len(m.Points), func(i int) bool { return m.Points[i].Plain >= off })
	if i == len(m.Points) {
		return m.Stored
	}
	return min(m.Points[i].Stored+pointSlack, m.Stored)
}

// pointSlack is what a decompressor may read beyond a point before it returns all bytes
// before the point.
const pointSlack = 512

// verify compares the bytes of a chunk with its sum.
func (m *Map) verify(chunk int64, b []byte) error {
	if got := sha256.Sum256(b); got != m.Chunks[chunk] {
		return &MismatchError{
			What: fmt.Sprintf("blob at %#x", chunk*m.ChunkSize), Err: ErrDigest,
			Want: "sha256:" + hex.EncodeToString(m.Chunks[chunk][:]), Got: "sha256:" + hex.EncodeToString(got[:]),
		}
	}
	return nil
}

// Bounds of a survey: with the usual spacing, the windows of 8 GiB are 64 MiB, before they
// are compressed. Beyond them every other point is dropped.
const (
	maxWindows = 2048
	maxPoints  = 1 << 16
)

// A survey collects a map while a blob is read.
type survey struct {
	spacing int64
	chunks  [][sha256.Size]byte // owned by the stage of the stored bytes until it is done
	points  []Point             // owned by the decompressor until the stage of the plain bytes is done
	windows []*windowRef        // of the points, nil for those without
	number  int                 // of windows
	packing sync.WaitGroup
	store   windowStore
}

var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed)
	return w
}}

// pack stores a window as a deflate stream.
func (s *survey) pack(ref *windowRef, plain []byte) {
	var b bytes.Buffer
	f := packers.Get().(*flate.Writer)
	defer packers.Put(f)
	f.Reset(&b)
	f.Write(plain) // to memory: no error
	f.Close()
	ref.size, ref.sum = b.Len(), sha256.Sum256(b.Bytes())
	ref.off = s.store.add(b.Bytes())
}

// start adds the start of a member or frame. Many of them may be small, as those of files
// that were made for random access are; they need no window and may be closer.
func (s *survey) start(stored, plain int64) {
	if s == nil {
		return
	}
	if n := len(s.points); n == 0 || plain-s.points[n-1].Plain >= s.spacing/16 {
		s.add(Point{Plain: plain, Stored: stored}, nil)
	}
}

// block adds the start of a gzip block in a member.
func (s *survey) block(bits, plain int64, window []byte) {
	if len(window) == 0 || plain-s.points[len(s.points)-1].Plain < s.spacing {
		return
	}
	w := new(windowRef)
	window = bytes.Clone(window)
	s.packing.Go(func() { s.pack(w, window) })
	s.add(Point{Plain: plain, Stored: bits / 8, Bit: uint8(bits % 8), Window: len(window)}, w)
	s.number++
}

func (s *survey) add(p Point, w *windowRef) {
	s.points, s.windows = append(s.points, p), append(s.windows, w)
	if s.number < maxWindows && len(s.points) < maxPoints {
		return
	}
	s.spacing *= 2
	s.number = 0
	n := 0
	for i := 0; i < len(s.points); i += 2 {
		s.points[n], s.windows[n] = s.points[i], s.windows[i]
		if s.windows[n] != nil {
			s.number++
		}
		n++
	}
	clear(s.windows[n:])
	s.points, s.windows = s.points[:n], s.windows[:n]
}

// finish returns the map of a blob that was read to its end.
func (s *survey) finish(r *Reader) (*Map, error) {
	m := &Map{
		Digest: r.Digest(), DiffID: r.DiffID(), Format: r.format, Stored: r.StoredSize(), Plain: r.Size(),
		ChunkSize: chunkSize, Chunks: s.chunks, Points: slices.Clone(s.points),
	}
	if len(m.Points) == 0 {
		m.Points = []Point{{}}
	}
	s.packing.Wait()
	for i, w := range s.windows {
		if w != nil {
			m.Points[i].window = *w
		}
	}
	if err := s.store.take(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMap, err)
	}
	m.windows, m.closer = windowSource{&s.store}, &s.store
	return m, nil
}
