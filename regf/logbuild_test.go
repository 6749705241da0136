package regf

import (
	"bytes"
	"encoding/binary"
)

// The tests write logs themselves, straight from docs/spec/registry.md, "Transaction
// logs", because nothing that writes them can be installed.

// setBase changes the sequences and type of a base block and completes it.
func setBase(b []byte, seq1, seq2, typ uint32) {
	binary.LittleEndian.PutUint32(b[0x04:], seq1)
	binary.LittleEndian.PutUint32(b[0x08:], seq2)
	binary.LittleEndian.PutUint32(b[0x1C:], typ)
	binary.LittleEndian.PutUint32(b[0x1FC:], HeaderChecksum(b))
}

type logRun struct {
	offset int
	data   []byte
}

// newLogEntry returns one HvLE entry.
func newLogEntry(seq uint32, bins int, runs ...logRun) []byte {
	e := make([]byte, 40)
	copy(e, "HvLE")
	binary.LittleEndian.PutUint32(e[12:], seq)
	binary.LittleEndian.PutUint32(e[16:], uint32(bins))
	binary.LittleEndian.PutUint32(e[20:], uint32(len(runs)))
	for _, r := range runs {
		e = binary.LittleEndian.AppendUint32(e, uint32(r.offset))
		e = binary.LittleEndian.AppendUint32(e, uint32(len(r.data)))
	}
	for _, r := range runs {
		e = append(e, r.data...)
	}
	e = append(e, make([]byte, (512-len(e)%512)%512)...)
	binary.LittleEndian.PutUint32(e[4:], uint32(len(e)))
	sealEntry(e)
	return e
}

func sealEntry(e []byte) {
	binary.LittleEndian.PutUint64(e[24:], marvin32(e[40:]))
	binary.LittleEndian.PutUint64(e[32:], marvin32(e[:32]))
}

// newLog returns a log of the new format with the base block of hive.
func newLog(hive []byte, seq uint32, entries ...[]byte) []byte {
	l := bytes.Clone(hive[:512])
	setBase(l, seq, seq, 6)
	for _, e := range entries {
		l = append(l, e...)
	}
	return l
}

// oldLog returns a log of the old format that holds the pages of want in which
// it differs from have; both are whole hives.
func oldLog(have, want []byte, seq uint32) []byte {
	l := bytes.Clone(want[:512])
	setBase(l, seq, seq, 1)
	bins := int(binary.LittleEndian.Uint32(want[0x28:]))
	l = append(l, "DIRT"...)
	bitmap := make([]byte, bins/512/8)
	var pages []byte
	for p := 0; p < bins/512; p++ {
		at := 4096 + p*512
		if at+512 > len(have) || !bytes.Equal(have[at:at+512], want[at:at+512]) {
			bitmap[p/8] |= 1 << (p % 8)
			pages = append(pages, want[at:at+512]...)
		}
	}
	l = append(l, bitmap...)
	l = append(l, make([]byte, (512-len(l)%512)%512)...)
	return append(l, pages...)
}

// tinyHive returns a file of n one-page bins, each filled with the letter given
// after its header. It is enough for replay, which does not look into cells.
func tinyHive(n int, fill byte) []byte {
	h := make([]byte, 4096*(n+1))
	copy(h, "regf")
	binary.LittleEndian.PutUint32(h[0x14:], 1)
	binary.LittleEndian.PutUint32(h[0x18:], 5)
	binary.LittleEndian.PutUint32(h[0x20:], 1)
	binary.LittleEndian.PutUint32(h[0x24:], 0x20)
	binary.LittleEndian.PutUint32(h[0x28:], uint32(4096*n))
	binary.LittleEndian.PutUint64(h[0x0C:], 0x1D295059E68E89E)
	for i := range n {
		copy(h[4096*(i+1):], tinyBin(i, fill))
	}
	binary.LittleEndian.PutUint64(h[4096+0x14:], 0x1D295059E68E89E)
	setBase(h, 1, 1, 0)
	return h
}

func tinyBin(i int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, 4096)
	copy(b, "hbin")
	binary.LittleEndian.PutUint32(b[4:], uint32(4096*i))
	binary.LittleEndian.PutUint32(b[8:], 4096)
	clear(b[12:32])
	return b
}
