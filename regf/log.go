package regf

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Errors of log recovery.
var (
	// ErrNoUsableLog reports that a hive is dirty and that none of the logs can make it
	// whole: they are missing, damaged, older than the hive, or belong to another hive. The
	// hive's last changes are lost; a caller that wants the state before them must ask for
	// it.
	ErrNoUsableLog error = &sentinel{text: "no transaction log fits the dirty hive", codes: [2]Errno{ErrorNotRegistryFile}}
	// ErrNotLog reports that a file is not a transaction log.
	ErrNotLog = errors.New("not a transaction log")
)

// LogFormat is one of the two formats of transaction logs.
type LogFormat uint8

// The formats of transaction logs.
const (
	LogUnknown LogFormat = iota
	// LogOld holds a bitmap of dirty 512-byte pages and the pages: file types 1 and
	// 2, Windows NT 3.1 to Windows 8.
	LogOld
	// LogNew holds a chain of entries with their own hashes: file type 6, Windows
	// 8.1 and later.
	LogNew
)

func (f LogFormat) String() string {
	switch f {
	case LogOld:
		return "old"
	case LogNew:
		return "new"
	}
	return "unknown"
}

// Recovery describes the result of [Recover].
type Recovery struct {
	// Clean is set when the hive was not dirty; the logs were not applied then, because a
	// clean hive is newer than any of them.
	Clean bool
	// Format is that of the logs that were applied.
	Format LogFormat
	// BaseBlockFrom is the index of the log whose copy replaced the hive's broken
	// base block, or -1.
	BaseBlockFrom int
	// Entries, Pages and Bytes count the writes: log entries (1 for an old log), runs of
	// pages, and their bytes.
	Entries, Pages int
	Bytes          int64
	// FirstSequence and LastSequence are those of the entries applied.
	FirstSequence, LastSequence uint32
	// BinsSize is the size of the hive bins afterwards, in bytes.
	BinsSize int64
	// DummyBins lists the offsets in the bins at which a page from a log was no bin and was
	// replaced by an empty one, as Windows does.
	DummyBins []int64
	// Missing are the parts of the bins that are neither in the truncated hive nor in the
	// logs. They are zero in the result, which is returned together with ErrTruncated.
	Missing []MissingPart
	// Logs has one element for each log given, in order.
	Logs []LogReport
}

// MissingPart is a part of the bins that neither hive nor logs hold.
type MissingPart struct {
	Offset, Size int64 // in the bins, in bytes
}

// LogReport describes the use of one log.
type LogReport struct {
	Format LogFormat
	// Sequence is that of the log's first entry, as its base block says.
	Sequence uint32
	// Found counts the good entries of the log, Applied those that were used.
	Found, Applied int
	// Stop is the reason why the log was not used, or why no entry after the last good one
	// was. It is nil if the log simply ends. Offset is the position in the log at which
	// reading stopped.
	Stop   error
	Offset int64
}

// growthSlack limits recovery: a log cannot make a hive grow by more than the size of the
// logs plus this, nor beyond maxBins, the stable space of a hive.
const growthSlack = 16 << 20

// Recover replays transaction logs over the primary file of a hive and returns the whole
// file as Windows would leave it: pages written, both sequence numbers those of the last
// entry, checksum right. The logs are passed in the order LOG1, LOG2 (or the one log of old
// systems); nil or empty ones are allowed. The arguments are not changed.
//
// The choice of a log, and of the entries applied, follows docs/spec/registry.md,
// "Transaction logs". Entries of a new-format log are applied up to the first damaged
// one, and the [Recovery] records its position: Windows does the same, and the resulting
// state was a consistent one. A clean hive is returned unchanged.
//
// If the hive is itself a log, the error is [ErrLogFile]. If no log fits a dirty hive, the error is [ErrNoUsableLog], and the Recovery returned
// with it has the reason for each log. If the hive was truncated, and its logs do not hold
// all the missing parts, the error is [ErrTruncated], and those parts are zero in the
// result: [Hive.Repair] can repair it.
func Recover(ctx context.Context, hive []byte, logs ...[]byte) ([]byte, *Recovery, error) {
	r := &recovery{
		ctx:  ctx,
		hive: hive,
		out:  Recovery{BaseBlockFrom: -1, Logs: make([]LogReport, len(logs))},
		room: int64(len(hive)) + growthSlack,
	}
	for _, l := range logs {
		r.room += int64(len(l))
	}
	if hdr, err := ParseHeader(hive); err == nil && hdr.ChecksumOK && (hdr.Type == 1 || hdr.Type == 2 || hdr.Type == 6) {
		return nil, &r.out, (*Hive)(nil).opError("recover", "", -1, ErrLogFile)
	}
	baseGood := logBaseValid(hive)
	if baseGood && u32(hive[hdrPrimary:]) == u32(hive[hdrSecondary:]) {
		r.out.Clean = true
		r.out.BinsSize = int64(u32(hive[hdrBins:]))
		return append([]byte(nil), hive...), &r.out, (*Hive)(nil).opError("recover", "", -1, r.cut(nil))
	}
	parsed := make([]parsedLog, len(logs))
	for i, l := range logs {
		parsed[i] = parseLog(ctx, l, r.room)
		if err := ctx.Err(); err != nil {
			return nil, &r.out, (*Hive)(nil).opError("recover", "", -1, err)
		}
		rep := &r.out.Logs[i]
		rep.Format, rep.Sequence, rep.Found = parsed[i].format, parsed[i].sequence, len(parsed[i].entries)
		rep.Stop, rep.Offset = parsed[i].stop, parsed[i].offset
	}
	image, err := r.run(parsed, baseGood)
	return image, &r.out, (*Hive)(nil).opError("recover", "", -1, err)
}

// recovery is the state of one call of Recover.
type recovery struct {
	ctx   context.Context
	hive  []byte
	image []byte
	room  int64 // the largest bins size to accept
	out   Recovery
}

func (r *recovery) run(logs []parsedLog, baseGood bool) ([]byte, error) {
	// New logs are preferred: a system that writes them does not use an old log that is
	// still stored next to them.
	plan := r.planNew(logs, baseGood)
	if plan == nil {
		plan = r.planOld(logs, baseGood)
	}
	if plan == nil {
		return nil, ErrNoUsableLog
	}
	r.image = append([]byte(nil), r.hive...)
	if len(r.image) < baseSize {
		r.image = append(r.image, make([]byte, baseSize-len(r.image))...)
	}
	if !baseGood {
		r.out.BaseBlockFrom = plan[0].log
		copy(r.image, logs[plan[0].log].data[:logSector])
	}
	var touched []pageRange
	for i, step := range plan {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		e := &logs[step.log].entries[step.entry]
		if i == 0 {
			r.out.FirstSequence = e.sequence
		}
		r.grow(int64(e.binsSize))
		for _, p := range e.pages {
			copy(r.image[baseSize+int64(p.offset):], p.data)
			if len(p.data) > 0 {
				touched = append(touched, pageRange{int64(p.offset), int64(len(p.data))})
			}
			r.out.Pages++
			r.out.Bytes += int64(len(p.data))
		}
		if logs[step.log].format == LogNew {
			flags := u32(r.image[hdrFlags:])&^1 | e.flags&1
			binary.LittleEndian.PutUint32(r.image[hdrFlags:], flags)
		}
		r.out.Format = logs[step.log].format
		r.out.Entries++
		r.out.Logs[step.log].Applied++
		r.out.LastSequence = e.sequence
		r.out.BinsSize = int64(e.binsSize)
	}
	cut := r.cut(touched)
	r.replaceBrokenBins(touched)
	image, err := r.finish()
	if err != nil {
		return nil, err
	}
	return image, cut
}

// cut finds the parts of the bins that neither the file nor the logs hold.
func (r *recovery) cut(written []pageRange) error {
	at := max(int64(len(r.hive))-baseSize, 0)
	written = slices.Clone(written)
	slices.SortFunc(written, func(a, b pageRange) int { return cmp.Compare(a.offset, b.offset) })
	missing := func(end int64) {
		if end = min(end, r.out.BinsSize); at < end {
			r.out.Missing = append(r.out.Missing, MissingPart{at, end - at})
		}
	}
	for _, w := range written {
		missing(w.offset)
		at = max(at, w.offset+w.size)
	}
	missing(r.out.BinsSize)
	if len(r.out.Missing) > 0 {
		return ErrTruncated
	}
	return nil
}

// grow makes the image long enough for bins bytes of bins.
func (r *recovery) grow(bins int64) {
	if need := baseSize + bins - int64(len(r.image)); need > 0 {
		r.image = append(r.image, make([]byte, need)...)
	}
}

// finish completes the base block: a primary file, clean, with its checksum.
func (r *recovery) finish() ([]byte, error) {
	if !isBin(r.image[baseSize:], 0) {
		return nil, fmt.Errorf("first bin is damaged after replay: %w", ErrNoUsableLog)
	}
	put := func(off int, v uint32) { binary.LittleEndian.PutUint32(r.image[off:], v) }
	put(hdrPrimary, r.out.LastSequence)
	put(hdrSecondary, r.out.LastSequence)
	put(hdrType, 0)
	put(hdrBins, uint32(r.out.BinsSize))
	put(hdrChecksum, HeaderChecksum(r.image))
	return r.image, nil
}

type pageRange struct{ offset, size int64 }

// replaceBrokenBins walks the chain of bins. A page that a log has written and that is no
// bin is replaced by an empty bin of one page, so that the rest of the chain is not lost.
// Damage that no log wrote is left for the reader to find.
func (r *recovery) replaceBrokenBins(touched []pageRange) {
	bins := r.image[baseSize : baseSize+r.out.BinsSize]
	written := make([]uint64, len(bins)/pageSize/64+1) // one bit for each page
	for _, t := range touched {
		for page := t.offset / pageSize; page*pageSize < t.offset+t.size && page*pageSize < int64(len(bins)); page++ {
			written[page/64] |= 1 << (page % 64)
		}
	}
	for off := int64(0); off+binHeader <= int64(len(bins)); {
		if isBin(bins[off:], off) {
			off += int64(binary.LittleEndian.Uint32(bins[off+8:]))
			continue
		}
		if page := off / pageSize; written[page/64]&(1<<(page%64)) == 0 {
			return
		}
		page := bins[off : off+pageSize]
		clear(page)
		copy(page, "hbin")
		binary.LittleEndian.PutUint32(page[4:], uint32(off))
		binary.LittleEndian.PutUint32(page[8:], pageSize)
		binary.LittleEndian.PutUint32(page[binHeader:], pageSize-binHeader) // one free cell
		r.out.DummyBins = append(r.out.DummyBins, off)
		off += pageSize
	}
}

// isBin reports whether b starts with the header of the bin at off, and whether the bin
// fits.
func isBin(b []byte, off int64) bool {
	if len(b) < binHeader || string(b[:4]) != "hbin" {
		return false
	}
	size := int64(binary.LittleEndian.Uint32(b[8:]))
	return int64(binary.LittleEndian.Uint32(b[4:])) == off &&
		size >= pageSize && size%pageSize == 0 && size <= int64(len(b))
}
