package backup

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/mullion/mullion/winfs"
)

// Writer writes the streams of one backup stream. The first error is final and is
// returned by every later call.
type Writer struct {
	dst    io.Writer
	id     ID
	left   int64 // bytes of the current stream not yet written
	pos    int64
	order  order
	err    error
	closed bool
	buf    []byte
}

// NewWriter returns a Writer to dst. The header of a stream goes out in one Write.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// WriteHeader starts the next stream, which takes exactly h.Size bytes. The current stream
// must be complete, otherwise the error wraps [ErrMissing]. The error for a header that
// [Reader] would refuse wraps [ErrCorrupt] or [ErrUnknownID]. The writer does not retain h.
func (w *Writer) WriteHeader(h *Header) error {
	if err := w.begin("write header"); err != nil {
		return err
	}
	fail := func(err error, detail string) error {
		w.err = &Error{"write header", h.ID, w.pos, detail, err}
		return w.err
	}
	nameSize := 2 * winfs.UTF16Len(h.Name)
	switch {
	case !h.ID.known():
		return fail(ErrUnknownID, fmt.Sprint(uint32(h.ID)))
	case !winfs.ValidWTF8(h.Name):
		return fail(ErrCorrupt, fmt.Sprintf("name %.300q is not valid UTF-8", h.Name))
	case nameSize > MaxNameSize:
		return fail(ErrCorrupt, fmt.Sprintf("name of %d bytes", nameSize))
	case h.ID != SparseBlock && h.Offset != 0:
		return fail(ErrCorrupt, "only a sparse block has an offset")
	case h.Offset < 0:
		return fail(ErrCorrupt, fmt.Sprintf("sparse offset %d", h.Offset))
	case h.ID == SparseBlock && h.Size > math.MaxInt64-sparseOffsetSize:
		return fail(ErrCorrupt, fmt.Sprintf("sparse block of %d bytes", h.Size))
	}
	if problem := w.order.next(h); problem != "" {
		return fail(ErrCorrupt, problem)
	}
	size := uint64(h.Size)
	if h.ID == SparseBlock {
		size += sparseOffsetSize
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(h.ID))
	b = binary.LittleEndian.AppendUint32(b, h.Attributes)
	b = binary.LittleEndian.AppendUint64(b, size)
	b = binary.LittleEndian.AppendUint32(b, uint32(nameSize))
	b = winfs.AppendUTF16LE(b, h.Name)
	if h.ID == SparseBlock {
		b = binary.LittleEndian.AppendUint64(b, uint64(h.Offset))
	}
	w.buf = b
	n, err := w.dst.Write(b)
	w.pos += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fail(err, "")
	}
	w.id, w.left = h.ID, h.Size
	return nil
}

// begin checks that nothing failed and that the current stream is complete.
func (w *Writer) begin(op string) error {
	switch {
	case w.err != nil:
		return w.err
	case w.closed:
		return &Error{op, 0, w.pos, "", ErrClosed}
	case w.left > 0:
		w.err = &Error{op, w.id, w.pos, fmt.Sprintf("missing %d bytes", w.left), ErrMissing}
	}
	return w.err
}

// Write appends to the current stream. A write beyond its size is refused as a whole, with
// an error that wraps [ErrTooMany].
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.closed {
		return 0, &Error{"write", 0, w.pos, "", ErrClosed}
	}
	if over := int64(len(p)) - w.left; over > 0 {
		w.err = &Error{"write", w.id, w.pos, fmt.Sprintf("too many bytes by %d", over), ErrTooMany}
		return 0, w.err
	}
	n, err := w.dst.Write(p)
	if n < 0 || n > len(p) {
		n, err = 0, fmt.Errorf("destination returned a count of %d for %d bytes", n, len(p))
	}
	w.left -= int64(n)
	w.pos += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = &Error{"write", w.id, w.pos, "", err}
	}
	return n, w.err
}

// Close checks that the last stream is complete. It does not close the destination. Further
// calls return the result of the first.
func (w *Writer) Close() error {
	if w.closed {
		return w.err
	}
	err := w.begin("close")
	w.closed = true
	return err
}
