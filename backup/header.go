package backup

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// ID is the kind of a stream (MS-BKUP 2.1).
type ID uint32

// The kinds of stream.
const (
	Data          ID = 1  // the unnamed main stream
	EAData        ID = 2  // extended attributes, see winfs.DecodeEAs
	Security      ID = 3  // self-relative security descriptor
	AlternateData ID = 4  // a named stream; Header.Name is ":name:$DATA"
	Link          ID = 5  // hard link information
	Property      ID = 6  // property data
	ObjectID      ID = 7  // object identifier, 64 bytes on NTFS
	ReparseData   ID = 8  // reparse buffer, see winfs.ParseReparse
	SparseBlock   ID = 9  // one allocated range of the data stream before it
	TxfsData      ID = 10 // transactional NTFS
	GhostedExtent ID = 11 // ghosted file extents
)

var idNames = [...]string{
	Data: "data", EAData: "extended attributes", Security: "security", AlternateData: "alternate data",
	Link: "link", Property: "property", ObjectID: "object ID", ReparseData: "reparse data",
	SparseBlock: "sparse block", TxfsData: "TxF data", GhostedExtent: "ghosted extents",
}

// String returns the English name of a kind.
func (id ID) String() string {
	if id.known() {
		return idNames[id]
	}
	return fmt.Sprintf("stream ID %d", uint32(id))
}

func (id ID) known() bool { return id >= Data && id <= GhostedExtent }

// isData reports whether sparse blocks may belong to the stream.
func (id ID) isData() bool { return id == Data || id == AlternateData }

// Bits of Header.Attributes. The package interprets none but AttrSparse, and that
// only for information.
const (
	AttrModifiedWhenRead   uint32 = 0x01
	AttrContainsSecurity   uint32 = 0x02
	AttrContainsProperties uint32 = 0x04
	AttrSparse             uint32 = 0x08
	AttrContainsGhosted    uint32 = 0x10
)

// Header describes one stream.
type Header struct {
	ID         ID
	Attributes uint32
	// Size is the length in bytes of the data that Read returns or Write accepts; for a
	// sparse block it does not count the offset.
	Size int64
	// Name is the stored name in WTF-8, ":s:$DATA"; in genuine streams it is empty for all
	// kinds but alternate data. [ParseStreamName] returns the bare name.
	Name string
	// Offset is the position of a sparse block in its file, in bytes; 0 for other kinds.
	Offset int64
}

// Layout of WIN32_STREAM_ID, little-endian. The name and the data follow it; the data of a
// sparse block starts with its i64 offset, which Size counts.
const (
	streamIDAt       = 0x00 // u32
	streamAttributes = 0x04 // u32
	streamSize       = 0x08 // u64 bytes of data
	streamNameSize   = 0x10 // u32 bytes of name
	headerSize       = 0x14

	sparseOffsetSize = 8
)

// MaxNameSize is the largest stored name in bytes (MS-BKUP 2.1).
const MaxNameSize = 65536

const dataType = ":$DATA"

// StreamName returns the stored form of the bare name of an alternate stream.
func StreamName(bare string) string { return ":" + bare + dataType }

// ParseStreamName returns the bare name in a stored one, ":s:$DATA" or ":s". Types other
// than $DATA, and names that no file on NTFS can have, are refused.
func ParseStreamName(stored string) (string, error) {
	rest, ok := strings.CutPrefix(stored, ":")
	if !ok {
		return "", &NameError{stored, ErrName}
	}
	bare, typ, typed := strings.Cut(rest, ":")
	if typed && !winfs.EqualFold(typ, dataType[1:]) {
		return "", &NameError{stored, ErrName}
	}
	if err := winfs.ValidateStream(bare); err != nil {
		return "", &NameError{stored, err}
	}
	return bare, nil
}
