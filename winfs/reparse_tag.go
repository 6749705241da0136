package winfs

import "fmt"

// Reparse tags (MS-FSCC 2.1.2.1). Bit 31 is set in tags of Microsoft, bit 29 (name
// surrogate) in tags of objects that represent another file, bit 28 in tags that a
// directory may carry while it has children.
const (
	ReparseTagMountPoint   uint32 = 0xA0000003 // junction or mounted volume
	ReparseTagSymlink      uint32 = 0xA000000C
	ReparseTagDedup        uint32 = 0x80000013
	ReparseTagNFS          uint32 = 0x80000014
	ReparseTagWOF          uint32 = 0x80000017 // compressed by the Windows overlay filter
	ReparseTagWCI          uint32 = 0x80000018 // placeholder of the container isolation filter
	ReparseTagWCI1         uint32 = 0x90001018
	ReparseTagAppExecLink  uint32 = 0x8000001B
	ReparseTagLXSymlink    uint32 = 0xA000001D
	ReparseTagWCITombstone uint32 = 0xA000001F
	ReparseTagAFUnix       uint32 = 0x80000023
	ReparseTagLXFifo       uint32 = 0x80000024
	ReparseTagLXChr        uint32 = 0x80000025
	ReparseTagLXBlk        uint32 = 0x80000026
	ReparseTagWCILink      uint32 = 0xA0000027
	ReparseTagWCILink1     uint32 = 0xA0001027
)

var reparseTagNames = map[uint32]string{
	0x00000000:             "RESERVED_ZERO",
	0x00000001:             "RESERVED_ONE",
	0x00000002:             "RESERVED_TWO",
	ReparseTagMountPoint:   "MOUNT_POINT",
	0xC0000004:             "HSM",
	0x80000005:             "DRIVE_EXTENDER",
	0x80000006:             "HSM2",
	0x80000007:             "SIS",
	0x80000008:             "WIM",
	0x80000009:             "CSV",
	0x8000000A:             "DFS",
	0x8000000B:             "FILTER_MANAGER",
	ReparseTagSymlink:      "SYMLINK",
	0xA0000010:             "IIS_CACHE",
	0x80000012:             "DFSR",
	ReparseTagDedup:        "DEDUP",
	0xC0000014:             "APPXSTRM",
	ReparseTagNFS:          "NFS",
	0x80000015:             "FILE_PLACEHOLDER",
	0x80000016:             "DFM",
	ReparseTagWOF:          "WOF",
	ReparseTagWCI:          "WCI",
	ReparseTagWCI1:         "WCI_1",
	0xA0000019:             "GLOBAL_REPARSE",
	0x9000001A:             "CLOUD",
	ReparseTagAppExecLink:  "APPEXECLINK",
	0x9000001C:             "PROJFS",
	ReparseTagLXSymlink:    "LX_SYMLINK",
	0x8000001E:             "STORAGE_SYNC",
	0x90000027:             "STORAGE_SYNC_FOLDER",
	ReparseTagWCITombstone: "WCI_TOMBSTONE",
	0x80000020:             "UNHANDLED",
	0x80000021:             "ONEDRIVE",
	0xA0000022:             "PROJFS_TOMBSTONE",
	ReparseTagAFUnix:       "AF_UNIX",
	ReparseTagLXFifo:       "LX_FIFO",
	ReparseTagLXChr:        "LX_CHR",
	ReparseTagLXBlk:        "LX_BLK",
	ReparseTagWCILink:      "WCI_LINK",
	ReparseTagWCILink1:     "WCI_LINK_1",
}

// ReparseTagName returns the name of a tag without its IO_REPARSE_TAG_ prefix, or
// the number in hexadecimal.
func ReparseTagName(tag uint32) string {
	if n, ok := reparseTagNames[tag]; ok {
		return n
	}
	// The cloud files filter owns fifteen further tags that differ in one digit.
	if tag&0xFFFF0FFF == 0x9000001A {
		return fmt.Sprintf("CLOUD_%X", tag>>12&0xF)
	}
	return fmt.Sprintf("0x%08X", tag)
}

// IsMicrosoftTag reports whether the buffer of a tag has the 8-byte header;
// buffers with other tags carry their owner's GUID in a header of 24 bytes.
func IsMicrosoftTag(tag uint32) bool { return tag&0x80000000 != 0 }

// IsNameSurrogate reports whether an object with the tag represents another named object,
// as links and mount points do.
func IsNameSurrogate(tag uint32) bool { return tag&0x20000000 != 0 }
