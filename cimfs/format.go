package cimfs

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

var le = binary.LittleEndian

// Version is the major version of the format.
type Version uint32

// The versions. All are read; V1 and V3 are written. No image of version 2 has
// ever been seen outside Microsoft, and a driver that knows version 3 records
// would read past the end of a version 2 one, so none is written.
const (
	V1 Version = 1
	V2 Version = 2
	V3 Version = 3
)

// FileID numbers the files and directories of an image from 1.
type FileID uint32

// RegionOffset points at an object: bits 0 to 47 are the offset from the start of
// a region file, bits 48 to 63 the index of the region. Zero is null.
type RegionOffset uint64

const maxOffset = 1<<48 - 1

func at(region int, offset int64) RegionOffset {
	return RegionOffset(region)<<48 | RegionOffset(offset)
}

// Region returns the index of the region, counted over the regions of all
// parents, oldest first, and then those of the image.
func (o RegionOffset) Region() int { return int(o >> 48) }

// Offset returns the offset in the region file.
func (o RegionOffset) Offset() int64 { return int64(o & maxOffset) }

// String formats as "1:0x1000".
func (o RegionOffset) String() string { return fmt.Sprintf("%d:%#x", o.Region(), o.Offset()) }

// RegionType is the kind of objects in a region.
type RegionType uint8

// The region types.
const (
	MetadataRegion RegionType = 0 // tables, descriptors, attributes; 8-aligned
	DataRegion     RegionType = 1 // file content, page aligned
	SmallRegion    RegionType = 2 // content of small files, 8-aligned
)

// String names the type.
func (t RegionType) String() string {
	switch t {
	case MetadataRegion:
		return "metadata"
	case DataRegion:
		return "data"
	case SmallRegion:
		return "small data"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// align is the alignment of objects and of the end of a region file.
func (t RegionType) align() int64 {
	if t == DataRegion {
		return pageSize
	}
	return 8
}

// start is the offset of the first object.
func (t RegionType) start() int64 {
	if t == DataRegion {
		return pageSize
	}
	return regionHeaderSize
}

// StreamType is the way in which the bytes of a stream are stored.
type StreamType uint8

// The stream types.
const (
	PlainStream StreamType = 0 // bytes as they are
	TableStream StreamType = 1 // a directory's link table
	ImageStream StreamType = 2 // a PE image, sections moved to pages of their own
)

// The common header of every file of the set, and the fields after it.
const (
	magic = "cimfile0"

	headerLengthAt = 0x08 // u32
	headerTypeAt   = 0x0C // u8
	headerMajorAt  = 0x10 // u32
	headerMinorAt  = 0x14 // u32
	commonSize     = 0x20

	kindImage    = 0
	kindRegion   = 1
	kindObjectID = 2

	imageGUIDAt    = 0x20 // 16 bytes
	imageRegionsAt = 0x30 // u16
	imageRootAt    = 0x38 // RegionOffset of the file system object
	imageParentsAt = 0x46 // u16
	imageSize      = 0x48
	parentSetSize  = 24 // GUID, u16 region count, u16 and u32 reserved

	regionTypeAt     = 0x22 // u8
	regionHeaderSize = 0x28

	objectIndexAt    = 0x20 // u16
	objectTypeAt     = 0x22 // u8
	objectTableAt    = 0x28 // u32
	objectCountAt    = 0x2C // u32
	objectHeaderSize = 0x30
	objectEntrySize  = 40 // u64 length, 24-byte digest, u64 offset
	digestSize       = 24
)

const (
	pageSize     = 4096
	smallLimit   = 1024 // length from which content does not go to the small-data region
	tableFiles   = 1024 // records in one file table
	maxComponent = 255  // UTF-16 units of a name
	maxPath      = 32767

	fileSystemSize = 24
	tableEntrySize = 16 // entry of the file-table directory

	peHeaderSize  = 24 // of the descriptor
	peMappingSize = 8
)

// The bits of a packed stream word.
const (
	streamTypeShift = 48
	streamSparse    = 1 << 56
	streamReserved  = 0xFE << 56
)

// The attribute bits of a record, which are not those of Win32.
const (
	flagReadOnly = 0x01
	flagHidden   = 0x02
	flagSystem   = 0x04
	flagArchive  = 0x08
	flagSparse   = 0x10
	flagsKnown   = 0x1F
)

func recordSize(v Version) int {
	switch v {
	case V1:
		return 0x58
	case V2:
		return 0x60
	}
	return 0x68
}

// nowhere is the offset of a sparse stream in the region in which its content would
// be.
const nowhere = maxOffset

// record is a file record.
type record struct {
	flags      uint16 // 0x00
	eaLength   uint16 // 0x02
	reparseTag uint32 // 0x04
	creation   uint64 // 0x08
	lastWrite  uint64 // 0x10
	change     uint64 // 0x18
	lastAccess uint64 // 0x20
	data       stream // 0x28
	security   uint64 // 0x38
	ea         uint64 // 0x40
	reparse    uint64 // 0x48
	streams    uint64 // 0x50
	// version 2 and later
	parent     FileID // 0x58
	baseRegion uint16 // 0x5C
	reserved   uint16 // 0x5E
	// version 3
	links uint64 // 0x60
}

// stream is the 16-byte stream structure.
type stream struct {
	offset uint64
	packed uint64
}

func (s stream) length() int64    { return int64(s.packed & maxOffset) }
func (s stream) kind() StreamType { return StreamType(s.packed >> streamTypeShift) }
func (s stream) sparse() bool     { return s.packed&streamSparse != 0 }

func decodeStream(b []byte) stream { return stream{le.Uint64(b), le.Uint64(b[8:])} }

func (s stream) append(b []byte) []byte {
	return le.AppendUint64(le.AppendUint64(b, s.offset), s.packed)
}

// decodeRecord reads a record of recordSize(v) bytes.
func decodeRecord(b []byte, v Version) record {
	r := record{
		flags: le.Uint16(b), eaLength: le.Uint16(b[2:]), reparseTag: le.Uint32(b[4:]),
		creation: le.Uint64(b[8:]), lastWrite: le.Uint64(b[0x10:]),
		change: le.Uint64(b[0x18:]), lastAccess: le.Uint64(b[0x20:]),
		data:     decodeStream(b[0x28:]),
		security: le.Uint64(b[0x38:]), ea: le.Uint64(b[0x40:]),
		reparse: le.Uint64(b[0x48:]), streams: le.Uint64(b[0x50:]),
	}
	if v >= V2 {
		r.parent, r.baseRegion, r.reserved = FileID(le.Uint32(b[0x58:])), le.Uint16(b[0x5C:]), le.Uint16(b[0x5E:])
	}
	if v >= V3 {
		r.links = le.Uint64(b[0x60:])
	}
	return r
}

func (r *record) append(b []byte, v Version) []byte {
	b = le.AppendUint16(b, r.flags)
	b = le.AppendUint16(b, r.eaLength)
	b = le.AppendUint32(b, r.reparseTag)
	b = le.AppendUint64(b, r.creation)
	b = le.AppendUint64(b, r.lastWrite)
	b = le.AppendUint64(b, r.change)
	b = le.AppendUint64(b, r.lastAccess)
	b = r.data.append(b)
	b = le.AppendUint64(b, r.security)
	b = le.AppendUint64(b, r.ea)
	b = le.AppendUint64(b, r.reparse)
	b = le.AppendUint64(b, r.streams)
	if v >= V2 {
		b = le.AppendUint32(b, uint32(r.parent))
		b = le.AppendUint16(b, r.baseRegion)
		b = le.AppendUint16(b, r.reserved)
	}
	if v >= V3 {
		b = le.AppendUint64(b, r.links)
	}
	return b
}

func (r *record) isDir() bool { return r.data.kind() == TableStream }

// attributes translates to Win32 bits; DIRECTORY and REPARSE_POINT are not stored
// but follow.
func (r *record) attributes() winfs.Attributes {
	var a winfs.Attributes
	for _, m := range flagBits {
		if r.flags&m.flag != 0 {
			a |= m.attr
		}
	}
	if r.isDir() {
		a |= winfs.AttrDirectory
	}
	if r.reparse != 0 {
		a |= winfs.AttrReparsePoint
	}
	return a
}

var flagBits = []struct {
	flag uint16
	attr winfs.Attributes
}{
	{flagReadOnly, winfs.AttrReadOnly}, {flagHidden, winfs.AttrHidden}, {flagSystem, winfs.AttrSystem},
	{flagArchive, winfs.AttrArchive}, {flagSparse, winfs.AttrSparse},
}

func flagsOf(a winfs.Attributes) (f uint16) {
	for _, m := range flagBits {
		if a&m.attr != 0 {
			f |= m.flag
		}
	}
	return f
}

func (r *record) times() winfs.Times {
	return winfs.Times{
		Creation: winfs.Filetime(r.creation), LastWrite: winfs.Filetime(r.lastWrite),
		Change: winfs.Filetime(r.change), LastAccess: winfs.Filetime(r.lastAccess),
	}
}

func (r *record) setTimes(t winfs.Times) {
	r.creation, r.lastWrite = uint64(t.Creation), uint64(t.LastWrite)
	r.change, r.lastAccess = uint64(t.Change), uint64(t.LastAccess)
}

func roundUp(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

const (
	regionPrefix   = "region_"
	objectIDPrefix = "objectid_"
)

func regionName(g winfs.GUID, n int) string   { return fmt.Sprintf(regionPrefix+"%s_%d", g, n) }
func objectIDName(g winfs.GUID, n int) string { return fmt.Sprintf(objectIDPrefix+"%s_%d", g, n) }

// SetGUID returns the GUID in the name of a region or object file, region_GUID_N or
// objectid_GUID_N. Images refer to their files by this GUID ([Image.GUID]). The second
// result is false for other names.
func SetGUID(name string) (winfs.GUID, bool) {
	rest, ok := strings.CutPrefix(name, regionPrefix)
	if !ok {
		rest, ok = strings.CutPrefix(name, objectIDPrefix)
	}
	text, n, cut := strings.Cut(rest, "_")
	if !ok || !cut || n == "" || strings.Trim(n, "0123456789") != "" {
		return winfs.GUID{}, false
	}
	g, err := winfs.ParseGUID(text)
	return g, err == nil && g.String() == text
}
