package regf

import (
	"github.com/mullion/mullion/winfs"
)

// Header is the base block (docs/spec/registry.md, "Base block").
type Header struct {
	Primary, Secondary uint32 // sequence numbers, equal in a clean hive
	LastWritten        winfs.Filetime
	Major, Minor       uint32
	Type               uint32 // 0 hive, 1, 2 and 6 logs
	Root               uint32 // cell offset of the root key
	BinsSize           uint32 // bytes of bins, a multiple of 4,096
	Clustering         uint32
	FileName           string // end of the path the hive was loaded from; informative
	RmID, LogID, TmID  winfs.GUID
	Flags              uint32 // HeaderKtmLocked and HeaderLayered; read by Hive.Layered only where it has a meaning
	Rmtm               bool   // the rmtm signature is present
	Reorganized        winfs.Filetime
	OfRg               bool // offreg's tag is present
	Serialized         winfs.Filetime
	Checksum           uint32
	ChecksumOK         bool
}

// Flags of the base block in version 1.6.
const (
	HeaderKtmLocked = 1
	HeaderLayered   = 2 // the hive may hold layered keys
)

// ParseHeader decodes a base block of at least 512 bytes. It fails only if b is too short
// or does not start with regf.
func ParseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < 512 || string(b[:4]) != "regf" {
		return h, ErrNotHive
	}
	guid := func(at int) winfs.GUID { return winfs.GUIDFromWindows([16]byte(b[at : at+16])) }
	name := b[hdrName : hdrName+64]
	n := 0
	for n < 64 && u16(name[n:]) != 0 {
		n += 2
	}
	h = Header{
		Primary: u32(b[hdrPrimary:]), Secondary: u32(b[hdrSecondary:]),
		LastWritten: winfs.Filetime(u64(b[hdrTime:])),
		Major:       u32(b[hdrMajor:]), Minor: u32(b[hdrMinor:]), Type: u32(b[hdrType:]),
		Root: u32(b[hdrRoot:]), BinsSize: u32(b[hdrBins:]), Clustering: u32(b[hdrCluster:]),
		FileName: winfs.DecodeUTF16LE(name[:n]),
		RmID:     guid(hdrRmID), LogID: guid(hdrLogID), TmID: guid(hdrTmID),
		Flags: u32(b[hdrFlags:]), Rmtm: string(b[hdrRmtm:hdrRmtm+4]) == "rmtm",
		Reorganized: winfs.Filetime(u64(b[hdrReorganise:])),
		OfRg:        string(b[hdrOfRg:hdrOfRg+4]) == "OfRg" || string(b[hdrReorganise:hdrReorganise+4]) == "OfRg",
		Checksum:    u32(b[hdrChecksum:]),
	}
	if len(b) >= hdrSerialised+8 {
		h.Serialized = winfs.Filetime(u64(b[hdrSerialised:]))
	}
	h.ChecksumOK = h.Checksum == HeaderChecksum(b)
	return h, nil
}

// Dirty reports whether the sequence numbers or the checksum indicate an unfinished write.
func (h *Header) Dirty() bool { return h.Primary != h.Secondary || !h.ChecksumOK }

// HeaderChecksum computes the checksum of a base block: the exclusive or of its first 127
// words, with the two results that could be mistaken for "none" replaced. b holds at least
// 508 bytes.
func HeaderChecksum(b []byte) uint32 {
	var x uint32
	for i := 0; i < hdrChecksum; i += 4 {
		x ^= u32(b[i:])
	}
	switch x {
	case 0xFFFFFFFF:
		return 0xFFFFFFFE
	case 0:
		return 1
	}
	return x
}
