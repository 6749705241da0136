package regf

import (
	"encoding/binary"
	"fmt"
)

// The fields of the base block that recovery reads and writes. A log begins with
// a copy of the first sector of the base block (registry specification, 1.1).
const (
	logOffSequence1 = 0x04
	logOffSequence2 = 0x08
	logOffTime      = 0x0C
	logOffType      = 0x1C
	logOffBinsSize  = 0x28
	logOffFlags     = 0x90
	logOffChecksum  = 0x1FC

	logTypePrimary = 0
	logTypeOld     = 1
	logTypeOldNT   = 2
	logTypeNew     = 6

	baseBlockBytes = 4096
	binHeaderBytes = 32
	logSector      = 512
	logPage        = 4096
)

func logField(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }

// logChecksum is the XOR of the first 127 words of a base block; the results 0 and
// -1 are replaced, so that neither zeros nor ones pass.
func logChecksum(b []byte) uint32 {
	var x uint32
	for i := 0; i < logOffChecksum; i += 4 {
		x ^= binary.LittleEndian.Uint32(b[i:])
	}
	switch x {
	case 0:
		return 1
	case 0xFFFFFFFF:
		return 0xFFFFFFFE
	}
	return x
}

// logBaseValid reports whether b begins with a base block whose checksum is
// right.
func logBaseValid(b []byte) bool {
	return len(b) >= logSector && string(b[:4]) == "regf" && logField(b, logOffChecksum) == logChecksum(b)
}

// logEntry is one step of replay: pages to write and the state after them. An old
// log is a single entry.
type logEntry struct {
	sequence uint32
	flags    uint32
	binsSize uint32
	pages    []logPages
}

// logPages is a run of pages; data is part of the log.
type logPages struct {
	offset uint32 // in the bins
	data   []byte
}

// parsedLog is a log whose entries have been checked, up to the first bad one.
type parsedLog struct {
	data     []byte
	format   LogFormat
	sequence uint32
	valid    bool // the base block is whole; there may still be no good entry
	entries  []logEntry
	// stop and offset are as in LogReport.
	stop   error
	offset int64
}

func (p *parsedLog) halt(offset int64, format string, args ...any) {
	p.offset = offset
	p.stop = fmt.Errorf(format, args...)
}

// parseLog reads a log; room is the largest bins size that is believed.
func parseLog(b []byte, room int64) parsedLog {
	p := parsedLog{data: b}
	switch {
	case len(b) == 0:
		p.halt(0, "empty file: %w", ErrNotLog)
		return p
	case len(b) < logSector || string(b[:4]) != "regf":
		p.halt(0, "no base block: %w", ErrNotLog)
		return p
	}
	p.sequence = logField(b, logOffSequence1)
	switch typ := logField(b, logOffType); typ {
	case logTypeOld, logTypeOldNT:
		p.format = LogOld
	case logTypeNew:
		p.format = LogNew
	default:
		p.halt(logOffType, "file type %d: %w", typ, ErrNotLog)
		return p
	}
	if !logBaseValid(b) {
		p.halt(logOffChecksum, "wrong checksum of the log's base block")
		return p
	}
	p.valid = true
	if p.format == LogNew {
		p.parseNew(room)
	} else {
		p.parseOld(room)
	}
	return p
}

// sequenceBefore reports whether a comes before b where sequence numbers wrap
// around at 2^32.
func sequenceBefore(a, b uint32) bool { return int32(a-b) < 0 }

// checkBinsSize checks the size of the bins that a log announces.
func checkBinsSize(size uint32, room int64) error {
	switch {
	case size == 0 || size%logPage != 0:
		return fmt.Errorf("bins size %#x is not a positive multiple of %d", size, logPage)
	case int64(size) > room || int64(size) > maxBinsSize:
		return fmt.Errorf("bins size %#x is more than hive and logs can fill", size)
	}
	return nil
}

// logStep names one entry of one log.
type logStep struct{ log, entry int }

func stepsOf(log int, p *parsedLog) []logStep {
	steps := make([]logStep, len(p.entries))
	for i := range steps {
		steps[i] = logStep{log, i}
	}
	return steps
}
