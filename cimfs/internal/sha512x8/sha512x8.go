// Package sha512x8 computes the SHA-512 of many messages, eight at a time.
//
// One SHA-512 uses a fraction of a processor's execution units, since each of its
// steps waits for the one before. Messages do not wait for each other, so with the
// 512-bit registers of AVX-512 eight of them go through the same instructions in
// little more time than one. An image has thousands of files, which is as many
// messages.
//
// On other processors, and when only one or two messages remain, crypto/sha512 does
// the work. The results are the same.
package sha512x8

import (
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"hash"
)

// Lanes is how many messages are hashed at once.
const Lanes = 8

const blockSize = sha512.BlockSize

// Message is one message, in pieces one behind the other, and its digest.
type Message struct {
	Pieces [][]byte
	Sum    [sha512.Size]byte
}

// Hasher holds the state of the lanes. It is used by one goroutine at
// a time. The zero value is ready.
type Hasher struct {
	// Plain leaves everything to crypto/sha512.
	Plain bool

	state [8][Lanes]uint64
	lanes [Lanes]lane
	plain hash.Hash
}

// lane is a message on its way.
type lane struct {
	m      *Message // nil if the lane is idle
	piece  int      // the next piece
	rest   []byte   // what is left of the current one
	length uint64   // bytes so far
	ended  bool     // the last blocks are in tail

	// Blocks that do not lie in one piece, and the last ones.
	tail      [2 * blockSize]byte
	from, end int
}

// worthwhile is the number of messages from which on they are hashed side by side.
const worthwhile = 3

// idle is the input of lanes without a message.
var idle [stride * blockSize]byte

// stride is the largest number of blocks in one go.
const stride = 64

// Sum computes the digests of all messages. Long messages go first, for otherwise
// they would be alone in the end; the order of the slice is the caller's business.
func (h *Hasher) Sum(messages []*Message) {
	if !supported || h.Plain || len(messages) < worthwhile {
		for _, m := range messages {
			h.sumPlain(m)
		}
		return
	}
	active := 0
	for {
		for l := range h.lanes {
			if h.lanes[l].m == nil && len(messages) > 0 {
				h.begin(l, messages[0])
				messages = messages[1:]
				active++
			}
		}
		if active < worthwhile {
			break
		}
		active -= h.step()
	}
	for l := range h.lanes {
		if h.lanes[l].m != nil {
			h.finishPlain(l)
		}
	}
}

func (h *Hasher) begin(l int, m *Message) {
	n := &h.lanes[l]
	n.m, n.piece, n.rest, n.length, n.ended, n.from, n.end = m, 0, nil, 0, false, 0, 0
	for w := range initial {
		h.state[w][l] = initial[w]
	}
}

// step hashes as many blocks as lie ready in all lanes and returns how many
// messages came to their end.
func (h *Hasher) step() (finished int) {
	var at [Lanes]*byte
	n := stride
	for l := range h.lanes {
		lane := &h.lanes[l]
		if lane.m == nil {
			at[l] = &idle[0]
			continue
		}
		b := lane.ready()
		at[l] = &b[0]
		n = min(n, len(b)/blockSize)
	}
	blocks(&h.state, &at, &roundConstants, n)
	for l := range h.lanes {
		lane := &h.lanes[l]
		if lane.m == nil || !lane.advance(n*blockSize) {
			continue
		}
		for w := range h.state {
			binary.BigEndian.PutUint64(lane.m.Sum[8*w:], h.state[w][l])
		}
		lane.m, lane.rest = nil, nil
		finished++
	}
	return finished
}

// ready returns at least one whole block.
func (n *lane) ready() []byte {
	if n.from < n.end {
		return n.tail[n.from:n.end]
	}
	if len(n.rest) < blockSize {
		n.gather()
		if n.from < n.end {
			return n.tail[n.from:n.end]
		}
	}
	return n.rest[:len(n.rest)&^(blockSize-1)]
}

// gather goes on to the next piece. A block that lies in several pieces is put
// together in tail, and so is the end of the message with its padding
// (FIPS 180-4, 5.1.2).
func (n *lane) gather() {
	n.from, n.end = 0, 0
	for {
		if n.end == 0 && len(n.rest) >= blockSize {
			return
		}
		c := copy(n.tail[n.end:blockSize], n.rest)
		n.rest, n.end = n.rest[c:], n.end+c
		if n.end == blockSize {
			return
		}
		if n.piece == len(n.m.Pieces) {
			break
		}
		n.rest = n.m.Pieces[n.piece]
		n.piece++
	}
	total := n.length + uint64(n.end)
	used := n.end
	n.end = blockSize
	if used+1+16 > blockSize {
		n.end = 2 * blockSize
	}
	clear(n.tail[used:n.end])
	n.tail[used] = 0x80
	binary.BigEndian.PutUint64(n.tail[n.end-16:], total>>61)
	binary.BigEndian.PutUint64(n.tail[n.end-8:], total<<3)
	n.ended = true
}

// advance moves past the bytes that ready returned, once they are hashed. It reports
// whether the message ends there.
func (n *lane) advance(by int) bool {
	n.length += uint64(by)
	if n.from < n.end {
		n.from += by
		return n.ended && n.from == n.end
	}
	n.rest = n.rest[by:]
	return false
}

func (h *Hasher) sumPlain(m *Message) {
	if h.plain == nil {
		h.plain = sha512.New()
	}
	h.plain.Reset()
	for _, p := range m.Pieces {
		h.plain.Write(p)
	}
	h.plain.Sum(m.Sum[:0])
}

// finishPlain hashes the rest of the message in a lane alone.
func (h *Hasher) finishPlain(l int) {
	n := &h.lanes[l]
	if h.plain == nil {
		h.plain = sha512.New()
	}
	if n.ended || !h.hand(l) {
		// The last blocks are few.
		for m := n.m; n.m == m && m != nil; {
			h.step()
		}
		return
	}
	if n.from < n.end {
		h.plain.Write(n.tail[n.from:n.end])
	}
	h.plain.Write(n.rest)
	for _, p := range n.m.Pieces[n.piece:] {
		h.plain.Write(p)
	}
	h.plain.Sum(n.m.Sum[:0])
	n.m, n.rest = nil, nil
}

// hand passes the state of a lane to crypto/sha512, in the form of a marshaled hash.
// It reports whether that was accepted.
func (h *Hasher) hand(l int) bool {
	u, ok := h.plain.(encoding.BinaryUnmarshaler)
	if !ok {
		return false
	}
	b := append(make([]byte, 0, 4+sha512.Size+blockSize+8), "sha\x07"...)
	for w := range h.state {
		b = binary.BigEndian.AppendUint64(b, h.state[w][l])
	}
	b = append(b, make([]byte, blockSize)...)
	return u.UnmarshalBinary(binary.BigEndian.AppendUint64(b, h.lanes[l].length)) == nil
}
