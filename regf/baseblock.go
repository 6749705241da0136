package regf

import (
	"bytes"
)

// rebuildBase makes a base block for a file whose own base block is not that of a hive,
// although bins follow it, and reports whether it did. The readable fields of the old one
// are kept; an unreadable version is inferred from the lists. Only Salvage mode opens such
// a file, as dirty, because nothing records whether its last write was finished.
func (h *Hive) rebuildBase() (bool, error) {
	if h.mode != Salvage || len(h.data) < baseSize+pageSize {
		return false, nil
	}
	if err := h.load(0, len(h.data)); err != nil {
		return false, err
	}
	if second := string(h.data[logSector : logSector+4]); second == "HvLE" || second == "DIRT" {
		return false, nil // a log contains pages of bins, too
	}
	avail := uint32(min(len(h.data)-baseSize, maxBins)) &^ (pageSize - 1)
	size, err := h.chained(0, avail)
	if err != nil || size == 0 {
		return false, err
	}
	if !h.owned {
		h.data, h.owned = bytes.Clone(h.data), true
	}
	h.resident = nil // releasing the page would bring the damaged block back
	b := h.data
	copy(b, "regf")
	if m := u32(b[hdrMinor:]); u32(b[hdrMajor:]) != 1 || m < 3 || m > 6 {
		minor := uint32(3)
		if bytes.Contains(b[baseSize:baseSize+size], []byte("lh")) {
			minor = 5
		}
		put32(b[hdrMinor:], minor)
	}
	put32(b[hdrMajor:], 1)
	put32(b[hdrType:], 0)
	put32(b[hdrFormat:], 1)
	if n := u32(b[hdrBins:]); n%pageSize != 0 || n < size || n > avail {
		put32(b[hdrBins:], size)
	}
	put32(b[hdrCluster:], 1)
	put32(b[hdrSecondary:], u32(b[hdrPrimary:]))
	// The checksum remains wrong: the hive is dirty.
	put32(b[hdrChecksum:], HeaderChecksum(b)^0x80)
	h.note(faultf(ruleBaseBlock, nilCell, "base block is not that of a hive; its version, 1.%d, and its flags are guessed", u32(b[hdrMinor:])), nil)
	return true, nil
}
