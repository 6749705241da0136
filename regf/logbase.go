package regf

import (
	"context"
	"fmt"
)

// File types of logs, and the unit in which logs are laid out: a log starts with a copy
// of the first sector of the base block (docs/spec/registry.md, "Transaction logs").
const (
	logTypeOld   = 1
	logTypeOldNT = 2
	logTypeNew   = 6
	logSector    = 512
)

// logBaseValid reports whether b starts with a base block whose checksum is right.
func logBaseValid(b []byte) bool {
	return len(b) >= logSector && string(b[:4]) == "regf" && u32(b[hdrChecksum:]) == HeaderChecksum(b)
}

// logEntry is one step of replay: the pages to write and the state after them. An old log
// is a single entry.
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

// parsedLog is a log whose entries were checked, up to the first bad one.
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

// parseLog reads a log; room is the largest bins size to accept.
func parseLog(ctx context.Context, b []byte, room int64) parsedLog {
	p := parsedLog{data: b}
	switch {
	case len(b) == 0:
		p.halt(0, "empty file: %w", ErrNotLog)
		return p
	case len(b) < logSector || string(b[:4]) != "regf":
		p.halt(0, "no base block: %w", ErrNotLog)
		return p
	}
	p.sequence = u32(b[hdrPrimary:])
	switch typ := u32(b[hdrType:]); typ {
	case logTypeOld, logTypeOldNT:
		p.format = LogOld
	case logTypeNew:
		p.format = LogNew
	default:
		p.halt(hdrType, "file type %d: %w", typ, ErrNotLog)
		return p
	}
	if !logBaseValid(b) {
		p.halt(hdrChecksum, "wrong checksum of the log's base block")
		return p
	}
	if second := u32(b[hdrSecondary:]); second != p.sequence {
		p.halt(hdrPrimary, "the log itself was not finished: sequences %d and %d", p.sequence, second)
		return p
	}
	p.valid = true
	if p.format == LogNew {
		p.parseNew(ctx, room)
	} else {
		p.parseOld(room)
	}
	return p
}

// sequenceBefore reports whether a comes before b. Sequence numbers wrap around at 2^32.
func sequenceBefore(a, b uint32) bool { return int32(a-b) < 0 }

// checkBinsSize checks the size of the bins that a log declares.
func checkBinsSize(size uint32, room int64) error {
	switch {
	case size == 0 || size%pageSize != 0:
		return fmt.Errorf("bins size %#x is not a positive multiple of %d", size, pageSize)
	case int64(size) > room || int64(size) > maxBins:
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
