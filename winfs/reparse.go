package winfs

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// MaxReparseSize is MAXIMUM_REPARSE_DATA_BUFFER_SIZE: the largest buffer, header
// included, that a file system stores with a file (MS-FSCC 2.1.2).
const MaxReparseSize = 16 * 1024

// ReparsePoint is a decoded reparse buffer: the buffer of a file or directory that a filter
// driver or, for links, the object manager handles in its own way.
type ReparsePoint struct {
	Tag      uint32
	Reserved uint16 // the reserved word of the header, zero in genuine buffers

	// Substitute, Print and Relative are set for symbolic links and mount points: the NT
	// path that the system follows, the text that it shows, and whether Substitute is
	// relative to the directory of the link (symbolic links only).
	Substitute, Print string
	Relative          bool

	// GUID is the owner of a tag that is not Microsoft's; otherwise it is zero.
	GUID GUID

	// Data is everything after the header. For symbolic links and mount points it is for
	// information only; Bytes builds it from the names.
	Data []byte
}

// Layout of REPARSE_DATA_BUFFER and REPARSE_GUID_DATA_BUFFER (MS-FSCC 2.1.2.2 to
// 2.1.2.5). The name offsets count from the start of the path buffer.
const (
	reparseTagAt      = 0x00 // u32
	reparseLength     = 0x04 // u16 bytes after the header
	reparseReserved   = 0x06 // u16
	reparseHeader     = 0x08
	reparseGUIDHeader = 0x18 // with the owner's GUID at 0x08

	linkSubstituteOff = 0x00 // u16, these within Data
	linkSubstituteLen = 0x02 // u16
	linkPrintOff      = 0x04 // u16
	linkPrintLen      = 0x06 // u16
	mountPointPath    = 0x08
	symlinkFlags      = 0x08 // u32, 1 is relative
	symlinkPath       = 0x0C

	symlinkRelative = 1
)

const opParseReparse = "parse reparse point"

func badReparse(at int, format string, args ...any) error {
	return &FormatError{opParseReparse, at, fmt.Sprintf(format, args...), ErrBadReparse}
}

// CheckReparse reports whether a reparse buffer can be stored unchanged: it has a complete
// header with the length of the buffer, and at most MaxReparseSize bytes. The bytes after
// the header belong to the owner of the tag and are not examined; [ParseReparse] does so
// for links.
func CheckReparse(b []byte) error {
	_, err := reparseHeaderOf(b)
	return err
}

// reparseHeaderOf decodes a buffer except for the data of links.
func reparseHeaderOf(b []byte) (*ReparsePoint, error) {
	if len(b) < reparseHeader {
		return nil, badReparse(0, "%d bytes are less than a header", len(b))
	}
	if len(b) > MaxReparseSize {
		return nil, &FormatError{opParseReparse, 0, fmt.Sprintf("%d bytes", len(b)), ErrReparseTooLarge}
	}
	p := &ReparsePoint{
		Tag:      binary.LittleEndian.Uint32(b[reparseTagAt:]),
		Reserved: binary.LittleEndian.Uint16(b[reparseReserved:]),
	}
	header := reparseHeader
	if !IsMicrosoftTag(p.Tag) {
		header = reparseGUIDHeader
		if len(b) < header {
			return nil, badReparse(reparseHeader, "tag %s has no GUID", ReparseTagName(p.Tag))
		}
		p.GUID = GUIDFromWindows([16]byte(b[reparseHeader:reparseGUIDHeader]))
	}
	p.Data = b[header:]
	if n := int(binary.LittleEndian.Uint16(b[reparseLength:])); n != len(p.Data) {
		return nil, badReparse(reparseLength, "header counts %d bytes, there are %d", n, len(p.Data))
	}
	return p, nil
}

// ParseReparse decodes a reparse buffer. Like the kernel it requires that the length in the
// header is that of the buffer. The names of links may be anywhere within the path buffer.
// Data aliases b.
func ParseReparse(b []byte) (*ReparsePoint, error) {
	p, err := reparseHeaderOf(b)
	if err != nil {
		return nil, err
	}
	header := len(b) - len(p.Data)
	pathAt := mountPointPath
	switch p.Tag {
	case ReparseTagMountPoint:
	case ReparseTagSymlink:
		pathAt = symlinkPath
	default:
		return p, nil
	}
	if len(p.Data) < pathAt {
		return nil, badReparse(header, "%d bytes of link data", len(p.Data))
	}
	if p.Tag == ReparseTagSymlink {
		p.Relative = binary.LittleEndian.Uint32(p.Data[symlinkFlags:])&symlinkRelative != 0
	}
	path := p.Data[pathAt:]
	for _, name := range []struct {
		field int
		dst   *string
	}{{linkSubstituteOff, &p.Substitute}, {linkPrintOff, &p.Print}} {
		off := int(binary.LittleEndian.Uint16(p.Data[name.field:]))
		n := int(binary.LittleEndian.Uint16(p.Data[name.field+2:]))
		if off%2 != 0 || n%2 != 0 || off+n > len(path) {
			return nil, badReparse(header+name.field, "name at %d of %d bytes in a path buffer of %d", off, n, len(path))
		}
		*name.dst = DecodeUTF16LE(path[off : off+n])
	}
	return p, nil
}

// Bytes returns the buffer. A symbolic link or mount point is built from Substitute, Print
// and Relative in the form that Windows writes: substitute name first, print name after it,
// each followed by a NUL that the lengths do not count. For all other tags the buffer is
// the header followed by Data.
func (p *ReparsePoint) Bytes() ([]byte, error) {
	const op = "encode reparse point"
	header, data := reparseHeader, p.Data
	switch {
	case p.Tag == ReparseTagSymlink || p.Tag == ReparseTagMountPoint:
		data = nil
		pathAt := mountPointPath
		if p.Tag == ReparseTagSymlink {
			pathAt = symlinkPath
		}
		if !ValidWTF8(p.Substitute) || !ValidWTF8(p.Print) {
			return nil, &FormatError{op, 0, "", ErrNotWTF8}
		}
		sub, print := 2*UTF16Len(p.Substitute), 2*UTF16Len(p.Print)
		size := pathAt + sub + 2 + print + 2
		if reparseHeader+size > MaxReparseSize {
			return nil, &FormatError{op, 0, fmt.Sprintf("%d bytes", reparseHeader+size), ErrReparseTooLarge}
		}
		data = make([]byte, pathAt, size)
		binary.LittleEndian.PutUint16(data[linkSubstituteLen:], uint16(sub))
		binary.LittleEndian.PutUint16(data[linkPrintOff:], uint16(sub+2))
		binary.LittleEndian.PutUint16(data[linkPrintLen:], uint16(print))
		if p.Tag == ReparseTagSymlink && p.Relative {
			binary.LittleEndian.PutUint32(data[symlinkFlags:], symlinkRelative)
		}
		data = append(AppendUTF16LE(data, p.Substitute), 0, 0)
		data = append(AppendUTF16LE(data, p.Print), 0, 0)
	case !IsMicrosoftTag(p.Tag):
		header = reparseGUIDHeader
	}
	if header+len(data) > MaxReparseSize {
		return nil, &FormatError{op, 0, fmt.Sprintf("%d bytes", header+len(data)), ErrReparseTooLarge}
	}
	b := make([]byte, header, header+len(data))
	binary.LittleEndian.PutUint32(b[reparseTagAt:], p.Tag)
	binary.LittleEndian.PutUint16(b[reparseLength:], uint16(len(data)))
	binary.LittleEndian.PutUint16(b[reparseReserved:], p.Reserved)
	if header == reparseGUIDHeader {
		g := p.GUID.Windows()
		copy(b[reparseHeader:], g[:])
	}
	return append(b, data...), nil
}

// Target returns the text of a link as people and tar archives see it: the print name or,
// where the creator left that empty, the substitute name in its Win32 spelling: without
// \??\ before a drive, \\server\share for \??\UNC\, and \\?\X for any other \??\X, such as
// a volume. It is empty for other tags.
func (p *ReparsePoint) Target() string {
	if p.Print != "" {
		return p.Print
	}
	return win32Path(p.Substitute)
}

const (
	ntPrefix    = `\??\`
	ntUNCPrefix = `\??\UNC\`
)

func win32Path(nt string) string {
	rest, ok := strings.CutPrefix(nt, ntPrefix)
	switch {
	case !ok:
		return nt
	case len(nt) > len(ntUNCPrefix) && asciiFold(nt[:len(ntUNCPrefix)], ntUNCPrefix):
		return `\\` + nt[len(ntUNCPrefix):]
	case hasDrive(rest):
		return rest
	}
	return `\\?\` + rest
}

// ntPath maps a Win32 target to the NT path that a reparse point holds, and reports whether
// that is relative to the link.
func ntPath(target string) (nt string, relative bool) {
	switch {
	case strings.HasPrefix(target, ntPrefix):
		return target, false
	case strings.HasPrefix(target, `\\?\`), strings.HasPrefix(target, `\\.\`):
		return ntPrefix + target[4:], false
	case strings.HasPrefix(target, `\\`):
		return ntUNCPrefix + target[2:], false
	case hasDrive(target):
		return ntPrefix + target, false
	}
	// A rooted \dir is relative too: to the volume of the link.
	return target, true
}

// CheckLinkTarget reports a target of a symbolic link or mount point (tag) that leads
// nowhere, although Windows stores such links: it is empty, holds a control character, is
// relative to the current directory of a drive (C:x), or, for a mount point, is relative at
// all. The error is a [FormatError] around [ErrLinkTarget].
func CheckLinkTarget(tag uint32, target string) error {
	const op = "check link target"
	t, err := linkTarget(op, target)
	if err != nil {
		return err
	}
	if _, relative := ntPath(t); relative && tag == ReparseTagMountPoint {
		return &FormatError{op, 0, quoteShort(target) + " is not absolute", ErrLinkTarget}
	}
	return nil
}

// EncodeLink returns the reparse buffer that Windows tools write for any link target in a
// tar archive: the rules of [EncodeSymlink] without its requirements on the target
// (docs/spec/layers.md, "Reparse points"). tag is ReparseTagSymlink or
// ReparseTagMountPoint. The error is a [FormatError] around [ErrLinkTarget] for text that
// is not UTF-8, or around [ErrReparseTooLarge].
func EncodeLink(tag uint32, target string) ([]byte, error) {
	if !ValidWTF8(target) {
		return nil, &FormatError{"encode link", 0, quoteShort(target) + " is not valid UTF-8", ErrLinkTarget}
	}
	t := strings.ReplaceAll(target, "/", `\`)
	nt, relative := ntPath(t)
	return (&ReparsePoint{Tag: tag, Substitute: nt, Print: t, Relative: relative && tag == ReparseTagSymlink}).Bytes()
}

// linkTarget normalises and checks the text of a target.
func linkTarget(op, target string) (string, error) {
	bad := func(at int, detail string) (string, error) {
		return "", &FormatError{op, at, quoteShort(target) + " " + detail, ErrLinkTarget}
	}
	if target == "" {
		return bad(0, "is empty")
	}
	if !ValidWTF8(target) {
		return bad(0, "is not valid UTF-8")
	}
	for i := range len(target) {
		if target[i] < 0x20 {
			return bad(i, "holds a control character")
		}
	}
	t := strings.ReplaceAll(target, "/", `\`)
	rest, _ := strings.CutPrefix(t, ntPrefix)
	if rest == t {
		rest, _ = strings.CutPrefix(t, `\\?\`)
	}
	if hasDrive(rest) && len(rest) > 2 && rest[2] != '\\' {
		// NT paths have no current directory of a drive: \??\C:x would name another object
		// than C:x.
		return bad(0, "is relative to the current directory of a drive")
	}
	return t, nil
}

// EncodeSymlink returns the reparse buffer of a symbolic link to a Win32 target:
// \\?\X and \\.\X become \??\X, \\server\share becomes \??\UNC\server\share, a path
// with a drive gets \??\ in front, and anything else is relative. The target is
// also the print name. Forward slashes become backslashes, because the object
// manager knows no others.
//
// The error is a [FormatError]: [ErrLinkTarget] for an empty target, control characters and
// drive-relative paths such as C:x, [ErrReparseTooLarge] for a buffer beyond
// [MaxReparseSize].
func EncodeSymlink(target string) ([]byte, error) {
	t, err := linkTarget("encode symlink", target)
	if err != nil {
		return nil, err
	}
	return EncodeLink(ReparseTagSymlink, t)
}

// EncodeMountPoint returns the reparse buffer of a junction or mounted volume. It
// follows the rules of [EncodeSymlink]; the target must be absolute, because a
// mount point has no relative form.
func EncodeMountPoint(target string) ([]byte, error) {
	const op = "encode mount point"
	t, err := linkTarget(op, target)
	if err != nil {
		return nil, err
	}
	if _, relative := ntPath(t); relative {
		return nil, &FormatError{op, 0, quoteShort(target) + " is not absolute", ErrLinkTarget}
	}
	return EncodeLink(ReparseTagMountPoint, t)
}
