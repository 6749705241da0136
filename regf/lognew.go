package regf

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// The header of an entry in a log of the new format. Entries start at 0x200 and follow one
// another without gaps, each a multiple of 512 bytes long.
const (
	entryOffSize     = 0x04
	entryOffFlags    = 0x08
	entryOffSequence = 0x0C
	entryOffBinsSize = 0x10
	entryOffPages    = 0x14
	entryOffHash1    = 0x18 // of the bytes from 0x28 to the end
	entryOffHash2    = 0x20 // of the bytes from 0 to 0x20, the first hash included
	entryHeaderBytes = 0x28
	pageRefBytes     = 8
)

// parseNew reads the entries up to the first that is damaged or out of sequence. Older
// entries that remain after the live ones end the log in this way and are no fault.
func (p *parsedLog) parseNew(ctx context.Context, room int64) {
	want := p.sequence
	for off := int64(logSector); ctx.Err() == nil; want++ {
		rest := p.data[min(off, int64(len(p.data))):]
		if len(rest) < entryHeaderBytes || string(rest[:4]) != "HvLE" {
			if len(p.entries) == 0 {
				p.halt(off, "no entry")
			}
			return
		}
		size := int64(binary.LittleEndian.Uint32(rest[entryOffSize:]))
		if size < entryHeaderBytes || size%logSector != 0 || size > int64(len(rest)) {
			p.halt(off, "entry of %d bytes where %d are left", size, len(rest))
			return
		}
		raw := rest[:size]
		if got := binary.LittleEndian.Uint32(raw[entryOffSequence:]); got != want {
			p.halt(off, "entry has sequence %d where %d follows", got, want)
			return
		}
		if marvin32(raw[:entryOffHash2]) != binary.LittleEndian.Uint64(raw[entryOffHash2:]) ||
			marvin32(raw[entryHeaderBytes:]) != binary.LittleEndian.Uint64(raw[entryOffHash1:]) {
			p.halt(off, "entry %d has a wrong hash", want)
			return
		}
		e, err := parseEntry(raw, room)
		if err != nil {
			p.halt(off, "entry %d: %w", want, err)
			return
		}
		p.entries = append(p.entries, e)
		off += size
	}
}

func parseEntry(raw []byte, room int64) (logEntry, error) {
	e := logEntry{
		flags:    binary.LittleEndian.Uint32(raw[entryOffFlags:]),
		sequence: binary.LittleEndian.Uint32(raw[entryOffSequence:]),
		binsSize: binary.LittleEndian.Uint32(raw[entryOffBinsSize:]),
	}
	if err := checkBinsSize(e.binsSize, room); err != nil {
		return e, err
	}
	count := int64(binary.LittleEndian.Uint32(raw[entryOffPages:]))
	data := entryHeaderBytes + count*pageRefBytes
	if data > int64(len(raw)) {
		return e, fmt.Errorf("%d page references do not fit", count)
	}
	e.pages = make([]logPages, count)
	for i := range e.pages {
		ref := raw[entryHeaderBytes+i*pageRefBytes:]
		offset, size := binary.LittleEndian.Uint32(ref), int64(binary.LittleEndian.Uint32(ref[4:]))
		if size > int64(len(raw))-data {
			return e, fmt.Errorf("page run %d of %d bytes is cut", i, size)
		}
		if int64(offset)+size > int64(e.binsSize) {
			return e, fmt.Errorf("page run %d at %#x ends beyond the bins", i, offset)
		}
		e.pages[i] = logPages{offset, raw[data : data+size]}
		data += size
	}
	return e, nil
}

// planNew chooses the entries of new-format logs to apply, in order, or nil.
func (r *recovery) planNew(logs []parsedLog, baseGood bool) []logStep {
	if !baseGood {
		return r.planNewBase(logs)
	}
	secondary := u32(r.hive[hdrSecondary:])
	var use []int
	for i := range logs {
		switch {
		case logs[i].format != LogNew || !logs[i].valid:
		case sequenceBefore(logs[i].sequence, secondary):
			r.turnDown(i, hdrPrimary, "log starts at sequence %d, before the hive's %d", logs[i].sequence, secondary)
		default:
			use = append(use, i)
		}
	}
	if len(use) == 0 {
		return nil
	}
	slices.SortStableFunc(use, func(a, b int) int { return int(int32(logs[a].sequence - logs[b].sequence)) })
	// A log continues where the one before it ended. A log that starts later would write
	// pages over a state that they do not belong to, also when the earlier log has lost its
	// very first entry.
	var plan []logStep
	next := logs[use[0]].sequence
	for _, i := range use {
		if logs[i].sequence != next {
			r.turnDown(i, hdrPrimary, "log starts at sequence %d where %d follows", logs[i].sequence, next)
			continue
		}
		plan = append(plan, stepsOf(i, &logs[i])...)
		next += uint32(len(logs[i].entries))
	}
	return plan
}

// planNewBase is planNew for a hive without a base block: the log with the latest entries
// supplies it, and no other log is known to belong to it.
func (r *recovery) planNewBase(logs []parsedLog) []logStep {
	latest := -1
	for i := range logs {
		if logs[i].format != LogNew || len(logs[i].entries) == 0 {
			continue
		}
		if latest < 0 || sequenceBefore(lastSequence(&logs[latest]), lastSequence(&logs[i])) {
			latest = i
		}
	}
	if latest < 0 {
		return nil
	}
	for i := range logs {
		if i != latest && logs[i].format == LogNew && len(logs[i].entries) > 0 {
			r.turnDown(i, 0, "the base block is taken from a later log")
		}
	}
	return stepsOf(latest, &logs[latest])
}

func lastSequence(p *parsedLog) uint32 { return p.entries[len(p.entries)-1].sequence }

// turnDown records the reason for not using a log.
func (r *recovery) turnDown(log int, offset int64, format string, args ...any) {
	r.out.Logs[log].Stop = fmt.Errorf(format, args...)
	r.out.Logs[log].Offset = offset
}
