package layer

import "io"

// Reader yields the entries of one layer in the order of its source. It is used
// by one goroutine at a time.
//
//	for {
//		e, err := r.Next()
//		if err == io.EOF { break }
//		for {
//			s, err := r.NextStream() // main stream first
//			if err == io.EOF { break }
//			io.Copy(dst, r)
//		}
//	}
type Reader interface {
	// Next finishes the current entry, skipping its unread part, and returns the next. The
	// entry and the memory it refers to are valid until the next call. When the layer was
	// read to its end and the source was complete, it returns io.EOF, on all further calls
	// too.
	Next() (*Entry, error)

	// NextStream finishes the current stream and starts the next one of the current entry:
	// the main stream of a File first, empty or not, then alternate streams in source
	// order. It returns io.EOF when the entry has no more. Links and whiteouts have none.
	// The stream is valid until the next call.
	NextStream() (*Stream, error)

	// Read reads the current stream: exactly Stream.Size bytes, holes as zeros, then
	// io.EOF. If the source ends early, the error is io.ErrUnexpectedEOF.
	Read(p []byte) (int, error)

	// Close releases the source. It closes everything that the reader's constructor opened,
	// and nothing that the caller passed to it.
	Close() error
}

// ExtentReader is implemented by readers that know the holes of sparse streams.
type ExtentReader interface {
	// NextExtent moves to the next allocated range of the current stream, skipping the
	// unread part of the last one; Read then returns the bytes of that range and io.EOF.
	// Ranges are in ascending order and do not overlap. io.EOF means that there are no
	// more: the rest, up to Stream.Size, is a hole. After the first call, Read no longer
	// returns holes for this stream.
	//
	// A range may be empty if a reader has to search for the next one: its offset then
	// reports the progress, so that the caller can decide whether to continue.
	NextExtent() (Extent, error)
}

// Metered is implemented by readers that know the stored size, in bytes, of the part of
// their source that was read so far. The expansion of holes is measured by it.
type Metered interface{ StoredSize() int64 }

// StreamHasher is implemented by readers that know what their streams hold without reading
// them, as those of an index do, or that hash what is read, as those that make an index do.
type StreamHasher interface {
	// StreamSum returns the SHA-256 of the bytes of the current stream, holes as zeros, and
	// false if it is not known. Nothing is read.
	StreamSum() (sum [32]byte, ok bool)
}

// Extent is an allocated range of a sparse stream, in bytes.
type Extent struct {
	Offset, Length int64
}

// Writer accepts the entries of one layer. Nothing is visible under the final name until
// Commit has returned nil. It is used by one goroutine at a time.
//
//	w, err := wclayer.Create(dir, nil)
//	defer w.Close()
//	... w.Add(e); w.AddStream(s); io.Copy(w, data) ...
//	return w.Commit()
type Writer interface {
	// Add finishes the current entry and starts the next. The writer does not retain e or
	// its memory. It refuses an entry that the matching Reader would refuse.
	Add(e *Entry) error

	// AddStream finishes the current stream and starts the next one of the entry, which
	// takes exactly s.Size bytes. The main stream of a File comes first; it may be omitted
	// if it is empty. Names are compared without case and must not repeat.
	AddStream(s *Stream) error

	// Write appends to the current stream. More than Stream.Size bytes are ErrStreamSize,
	// and so is finishing the stream with fewer.
	Write(p []byte) (int, error)

	// Commit finishes the layer, makes it durable and publishes it. After any
	// error, from this or an earlier call, nothing is published.
	Commit() error

	// Close releases everything. Unless Commit has returned nil before, it removes the
	// written data. Closing twice is allowed.
	Close() error
}

// ExtentWriter is implemented by writers that keep holes.
type ExtentWriter interface {
	// WriteHole appends n bytes of zeros to the current stream without storing them; the
	// stream must have been added as Sparse. A stream that is all hole is passed in one
	// call.
	WriteHole(n int64) error
}

// HoleFiller is implemented by an ExtentWriter whose format has no room for some holes.
type HoleFiller interface {
	// FillsHole reports whether WriteHole of n bytes, next in the current stream,
	// stores them as zeros after all.
	FillsHole(n int64) bool
}

// DirectoryMaker is implemented by writers that create the directories that a layer does
// not mention although it has entries in them.
type DirectoryMaker interface {
	// DirectoriesMade returns the number of directories created so far.
	DirectoriesMade() int64
}

// Other interfaces that a reader or writer may implement.
var (
	_ io.Reader = Reader(nil)
	_ io.Writer = Writer(nil)
)
