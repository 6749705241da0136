package layerdir

import (
	"encoding/binary"
	"fmt"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/winfs"
)

// A Record holds the metadata of one entry that a host file system cannot hold. It is
// small and of bounded size, so that it fits next to the inode on ext4 and similar file
// systems, which have about a hundred bytes for extended attributes before they use a
// whole block for each file. Metadata of variable length is in .mullion/data, and the
// record refers to it.
//
// As bytes:
//
//	00 u8      version, 1
//	01 uvarint flags, recordFlag values below
//	   u32     Win32 attributes           if recordAttributes
//	   i64     last write time            if recordTimes, and then, as signed
//	   3 varint creation, access, change   varints, the differences to it (mod 2^64)
//	   refs    security, extended attributes, reparse buffer, object ID, extents of
//	           the main stream, alternate streams: each if its flag is set
//
// A ref is uvarint offset, uvarint length (never 0), u32 CRC-32C of the bytes.
// Integers of fixed size are little-endian, uvarints have no superfluous bytes,
// and nothing follows: every record has exactly one spelling.
type Record struct {
	Flags      recordFlag
	attributes winfs.Attributes
	Times      winfs.Times
	refs       [recordRefs]ref
}

// ref is a range of .mullion/data.
type ref struct {
	offset, length int64
	crc            uint32
}

type recordFlag uint32

const (
	recordSecurity recordFlag = 1 << iota
	recordEAs
	recordReparse
	recordObjectID
	recordExtents // the main stream is sparse; the blob lists its allocated ranges
	recordStreams
	recordAttributes
	RecordTimes
	RecordDir    // a directory, otherwise a file
	recordNoMain // a file that has no main stream, see layer.Entry

	recordKnown = recordNoMain<<1 - 1
	recordRefs  = 6 // the first flags are those of the refs, in order
)

const (
	recordVersion = 1
	// maxRecord is the size of the largest record: version, two bytes of flags,
	// attributes, times, and refs with offsets and lengths below 2^63.
	maxRecord = 1 + 2 + 4 + 8 + 3*binary.MaxVarintLen64 + recordRefs*(2*binary.MaxVarintLen64+4)
)

func (r *Record) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(r.Flags))
	if r.Flags&recordAttributes != 0 {
		b = le.AppendUint32(b, uint32(r.attributes))
	}
	if r.Flags&RecordTimes != 0 {
		w := r.Times.LastWrite
		b = le.AppendUint64(b, uint64(w))
		b = binary.AppendVarint(b, int64(r.Times.Creation-w))
		b = binary.AppendVarint(b, int64(r.Times.LastAccess-w))
		b = binary.AppendVarint(b, int64(r.Times.Change-w))
	}
	for i, f := range r.refs {
		if r.Flags&(1<<i) != 0 {
			b = f.append(b)
		}
	}
	return b
}

func (f ref) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(f.offset))
	b = binary.AppendUvarint(b, uint64(f.length))
	return binary.LittleEndian.AppendUint32(b, f.crc)
}

// ParseRecord reads a whole record. Every error wraps ErrMetadata.
func ParseRecord(b []byte) (Record, error) {
	var r Record
	d := decoder{b: b}
	if v := d.u8(); v != recordVersion && d.err == nil {
		return Record{}, fmt.Errorf("%w: version %d is unknown", hostfs.ErrMetadata, v)
	}
	r.Flags = recordFlag(d.uvarint(uint64(recordKnown)))
	if r.Flags&recordAttributes != 0 {
		r.attributes = winfs.Attributes(d.u32())
	}
	if r.Flags&RecordTimes != 0 {
		w := winfs.Filetime(d.u64())
		r.Times.LastWrite = w
		r.Times.Creation = w + winfs.Filetime(d.varint())
		r.Times.LastAccess = w + winfs.Filetime(d.varint())
		r.Times.Change = w + winfs.Filetime(d.varint())
	}
	for i := range r.refs {
		if r.Flags&(1<<i) != 0 {
			r.refs[i] = d.ref()
		}
	}
	if err := d.finish(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// decoder reads the integers of records and of the index. The first error stays.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", hostfs.ErrMetadata, what)
	}
	d.b = nil
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail("truncated")
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	switch {
	case n <= 0:
		d.fail("truncated number")
		return 0
	case n > 1 && d.b[n-1] == 0:
		d.fail("number with superfluous bytes")
		return 0
	case v > limit:
		d.fail(fmt.Sprintf("number %d is out of range", v))
		return 0
	}
	d.b = d.b[n:]
	return v
}

// varint is the zigzag form of binary.AppendVarint.
func (d *decoder) varint() int64 {
	u := d.uvarint(1<<64 - 1)
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

func (d *decoder) ref() ref {
	const largest = 1<<62 - 1 // offset + length cannot overflow
	r := ref{offset: int64(d.uvarint(largest)), length: int64(d.uvarint(largest)), crc: d.u32()}
	if r.length == 0 {
		d.fail("empty reference")
	}
	return r
}

func (d *decoder) text() string { return string(d.take(d.uvarint(1 << 20))) }

func (d *decoder) finish() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("bytes after the end")
	}
	return d.err
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
