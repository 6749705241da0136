package regf

import "encoding/binary"

// Sizes of the format: docs/spec/registry.md.
const (
	baseSize    = 4096       // base block
	pageSize    = 4096       // bins are multiples of this
	binHeader   = 32         // hbin header
	nilCell     = 0xFFFFFFFF // no cell
	nkSize      = 76         // key node without its name
	vkSize      = 20         // value without its name
	skSize      = 20         // security cell without its descriptor
	segmentSize = 16344      // bytes of big data per segment
	inlineBit   = 0x80000000 // in a value's data size: the data is in the data field
	maxBins     = 0x7FFFF000 // 2 GiB of stable storage
)

// Offsets in the base block.
const (
	hdrPrimary    = 0x04
	hdrSecondary  = 0x08
	hdrTime       = 0x0C
	hdrMajor      = 0x14
	hdrMinor      = 0x18
	hdrType       = 0x1C
	hdrFormat     = 0x20
	hdrRoot       = 0x24
	hdrBins       = 0x28
	hdrCluster    = 0x2C
	hdrName       = 0x30 // 64 bytes
	hdrRmID       = 0x70
	hdrLogID      = 0x80
	hdrFlags      = 0x90
	hdrTmID       = 0x94
	hdrRmtm       = 0xA4
	hdrReorganise = 0xA8
	hdrOfRg       = 0xB0
	hdrChecksum   = 0x1FC
	hdrSerialised = 0x200
)

// Offsets in a key node, after its signature nk.
const (
	nkFlags       = 0x02
	nkTime        = 0x04
	nkAccess      = 0x0C
	nkLayer       = 0x0D
	nkParent      = 0x10
	nkSubkeys     = 0x14
	nkVolatile    = 0x18
	nkList        = 0x1C
	nkVolList     = 0x20
	nkValues      = 0x24
	nkValueList   = 0x28
	nkSecurity    = 0x2C
	nkClass       = 0x30
	nkMaxName     = 0x34
	nkVirtual     = 0x36 // low nibble user flags, high nibble virtualisation control
	nkDebug       = 0x37
	nkMaxClass    = 0x38
	nkMaxValName  = 0x3C
	nkMaxValData  = 0x40
	nkWorkVar     = 0x44
	nkNameLen     = 0x48
	nkClassLen    = 0x4A
	nkNameAt      = 0x4C
	flagNameLatin = 0x20
)

// Offsets in a value, after its signature vk.
const (
	vkNameLen   = 0x02
	vkDataSize  = 0x04
	vkData      = 0x08
	vkType      = 0x0C
	vkFlags     = 0x10
	vkNameAt    = 0x14
	vkLatin     = 0x01
	vkTombstone = 0x02
)

// Offsets in a security cell, after its signature sk.
const (
	skFlink = 0x04
	skBlink = 0x08
	skRefs  = 0x0C
	skLen   = 0x10
	skBytes = 0x14
)

// Signatures as little-endian words.
const (
	sigNK = 'n' | 'k'<<8
	sigVK = 'v' | 'k'<<8
	sigSK = 's' | 'k'<<8
	sigDB = 'd' | 'b'<<8
	sigLF = 'l' | 'f'<<8
	sigLH = 'l' | 'h'<<8
	sigLI = 'l' | 'i'<<8
	sigRI = 'r' | 'i'<<8
)

// Limits (docs/spec/registry.md, "Limits").
const (
	// MaxDepth is the number of levels that are followed, including the root. Windows stops
	// at 512.
	MaxDepth = 512
	// MaxKeyName is the longest name of a key, in UTF-16 units, that offreg accepts.
	MaxKeyName = 256
	// MaxValueName is the longest name of a value, in UTF-16 units.
	MaxValueName = 16383
	// MaxBigData is the largest value that 65,535 segments hold.
	MaxBigData = 65535 * segmentSize
	leafMax    = 507 // entries of a list leaf as offreg writes it
)

func u16(b []byte) uint16       { return binary.LittleEndian.Uint16(b) }
func u32(b []byte) uint32       { return binary.LittleEndian.Uint32(b) }
func u64(b []byte) uint64       { return binary.LittleEndian.Uint64(b) }
func put16(b []byte, v uint16)  { binary.LittleEndian.PutUint16(b, v) }
func put32(b []byte, v uint32)  { binary.LittleEndian.PutUint32(b, v) }
func put64(b []byte, v uint64)  { binary.LittleEndian.PutUint64(b, v) }
func round8(n uint32) uint32    { return (n + 7) &^ 7 }
func roundPage(n uint32) uint32 { return (n + pageSize - 1) &^ (pageSize - 1) }
