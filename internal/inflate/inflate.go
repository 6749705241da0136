// Package inflate decompresses DEFLATE streams (RFC 1951). It is faster than compress/flate
// and knows its position, so that decompression can be resumed at the start of any block.
//
// A Reader reports each start of a block to its OnBlock function. The position there, in
// bits of the stream, and the last 32 KiB of output are all that Resume needs to continue at
// the block.
package inflate

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// WindowSize is the number of bytes of output that a stream can refer to.
	WindowSize = 32 << 10

	inSize  = 64 << 10
	outSize = 256 << 10

	// A pass of the fast loop consumes at most 16 bytes of the input buffer and reads no
	// more than 24, and writes at most 4 literals and a match, rounded up to words.
	inSlack  = 32
	outSlack = 4 + maxMatch + 32
	maxMatch = 258
)

// A CorruptError describes a stream that is not DEFLATE.
type CorruptError struct {
	Offset int64 // of the byte in the source at which the damage was noticed
	What   string
}

// Error formats as "corrupt deflate data at 0x12: distance too far back".
func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt deflate data at %#x: %s", e.Offset, e.What)
}

// A Reader decompresses one stream.
type Reader struct {
	// OnBlock, if not nil, is called at the start of each block with the number of bits of
	// the source before the block and of bytes of output before it. During the call Window
	// returns the end of that output.
	OnBlock func(bits, out int64)

	src    io.Reader
	srcErr error // the source has no more bytes

	in     *[inSize]byte
	ip, ie uint   // unread part of in
	base   int64  // offset of in[0] in the source
	bb     uint64 // the next bits, the first one lowest; bits from bn on are undefined
	bn     uint

	out     *[outSize]byte
	rp, op  uint  // part of out that is not yet delivered; what precedes is the window
	outBase int64 // offset of out[0] in the output

	state  func(*Reader) error
	last   bool // the current block is the last
	stored uint // bytes that remain of a stored block
	err    error

	lit  *litTable
	dist *distTable
	// Tables of dynamic blocks; lit and dist point to them or to those of fixed blocks.
	ownLit  litTable
	ownDist distTable
}

// NewReader returns a reader of the stream at the start of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{in: new([inSize]byte), out: new([outSize]byte)}
	r.Reset(src)
	return r
}

// Reset makes the reader read the stream at the start of src, as a new one does. Bytes that
// Unread returned are lost. OnBlock is kept.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.srcErr = src, nil
	r.ip, r.ie, r.base = 0, 0, 0
	r.op, r.outBase = 0, 0
	r.Next()
}

// Next makes the reader read the stream that begins at the next unread byte of the source.
// Positions still count from the start of the source, and output from the first stream.
func (r *Reader) Next() {
	r.bb, r.bn = 0, 0
	r.outBase += int64(r.op)
	r.rp, r.op = 0, 0
	r.state, r.last, r.err = (*Reader).header, false, nil
}

// Resume makes the reader continue a stream at the start of a block. The first skip bits of
// src, fewer than eight, precede the block; window is the end of the output before it, of
// which no more than WindowSize bytes are used. Positions count from the start of src, and
// output from the block on.
func (r *Reader) Resume(src io.Reader, skip uint, window []byte) error {
	r.Reset(src)
	r.op = uint(copy(r.out[:], window[max(0, len(window)-WindowSize):]))
	r.rp, r.outBase = r.op, -int64(r.op)
	if !r.need(skip) {
		r.err = r.sourceError()
		return r.err
	}
	r.drop(skip)
	return nil
}

// Window returns the last bytes of output, at most WindowSize. It is valid until the next
// call.
func (r *Reader) Window() []byte {
	return r.out[max(r.op, WindowSize)-WindowSize : r.op]
}

// Unread returns the bytes that were read from the source and do not belong to the stream,
// once Read has returned io.EOF. Skip consumes them. They are valid until the next call.
func (r *Reader) Unread() []byte { return r.in[r.ip:r.ie] }

// Fill reads from the source until there are n unread bytes, at most 4096, or it ends. It
// returns the unread bytes, and an error if there are fewer than n.
func (r *Reader) Fill(n int) ([]byte, error) {
	for r.ie-r.ip < uint(n) {
		if !r.fill() {
			return r.Unread(), r.srcErr
		}
	}
	return r.Unread(), nil
}

// Offset returns the number of bytes of the source before the unread ones.
func (r *Reader) Offset() int64 { return r.base + int64(r.ip) }

// OutOffset returns the number of bytes of output so far, delivered or not.
func (r *Reader) OutOffset() int64 { return r.outBase + int64(r.op) }

// Skip consumes unread bytes.
func (r *Reader) Skip(n int) { r.ip += uint(n) }

// Read returns decompressed bytes. After the last block it returns io.EOF; an end of the
// source before is io.ErrUnexpectedEOF and any other damage a CorruptError.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.decode(); err != nil {
		return 0, err
	}
	n := copy(p, r.out[r.rp:r.op])
	r.rp += uint(n)
	return n, nil
}

// WriteTo writes the decompressed bytes to w.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if err := r.decode(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(r.out[r.rp:r.op])
		r.rp += uint(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// decode makes sure that there is output to deliver.
func (r *Reader) decode() error {
	for r.rp == r.op {
		if r.err != nil {
			return r.err
		}
		if r.op > outSize-outSlack {
			r.outBase += int64(r.op - WindowSize)
			copy(r.out[:WindowSize], r.out[r.op-WindowSize:r.op])
			r.rp, r.op = WindowSize, WindowSize
		}
		for r.err == nil && r.op <= outSize-outSlack {
			r.err = r.state(r)
		}
	}
	return nil
}

// bits returns the position in the source.
func (r *Reader) bits() int64 { return 8*(r.base+int64(r.ip)) - int64(r.bn) }

func (r *Reader) corrupt(what string) error { return &CorruptError{max(r.bits()/8, 0), what} }

func (r *Reader) sourceError() error {
	if r.srcErr == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return r.srcErr
}

// fill reads from the source once. It reports whether there are more unread bytes.
func (r *Reader) fill() bool {
	if r.srcErr != nil {
		return false
	}
	// The bytes in bb stay, because end and copyStored give them back.
	if n := max(r.ip, 8) - 8; n > 0 {
		copy(r.in[:], r.in[n:r.ie])
		r.base += int64(n)
		r.ip, r.ie = r.ip-n, r.ie-n
	}
	for range 100 {
		n, err := r.src.Read(r.in[r.ie:])
		r.ie += uint(n)
		r.srcErr = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	r.srcErr = io.ErrNoProgress
	return false
}

// need makes sure that bb has n bits, at most 56. It reads no more bytes than that takes.
func (r *Reader) need(n uint) bool {
	if r.bn >= n {
		return true
	}
	r.bb &= 1<<r.bn - 1
	for r.bn < n {
		if r.ip == r.ie && !r.fill() {
			return false
		}
		r.bb |= uint64(r.in[r.ip]) << r.bn
		r.ip++
		r.bn += 8
	}
	return true
}

func (r *Reader) drop(n uint) {
	r.bb >>= n
	r.bn -= n
}

// take returns the next n bits, which need has provided.
func (r *Reader) take(n uint) uint {
	v := uint(r.bb) & (1<<n - 1)
	r.drop(n)
	return v
}

// header reads the start of a block (3.2.3).
func (r *Reader) header() error {
	if r.last {
		return r.end()
	}
	if r.OnBlock != nil {
		r.OnBlock(r.bits(), r.outBase+int64(r.op))
	}
	if !r.need(3) {
		return r.sourceError()
	}
	r.last = r.take(1) == 1
	switch r.take(2) {
	case 0:
		r.drop(r.bn % 8)
		if !r.need(32) {
			return r.sourceError()
		}
		n := r.take(16)
		if n != ^r.take(16)&0xffff {
			return r.corrupt("lengths of a stored block")
		}
		r.stored, r.state = n, (*Reader).copyStored
	case 1:
		t := fixed()
		r.lit, r.dist = &t.lit, &t.dist
		r.state = (*Reader).symbols
	case 2:
		if err := r.tables(); err != nil {
			return err
		}
		r.lit, r.dist = &r.ownLit, &r.ownDist
		r.state = (*Reader).symbols
	default:
		return r.corrupt("type of a block")
	}
	return nil
}

// end gives back the whole bytes that are in bb.
func (r *Reader) end() error {
	r.drop(r.bn % 8)
	r.ip -= r.bn / 8
	r.bb, r.bn = 0, 0
	return io.EOF
}

// copyStored copies from a stored block, once as much as is there.
func (r *Reader) copyStored() error {
	// Whole bytes that are in bb come first.
	r.ip -= r.bn / 8
	r.bb, r.bn = 0, 0
	if r.stored == 0 {
		r.state = (*Reader).header
		return nil
	}
	if r.ip == r.ie && !r.fill() {
		return r.sourceError()
	}
	n := min(r.stored, r.ie-r.ip, outSize-r.op)
	copy(r.out[r.op:], r.in[r.ip:r.ip+n])
	r.ip, r.op, r.stored = r.ip+n, r.op+n, r.stored-n
	return nil
}

// symbols decodes a part of a compressed block: as much as the buffers allow, or one symbol
// where the input ends.
func (r *Reader) symbols() error {
	if r.ie-r.ip < inSlack {
		r.fill()
	}
	if r.ie-r.ip >= inSlack {
		return r.fast()
	}
	return r.careful()
}

// careful decodes one symbol and reads no more bytes than that takes.
func (r *Reader) careful() error {
	e, err := r.symbol(r.lit[:], litBits)
	if err != nil {
		return err
	}
	n := uint(e & entryBits)
	switch {
	case e&entryLiteral != 0:
		r.out[r.op] = byte(e >> entryBase)
		r.op++
		r.drop(n)
		return nil
	case e&entryOther != 0:
		if e>>entryBase != 0 {
			return r.corrupt("symbol without a code")
		}
		r.drop(n)
		r.state = (*Reader).header
		return nil
	}
	if !r.need(n) {
		return r.sourceError()
	}
	length := entryValue(e, r.bb)
	r.drop(n)
	e, err = r.symbol(r.dist[:], distBits)
	if err != nil {
		return err
	}
	if e&entryOther != 0 {
		return r.corrupt("distance without a code")
	}
	n = uint(e & entryBits)
	if !r.need(n) {
		return r.sourceError()
	}
	dist := entryValue(e, r.bb)
	r.drop(n)
	if dist > r.op {
		return r.corrupt("distance beyond the start")
	}
	for range length {
		r.out[r.op] = r.out[r.op-dist]
		r.op++
	}
	return nil
}

// symbol returns the entry of the next code, whose bits need has provided.
func (r *Reader) symbol(table []uint32, bits uint) (uint32, error) {
	for {
		// Bits that are not there count as zeros; the entry says how many it is made of.
		b := r.bb & (1<<r.bn - 1)
		e := table[b&(1<<bits-1)]
		if isSecond(e) {
			e = table[second(e, b, bits)]
		}
		if r.bn >= uint(e>>entryCode&15) {
			return e, nil
		}
		if !r.need(r.bn + 1) {
			return 0, r.sourceError()
		}
	}
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
