package layerindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// Seal corrects the sums of a file, as far as it is one, so that a fuzzer gets behind them.
func Seal(b []byte) []byte {
	b = bytes.Clone(b)
	const size = headerSize + sections*sectionSize
	if len(b) < size+sumSize {
		return b
	}
	for i := range sectionMap {
		row := b[headerSize+i*sectionSize:]
		at, n := binary.LittleEndian.Uint64(row), binary.LittleEndian.Uint64(row[8:])
		if at <= uint64(len(b)) && n <= uint64(len(b))-at {
			sum := sha256.Sum256(b[at : at+n])
			copy(row[32:], sum[:])
		}
	}
	sum := sha256.Sum256(b[:size])
	copy(b[size:], sum[:])
	return b
}

// SealTree does the same to a file of names.
func SealTree(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) >= sha256.Size {
		sum := sha256.Sum256(b[sha256.Size:])
		copy(b, sum[:])
	}
	return b
}
