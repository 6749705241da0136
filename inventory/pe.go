package inventory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// The fields of a PE file that are read here are described in Microsoft's "PE Format", those of
// the version resource under VS_VERSIONINFO.

// Limits of a PE file. Those of the resource follow from its lengths of 16 bits.
const (
	maxVersionResource = 1<<16 - 1
	maxVersionText     = 512     // bytes of UTF-8 that are kept of a text
	maxCertificates    = 8 << 20 // bytes of a certificate table
	peHead             = 4096    // bytes that are read at once, mostly all headers
	hashBuffer         = 64 << 10
)

// errNoPE means that a file is no PE file: a text, or a program of DOS or of 16-bit Windows.
var errNoPE = errors.New("no PE file")

// peError is a fault of a PE file.
type peError struct {
	part   string // "section table"
	offset int64  // in the file; -1 if the fault has none
	err    error
}

func (e *peError) Error() string {
	if e.offset < 0 {
		return fmt.Sprintf("%s: %v", e.part, e.err)
	}
	return fmt.Sprintf("%s at offset %#x: %v", e.part, e.offset, e.err)
}

func (e *peError) Unwrap() error { return e.err }

var (
	errBeyondFile = errors.New("reaches beyond the end of the file")
	errTooLarge   = errors.New("is too large")
	errUnmapped   = errors.New("is in no section")
)

// peFile is an open PE file with its headers read.
type peFile struct {
	r    io.ReaderAt
	size int64
	head []byte // the first bytes
	buf  []byte // for authenticode, which makes one if it is nil

	machine    uint16
	headers    uint32 // bytes that are mapped at address 0
	checksumAt int64  // offset of the checksum, which Authenticode leaves out
	dirsAt     int64  // offset of the table of data directories
	dirs       []peDirectory
	sections   []peSection
}

// peDirectory is an entry of the table of data directories. Of the certificate table the
// address is an offset in the file.
type peDirectory struct{ addr, size uint32 }

// peSection is a section. Addresses are relative to that of the image.
type peSection struct{ addr, virtual, offset, raw uint32 }

// Indexes of data directories.
const (
	resourceDir    = 2
	certificateDir = 4
	managedDir     = 14
)

// openPE reads the headers of a PE file of size bytes. The error is errNoPE if the file does
// not begin as one, else a *peError or that of r.
func openPE(r io.ReaderAt, size int64) (*peFile, error) {
	p := &peFile{r: r, size: size}
	if size < 64 {
		return nil, errNoPE
	}
	var err error
	if p.head, err = p.read("header", 0, min(size, peHead)); err != nil {
		return nil, err
	}
	at := int64(binary.LittleEndian.Uint32(p.head[60:]))
	if string(p.head[:2]) != "MZ" || at > size-4 {
		return nil, errNoPE
	}
	b, err := p.read("header", at, 4)
	if err != nil {
		return nil, err
	}
	if string(b) != "PE\x00\x00" {
		return nil, errNoPE
	}
	if b, err = p.read("file header", at+4, 20); err != nil {
		return nil, err
	}
	p.machine = binary.LittleEndian.Uint16(b)
	sections, optional := int64(binary.LittleEndian.Uint16(b[2:])), int64(binary.LittleEndian.Uint16(b[16:]))
	at += 24
	if err := p.readOptional(at); err != nil {
		return nil, err
	}
	if b, err = p.read("section table", at+optional, sections*40); err != nil {
		return nil, err
	}
	for s := range slices.Chunk(b, 40) {
		p.sections = append(p.sections, peSection{
			virtual: binary.LittleEndian.Uint32(s[8:]), addr: binary.LittleEndian.Uint32(s[12:]),
			raw: binary.LittleEndian.Uint32(s[16:]), offset: binary.LittleEndian.Uint32(s[20:]),
		})
	}
	return p, nil
}

// readOptional reads the optional header.
func (p *peFile) readOptional(at int64) error {
	b, err := p.read("optional header", at, 96)
	if err != nil {
		return err
	}
	count := int64(92)
	switch magic := binary.LittleEndian.Uint16(b); magic {
	case 0x10b:
	case 0x20b:
		count = 108
	default:
		return &peError{"optional header", at, fmt.Errorf("has the unknown magic number %#x", magic)}
	}
	p.headers = binary.LittleEndian.Uint32(b[60:])
	p.checksumAt = at + 64
	p.dirsAt = at + count + 4
	if b, err = p.read("optional header", at+count, 4); err != nil {
		return err
	}
	n := int64(min(binary.LittleEndian.Uint32(b), 16))
	if b, err = p.read("data directories", p.dirsAt, n*8); err != nil {
		return err
	}
	for d := range slices.Chunk(b, 8) {
		p.dirs = append(p.dirs, peDirectory{binary.LittleEndian.Uint32(d), binary.LittleEndian.Uint32(d[4:])})
	}
	return nil
}

// dir returns a data directory, the zero value if the file lacks it.
func (p *peFile) dir(i int) peDirectory {
	if i >= len(p.dirs) {
		return peDirectory{}
	}
	return p.dirs[i]
}

// read returns n bytes at an offset. Nothing is allocated for bytes that the file lacks.
func (p *peFile) read(part string, off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > p.size || n > p.size-off {
		return nil, &peError{part, off, errBeyondFile}
	}
	if off+n <= int64(len(p.head)) {
		return p.head[off : off+n], nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(p.r, off, n), b); err != nil {
		return nil, &peError{part, off, err}
	}
	return b, nil
}

// readAddr returns n bytes at an address. The first section that has it counts, as sections
// of a file that Windows loads don't overlap.
func (p *peFile) readAddr(part string, addr, n uint64) ([]byte, error) {
	if addr+n <= uint64(p.headers) {
		return p.read(part, int64(addr), int64(n))
	}
	for _, s := range p.sections {
		start := uint64(s.addr)
		if addr >= start && addr < start+uint64(max(s.virtual, s.raw)) {
			if addr-start+n > uint64(s.raw) {
				return nil, &peError{part, -1, fmt.Errorf("address %#x reaches beyond its section", addr)}
			}
			return p.read(part, int64(uint64(s.offset)+addr-start), int64(n))
		}
	}
	return nil, &peError{part, -1, fmt.Errorf("address %#x %w", addr, errUnmapped)}
}

// architecture is the architecture that the file is for, "" if it is any or has no name in
// Go: then property is the number of the machine, or says that the program is managed.
func (p *peFile) architecture() (arch, property string) {
	switch p.machine {
	case 0x14c:
		if p.anyCPU() {
			return "", "any"
		}
		return "386", ""
	case 0x8664:
		return "amd64", ""
	case 0xaa64:
		return "arm64", ""
	case 0x1c0, 0x1c2, 0x1c4:
		return "arm", ""
	}
	return "", fmt.Sprintf("0x%04x", p.machine)
}

// anyCPU reports whether a file for the 386 has managed code alone, and runs on each
// architecture that .NET does (ECMA-335, II.25.3.3.1, "Runtime flags").
func (p *peFile) anyCPU() bool {
	d := p.dir(managedDir)
	if d.size < 20 {
		return false
	}
	b, err := p.readAddr("CLI header", uint64(d.addr), 20)
	if err != nil {
		return false
	}
	const ilOnly, only32 = 1, 2
	return binary.LittleEndian.Uint32(b[16:])&(ilOnly|only32) == ilOnly
}

// versionType is the number of version resources (RT_VERSION).
const versionType = 16

// resource returns the first resource of a type, nil if there is none. The directory has
// three levels, for type, name and language, so that it is not walked in circles.
func (p *peFile) resource(typ uint32) ([]byte, error) {
	const part = "resource directory"
	d := p.dir(resourceDir)
	if d.addr == 0 || d.size == 0 {
		return nil, nil
	}
	base, at := uint64(d.addr), uint64(0)
	for level := range 3 {
		b, err := p.readAddr(part, base+at, 16)
		if err != nil {
			return nil, err
		}
		n := uint64(binary.LittleEndian.Uint16(b[12:])) + uint64(binary.LittleEndian.Uint16(b[14:]))
		if level > 0 {
			n = min(n, 1)
		}
		if b, err = p.readAddr(part, base+at+16, n*8); err != nil {
			return nil, err
		}
		found := false
		for e := range slices.Chunk(b, 8) {
			id, to := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
			if level == 0 && id != typ {
				continue
			}
			if isDir := to>>31 == 1; isDir != (level < 2) {
				return nil, &peError{part, -1, fmt.Errorf("the entry at address %#x has the wrong level", base+at)}
			}
			at, found = uint64(to&^(1<<31)), true
			break
		}
		if !found {
			return nil, nil
		}
	}
	b, err := p.readAddr(part, base+at, 16)
	if err != nil {
		return nil, err
	}
	addr, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if size > maxVersionResource {
		return nil, &peError{"resource", -1, fmt.Errorf("has %d bytes: %w", size, errTooLarge)}
	}
	return p.readAddr("resource", uint64(addr), uint64(size))
}

// peVersion is what a version resource says. A text is "" if it is missing.
type peVersion struct {
	file, product string // numbers, "10.0.20348.2700"
	language      uint16 // of the texts, a LANGID; 0 for none
	texts         map[string]string
}

// fileVersion is the version of the file: its number, or what the text says if there is no
// number.
func (v *peVersion) fileVersion() string {
	if v.file != "" {
		return v.file
	}
	return v.texts["FileVersion"]
}

// productVersion is the version of the product.
func (v *peVersion) productVersion() string {
	if v.product != "" {
		return v.product
	}
	return v.texts["ProductVersion"]
}

// version reads the version resource. What could be read is returned with an error too.
func (p *peFile) version() (peVersion, error) {
	b, err := p.resource(versionType)
	if b == nil || err != nil {
		return peVersion{}, err
	}
	v, err := parseVersion(b)
	if err != nil {
		err = &peError{"version resource", -1, err}
	}
	return v, err
}

// versionNode is a node of a version resource: offsets in it.
type versionNode struct {
	at, end int
	key     string
	value   int // where the value begins
	length  int // of the value, in the unit that the node has
}

// nodeAt reads the node at an offset, which is a multiple of 4 and below end. A node of no
// length ends a list.
func nodeAt(b []byte, at, end int) (n versionNode, ok bool, err error) {
	if end-at < 6 {
		return n, false, nil
	}
	length := int(binary.LittleEndian.Uint16(b[at:]))
	if length == 0 {
		return n, false, nil
	}
	if length < 6 || length > end-at {
		return n, false, fmt.Errorf("the node at %#x has %d bytes, of %d that are left", at, length, end-at)
	}
	n = versionNode{at: at, end: at + length, length: int(binary.LittleEndian.Uint16(b[at+2:]))}
	key, next, ok := text16(b[at+6 : n.end])
	if !ok {
		return n, false, fmt.Errorf("the name of the node at %#x has no end", at)
	}
	n.key = key
	n.value = min(align4(at+6+next), n.end)
	return n, true, nil
}

func align4(n int) int { return (n + 3) &^ 3 }

// text16 returns the text in UTF-16 up to a NUL, and the offset after that. Without a NUL the
// text is all of b.
func text16(b []byte) (s string, next int, ended bool) {
	u := make([]uint16, 0, 32)
	for i := 0; i+1 < len(b); i += 2 {
		c := binary.LittleEndian.Uint16(b[i:])
		if c == 0 {
			return string(utf16.Decode(u)), i + 2, true
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u)), len(b), false
}

// versionTexts are the texts that are kept.
var versionTexts = []string{"CompanyName", "FileDescription", "FileVersion", "OriginalFilename", "ProductName", "ProductVersion"}

// parseVersion reads the content of a version resource. What comes before a fault is
// returned with the error.
func parseVersion(b []byte) (v peVersion, err error) {
	end := len(b)
	if end >= 2 {
		if n := int(binary.LittleEndian.Uint16(b)); n > end {
			return v, fmt.Errorf("it says %d bytes and has %d", n, end)
		}
	}
	root, ok, err := nodeAt(b, 0, end)
	if err != nil || !ok {
		return v, cmpError(err, "it is empty")
	}
	if root.key != "VS_VERSION_INFO" {
		return v, fmt.Errorf("its name is %.40q", root.key)
	}
	next := align4(root.value + root.length)
	if root.length >= 24 && root.value+24 <= root.end && binary.LittleEndian.Uint32(b[root.value:]) == 0xfeef04bd {
		fixed := b[root.value:]
		v.file, v.product = fourPart(fixed[8:16]), fourPart(fixed[16:24])
	}
	v.texts = map[string]string{}
	for next < root.end {
		n, ok, err := nodeAt(b, next, root.end)
		if err != nil || !ok {
			return v, err
		}
		if n.key == "StringFileInfo" {
			if err := v.table(b, n); err != nil {
				return v, err
			}
			return v, nil
		}
		next = align4(n.end)
	}
	return v, nil
}

func cmpError(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}

// table reads the first table of texts, whose name has the language and the code page, in
// four hexadecimal digits each.
func (v *peVersion) table(b []byte, info versionNode) error {
	t, ok, err := nodeAt(b, info.value, info.end)
	if err != nil || !ok {
		return err
	}
	if len(t.key) == 8 {
		if n, err := strconv.ParseUint(t.key[:4], 16, 16); err == nil {
			v.language = uint16(n)
		}
	}
	for next := t.value; next < t.end; {
		n, ok, err := nodeAt(b, next, t.end)
		if err != nil || !ok {
			return err
		}
		// Compilers disagree on the unit of the length, so the text ends at its NUL.
		if slices.Contains(versionTexts, n.key) && v.texts[n.key] == "" && n.length > 0 {
			s, _, _ := text16(b[n.value:n.end])
			v.texts[n.key] = cutText(s)
		}
		next = align4(n.end)
	}
	return nil
}

// cutText returns a text on one line, of maxVersionText bytes at most.
func cutText(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	s = strings.TrimSpace(s)
	if len(s) > maxVersionText {
		s = strings.ToValidUTF8(s[:maxVersionText], "")
	}
	return s
}

// fourPart formats the two words of a version, "" for 0.0.0.0.
func fourPart(b []byte) string {
	high, low := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if high == 0 && low == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", high>>16, high&0xffff, low>>16, low&0xffff)
}

// certificates returns the content of the certificate table, nil if there is none.
func (p *peFile) certificates() ([]byte, error) {
	d := p.dir(certificateDir)
	if d.addr == 0 || d.size == 0 {
		return nil, nil
	}
	if d.size > maxCertificates {
		return nil, &peError{"certificate table", int64(d.addr), fmt.Errorf("has %d bytes: %w", d.size, errTooLarge)}
	}
	return p.read("certificate table", int64(d.addr), int64(d.size))
}

// authenticode writes the parts of a file that Authenticode signs to hashes. They are all but
// the checksum, the entry of the certificate table, and that table, which is the end of the
// file ("Windows Authenticode Portable Executable Signature Format"). A file without the table
// is filled up to a multiple of 8 bytes, as it is when one is added.
func (p *peFile) authenticode(ctx context.Context, hashes ...hash.Hash) error {
	end, fill := p.size, -p.size&7
	if d := p.dir(certificateDir); d.addr != 0 && d.size != 0 {
		end, fill = min(int64(d.addr), p.size), 0
	}
	holes := [][2]int64{{p.checksumAt, p.checksumAt + 4}, {end, end}}
	if len(p.dirs) > certificateDir {
		at := p.dirsAt + 8*certificateDir
		holes = slices.Insert(holes, 1, [2]int64{at, at + 8})
	}
	if p.buf == nil {
		p.buf = make([]byte, hashBuffer)
	}
	at := int64(0)
	for _, hole := range holes {
		for stop := min(hole[0], end); at < stop; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := p.buf[:min(int64(len(p.buf)), stop-at)]
			if n, err := p.r.ReadAt(b, at); n < len(b) {
				return &peError{"content", at, cmpError(err, "is cut off")}
			}
			for _, h := range hashes {
				h.Write(b)
			}
			at += int64(len(b))
		}
		at = hole[1]
	}
	for _, h := range hashes {
		h.Write(bytes.Repeat([]byte{0}, int(fill)))
	}
	return nil
}
