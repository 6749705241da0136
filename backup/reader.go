package backup

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/mullion/mullion/winfs"
)

// Reader yields the streams of one backup stream. Memory does not depend on the
// sizes that headers declare.
type Reader struct {
	src     io.Reader
	seeker  io.Seeker // src, if it really seeks
	probed  bool      // whether seeking was tried
	hdr     Header
	left    int64 // bytes of the current stream not yet read
	pos     int64 // bytes of src consumed
	order   order
	err     error            // the error that ended reading
	raw     [headerSize]byte // of the header being read
	nameBuf []byte
	discard []byte
}

// NewReader returns a Reader of src from its current position. It never reads past the
// requested bytes, and closes nothing.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Offset returns the number of bytes of the source that were consumed: after Next, the
// start of the data of the stream.
func (r *Reader) Offset() int64 { return r.pos }

// Next skips the rest of the current stream and returns the header of the next, which is
// valid until the following call. It returns io.EOF when the source ends where a header may
// start, and io.ErrUnexpectedEOF inside an [Error] when it ends elsewhere. Every error is
// final.
//
// Unread data is skipped by seeking if the source can seek, otherwise by reading and
// discarding it.
func (r *Reader) Next() (*Header, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.skip(); err != nil {
		r.err = err
		return nil, err
	}
	if err := r.readHeader(); err != nil {
		r.err = err
		return nil, err
	}
	return &r.hdr, nil
}

func (r *Reader) readHeader() error {
	start := r.pos
	r.hdr = Header{}
	fail := func(err error, detail string) error {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &Error{"read header", r.hdr.ID, start, detail, err}
	}
	raw := &r.raw
	n, err := io.ReadFull(r.src, raw[:])
	r.pos += int64(n)
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return fail(err, "")
	}
	h := &r.hdr
	id := ID(binary.LittleEndian.Uint32(raw[streamIDAt:]))
	size := binary.LittleEndian.Uint64(raw[streamSize:])
	nameSize := binary.LittleEndian.Uint32(raw[streamNameSize:])
	if !id.known() {
		return fail(ErrUnknownID, fmt.Sprint(uint32(id)))
	}
	h.ID = id
	h.Attributes = binary.LittleEndian.Uint32(raw[streamAttributes:])
	switch {
	case size > math.MaxInt64:
		return fail(ErrCorrupt, fmt.Sprintf("size %#x", size))
	case nameSize%2 != 0:
		return fail(ErrCorrupt, fmt.Sprintf("name of %d bytes is not UTF-16", nameSize))
	case nameSize > MaxNameSize:
		return fail(ErrCorrupt, fmt.Sprintf("name of %d bytes", nameSize))
	case id == SparseBlock && size < sparseOffsetSize:
		return fail(ErrCorrupt, fmt.Sprintf("sparse block of %d bytes has no offset", size))
	}
	h.Size = int64(size)
	if nameSize > 0 {
		if cap(r.nameBuf) < int(nameSize) {
			r.nameBuf = make([]byte, nameSize)
		}
		name := r.nameBuf[:nameSize]
		n, err := io.ReadFull(r.src, name)
		r.pos += int64(n)
		if err != nil {
			return fail(err, "name is cut off")
		}
		h.Name = winfs.DecodeUTF16LE(name)
	}
	if id == SparseBlock {
		n, err := io.ReadFull(r.src, raw[:sparseOffsetSize])
		r.pos += int64(n)
		if err != nil {
			return fail(err, "offset is cut off")
		}
		offset := binary.LittleEndian.Uint64(raw[:])
		if offset > math.MaxInt64 {
			return fail(ErrCorrupt, fmt.Sprintf("sparse offset %#x", offset))
		}
		h.Offset = int64(offset)
		h.Size -= sparseOffsetSize
	}
	if problem := r.order.next(h); problem != "" {
		return fail(ErrCorrupt, problem)
	}
	r.left = h.Size
	return nil
}

// Read reads the data of the current stream and returns io.EOF at its end. If the source
// ends earlier, the error is io.ErrUnexpectedEOF inside an [Error].
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil && r.err != io.EOF {
		return 0, r.err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.src.Read(p)
	if n < 0 || n > len(p) {
		n, err = 0, fmt.Errorf("source returned a count of %d for %d bytes", n, len(p))
	}
	r.left -= int64(n)
	r.pos += int64(n)
	switch {
	case err == nil || err == io.EOF && r.left == 0:
		return n, nil // the end of the source is no error at the end of a stream
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	r.err = r.dataError(err)
	return n, r.err
}

func (r *Reader) dataError(err error) error {
	return &Error{"read", r.hdr.ID, r.pos, fmt.Sprintf("%d bytes left of %d", r.left, r.hdr.Size), err}
}

// smallSkip is the number of bytes up to which reading is cheaper than seeking; discardSize
// is the buffer for skipping by reading.
const (
	smallSkip   = 4096
	discardSize = 32 << 10
)

// skip moves to the end of the current stream.
func (r *Reader) skip() error {
	if r.left == 0 {
		return nil
	}
	if r.left > smallSkip && r.canSeek() {
		// Seeking past the end of a file succeeds, so leave one byte to read: it proves
		// that the source is as long as the header declares.
		by := r.left - 1
		if _, err := r.seeker.Seek(by, io.SeekCurrent); err != nil {
			return r.dataError(err)
		}
		r.left -= by
		r.pos += by
	}
	if r.discard == nil {
		r.discard = make([]byte, min(r.left, discardSize))
	} else if int64(len(r.discard)) < min(r.left, discardSize) {
		r.discard = make([]byte, discardSize)
	}
	for r.left > 0 {
		n, err := io.ReadFull(r.src, r.discard[:min(r.left, int64(len(r.discard)))])
		r.left -= int64(n)
		r.pos += int64(n)
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return r.dataError(err)
		}
	}
	return nil
}

// canSeek finds out once whether the source can seek or only has a Seek method, as a pipe
// in an *os.File does.
func (r *Reader) canSeek() bool {
	if !r.probed {
		r.probed = true
		if s, ok := r.src.(io.Seeker); ok {
			if _, err := s.Seek(0, io.SeekCurrent); err == nil {
				r.seeker = s
			}
		}
	}
	return r.seeker != nil
}
