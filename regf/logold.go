package regf

import (
	"encoding/binary"
	"math/bits"
	"sort"
)

// parseOld reads a log of the old format: in its second sector the word DIRT and a bitmap
// with one bit for each 512-byte page of the bins, lowest bit first, then, from the next
// sector on, the pages whose bits are set, packed.
func (p *parsedLog) parseOld(room int64) {
	binsSize := u32(p.data[hdrBins:])
	if err := checkBinsSize(binsSize, room); err != nil {
		p.halt(hdrBins, "%w", err)
		return
	}
	if len(p.data) < logSector+4 || string(p.data[logSector:logSector+4]) != "DIRT" {
		p.halt(logSector, "no list of dirty pages")
		return
	}
	bitmapBytes := int64(binsSize) / logSector / 8
	bitmapEnd := logSector + 4 + bitmapBytes
	if bitmapEnd > int64(len(p.data)) {
		p.halt(logSector, "the list of dirty pages is cut")
		return
	}
	bitmap := p.data[logSector+4 : bitmapEnd]
	data := (bitmapEnd + logSector - 1) / logSector * logSector
	dirty := int64(0)
	for _, b := range bitmap {
		dirty += int64(bits.OnesCount8(b))
	}
	if dirty == 0 {
		p.halt(logSector, "no dirty page")
		return
	}
	if data+dirty*logSector > int64(len(p.data)) {
		p.halt(data, "%d dirty pages do not fit", dirty)
		return
	}
	e := logEntry{sequence: p.sequence, binsSize: binsSize}
	for page := int64(0); page < bitmapBytes*8; {
		if bitmap[page/8]&(1<<(page%8)) == 0 {
			page++
			continue
		}
		end := page
		for end < bitmapBytes*8 && bitmap[end/8]&(1<<(end%8)) != 0 {
			end++
		}
		size := (end - page) * logSector
		e.pages = append(e.pages, logPages{uint32(page * logSector), p.data[data : data+size]})
		data += size
		page = end
	}
	p.entries = []logEntry{e}
}

// planOld chooses an old-format log, or returns nil. A log belongs to the hive if their
// times of last writing are equal; if the hive's base block is broken, the first bin has
// the same time. Of two such logs, the one with the higher sequence is used, else the
// first.
func (r *recovery) planOld(logs []parsedLog, baseGood bool) []logStep {
	stamp, have := r.hiveTime(baseGood)
	best := -1
	for i := range logs {
		if logs[i].format != LogOld || len(logs[i].entries) == 0 {
			continue
		}
		logTime := binary.LittleEndian.Uint64(logs[i].data[hdrTime:])
		switch {
		case !have || logTime != stamp:
			r.turnDown(i, hdrTime, "log was written at another time than the hive")
		case !r.binsStayWhole(&logs[i].entries[0]):
			r.turnDown(i, logSector, "its pages do not form hive bins")
		case best < 0:
			best = i
		case sequenceBefore(logs[best].sequence, logs[i].sequence):
			r.turnDown(best, hdrPrimary, "another log is newer")
			best = i
		default:
			r.turnDown(i, hdrPrimary, "another log is newer")
		}
	}
	if best < 0 {
		return nil
	}
	return stepsOf(best, &logs[best])
}

// hiveTime returns the time by which old logs are matched.
func (r *recovery) hiveTime(baseGood bool) (uint64, bool) {
	if baseGood {
		return binary.LittleEndian.Uint64(r.hive[hdrTime:]), true
	}
	const binOffTime = 0x14
	if len(r.hive) < baseSize+binHeader || string(r.hive[baseSize:baseSize+4]) != "hbin" {
		return 0, false
	}
	return binary.LittleEndian.Uint64(r.hive[baseSize+binOffTime:]), true
}

// binsStayWhole reports whether the bins form a chain after an old log is applied, as far
// as the log wrote their headers. Pages inside bins may hold anything, and damage that no
// log wrote is left for the reader to find.
func (r *recovery) binsStayWhole(e *logEntry) bool {
	for off := int64(0); off < int64(e.binsSize); {
		b, logged := e.page(off)
		if !logged {
			b = r.hive[min(baseSize+off, int64(len(r.hive))):]
		}
		if len(b) < binHeader || string(b[:4]) != "hbin" {
			return !logged
		}
		size := int64(binary.LittleEndian.Uint32(b[8:]))
		if int64(binary.LittleEndian.Uint32(b[4:])) != off || size < pageSize || size%pageSize != 0 || off+size > int64(e.binsSize) {
			return !logged
		}
		off += size
	}
	return true
}

// page returns the bytes that an old log writes from an offset in the bins on, and whether
// it writes there. Its runs are in ascending order.
func (e *logEntry) page(off int64) ([]byte, bool) {
	i := sort.Search(len(e.pages), func(i int) bool { return int64(e.pages[i].offset) > off }) - 1
	if i < 0 || off >= int64(e.pages[i].offset)+int64(len(e.pages[i].data)) {
		return nil, false
	}
	return e.pages[i].data[off-int64(e.pages[i].offset):], true
}
