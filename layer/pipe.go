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
	// Next finishes the current entry, skipping what was not read of it, and
	// returns the next. The entry and what it points to are valid until the next
	// call. It returns io.EOF, then and ever after, when the layer has been read to
	// its end and the source was complete.
	Next() (*Entry, error)

	// NextStream finishes the current stream and begins the next one of the current
	// entry: the main stream of a File first, empty or not, then alternate streams
	// in source order. It returns io.EOF when the entry has no more. Links and
	// whiteouts have none. The stream is valid until the next call.
	NextStream() (*Stream, error)

	// Read reads the current stream: exactly Stream.Size bytes, holes as zeros,
	// then io.EOF. A source that ends early gives io.ErrUnexpectedEOF.
	Read(p []byte) (int, error)

	// Close releases the source. It closes what the reader's constructor opened,
	// and nothing that the caller gave to it.
	Close() error
}

// ExtentReader is implemented by readers that know the holes of sparse streams.
type ExtentReader interface {
	// NextExtent moves to the next allocated range of the current stream, skipping
	// what was not read of the last one; Read then yields the bytes of that range
	// and io.EOF. Ranges come in ascending order and do not overlap. io.EOF means
	// that there are no more: what follows, up to Stream.Size, is a hole. Once
	// called, Read no longer yields holes for this stream.
	//
	// A range may be empty where a reader has to search for the next one: it then
	// says how far it has come, so that the caller can see whether to go on.
	NextExtent() (Extent, error)
}

// Metered is implemented by readers that know how many bytes their source has stored
// of what was read so far. What holes expand to is measured by it.
type Metered interface{ StoredSize() int64 }

// Extent is an allocated range of a sparse stream, in bytes.
type Extent struct {
	Offset, Length int64
}

// Writer takes the entries of one layer. Nothing is visible under the final name
// until Commit has returned nil. It is used by one goroutine at a time.
//
//	w, err := wclayer.Create(dir, nil)
//	defer w.Close()
//	... w.Add(e); w.AddStream(s); io.Copy(w, data) ...
//	return w.Commit()
type Writer interface {
	// Add finishes the current entry and begins the next. The writer keeps nothing
	// that e points to. An entry that the matching Reader would refuse is refused.
	Add(e *Entry) error

	// AddStream finishes the current stream and begins the next one of the entry,
	// which takes exactly s.Size bytes. The main stream of a File comes first; it
	// may be left out when it is empty. Names are compared without case and must
	// not repeat.
	AddStream(s *Stream) error

	// Write appends to the current stream. More than Stream.Size bytes give
	// ErrStreamSize, and so does finishing the stream with fewer.
	Write(p []byte) (int, error)

	// Commit finishes the layer, makes it durable and publishes it. After any
	// error, from this or an earlier call, nothing is published.
	Commit() error

	// Close releases everything. Without a Commit that returned nil before, it
	// removes what was written. Closing twice is allowed.
	Close() error
}

// ExtentWriter is implemented by writers that keep holes.
type ExtentWriter interface {
	// WriteHole appends n bytes of zeros to the current stream without storing
	// them; the stream must have been added as Sparse. A stream that is all hole is
	// told in one call.
	WriteHole(n int64) error
}

// HoleFiller is implemented by an ExtentWriter whose format has no room for some holes.
type HoleFiller interface {
	// FillsHole reports whether WriteHole of n bytes, next in the current stream,
	// stores them as zeros after all.
	FillsHole(n int64) bool
}

// DirectoryMaker is implemented by writers that make the directories which a layer does
// not mention and which what it does mention is in.
type DirectoryMaker interface {
	// DirectoriesMade returns how many there have been so far.
	DirectoriesMade() int64
}

// Interfaces that a reader or writer may offer besides.
var (
	_ io.Reader = Reader(nil)
	_ io.Writer = Writer(nil)
)
