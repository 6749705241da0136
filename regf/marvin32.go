package regf

import (
	"encoding/binary"
	"math/bits"
)

// The seed of the Marvin32 hash in transaction logs: the 64-bit number
// 0x82EF4D887A4E55C5, low word first.
const (
	marvinSeedLow  = 0x7A4E55C5
	marvinSeedHigh = 0x82EF4D88
)

// marvin32 returns the hash that entries of new-format transaction logs contain twice
// (docs/spec/registry.md, "Transaction logs"). The two words of the state are stored low
// word first, so that the little-endian result is the eight bytes of the log.
func marvin32(b []byte) uint64 {
	lo, hi := uint32(marvinSeedLow), uint32(marvinSeedHigh)
	for len(b) >= 4 {
		lo, hi = marvinRound(lo, hi, binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	// The last word holds the remaining bytes and the byte 0x80 after them.
	last := uint32(0x80) << (8 * len(b))
	for i, c := range b {
		last |= uint32(c) << (8 * i)
	}
	lo, hi = marvinRound(lo, hi, last)
	lo, hi = marvinRound(lo, hi, 0)
	return uint64(hi)<<32 | uint64(lo)
}

func marvinRound(lo, hi, word uint32) (uint32, uint32) {
	lo += word
	hi ^= lo
	lo = bits.RotateLeft32(lo, 20) + hi
	hi = bits.RotateLeft32(hi, 9) ^ lo
	lo = bits.RotateLeft32(lo, 27) + hi
	hi = bits.RotateLeft32(hi, 19)
	return lo, hi
}
