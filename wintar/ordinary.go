package wintar

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"strings"
	"time"
)

// Nearly all headers of a layer have one form: a block with typeflag x, its records, and a
// block of a directory, file or link, all of them as POSIX defines them. This file reads
// that form and no other. It reports no errors: a header that is not plainly in order is
// left to archive/tar, which decides what a tar is. So this code only affects speed; tests
// and a fuzz target verify that archive/tar agrees with every header that it accepts.

// verdict is the result of examining a header.
type verdict uint8

const (
	notOrdinary verdict = iota
	ordinary
	needMore // bytes
)

const (
	// recordsMax is the maximum number of bytes of records read here. Descriptors, even
	// long ones, are far smaller.
	recordsMax = 32 << 10
	// recordsMost is the maximum number of records of an ordinary header, because each is
	// compared with those before it.
	recordsMost = 64
	// digitsMax keeps numbers inside 63 bits.
	digitsMax = 18
)

// Layout of a block (POSIX.1-2017, pax, "ustar Interchange Format").
const (
	atName, lenName         = 0, 100
	atMode, lenMode         = 100, 8
	atUID, lenUID           = 108, 8
	atGID, lenGID           = 116, 8
	atSize, lenSize         = 124, 12
	atMtime, lenMtime       = 136, 12
	atSum, lenSum           = 148, 8
	atType                  = 156
	atLinkname, lenLinkname = 157, 100
	atMagic                 = 257
	atDevMajor, lenDev      = 329, 8
	atDevMinor              = 337
	atPrefix, lenPrefix     = 345, 155
	atTrailer               = 508 // "tar\0" marks another format there
)

// ordinary reads the header at the start of b, with the records before it, and returns the
// number of bytes read. With needMore it returns the number of bytes that it needs; with
// notOrdinary, h is not valid.
func (h *header) ordinary(b []byte) (int, verdict) {
	if len(b) < blockSize {
		return blockSize, needMore
	}
	*h = header{records: h.records[:0]}
	n := 0
	if b[atType] == tar.TypeXHeader {
		x, ok := readBlock(b)
		if !ok || x.size > recordsMax {
			return 0, notOrdinary
		}
		n = blockSize + int(x.size+padding(x.size))
		if len(b) < n+blockSize {
			return n + blockSize, needMore
		}
		if !h.readRecords(b[blockSize:][:x.size]) {
			return 0, notOrdinary
		}
	}
	b = b[n:]
	switch h.typeflag = b[atType]; h.typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
	default:
		return 0, notOrdinary
	}
	f, ok := readBlock(b)
	if !ok {
		return 0, notOrdinary
	}
	h.mode, h.announced, h.mtime = f.mode, f.size, time.Unix(f.mtime, 0)
	for i := range h.records {
		if !h.merge(&h.records[i]) {
			return 0, notOrdinary
		}
	}
	if h.name == "" {
		var buf [lenPrefix + 1 + lenName]byte
		name := append(buf[:0], text(b[atPrefix:][:lenPrefix])...)
		if len(name) > 0 {
			name = append(name, '/')
		}
		h.name = string(append(name, text(b[atName:][:lenName])...))
	}
	if h.linkname == "" {
		h.linkname = string(text(b[atLinkname:][:lenLinkname]))
	}
	if !headerOnly(h.typeflag) {
		h.size = h.announced
	}
	return n + blockSize, ordinary
}

// padding returns the number of bytes from the end of n bytes of data to the next block.
func padding(n int64) int64 { return -n & (blockSize - 1) }

// text returns a field up to its first NUL.
func text(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

type blockNumbers struct{ size, mode, mtime int64 }

// readBlock checks a header block and reads its numbers.
func readBlock(b []byte) (n blockNumbers, ok bool) {
	b = b[:blockSize]
	if string(b[atMagic:][:6]) != "ustar\x00" || string(b[atTrailer:][:4]) == "tar\x00" {
		return n, false
	}
	sum, ok := octal(b[atSum:][:lenSum])
	if !ok || sum != checksum(b) {
		return n, false
	}
	var okSize, okMode, okTime bool
	n.size, okSize = octal(b[atSize:][:lenSize])
	n.mode, okMode = octal(b[atMode:][:lenMode])
	n.mtime, okTime = octal(b[atMtime:][:lenMtime])
	// The other numbers mean nothing here, but archive/tar refuses bad ones.
	_, okUID := octal(b[atUID:][:lenUID])
	_, okGID := octal(b[atGID:][:lenGID])
	_, okMajor := octal(b[atDevMajor:][:lenDev])
	_, okMinor := octal(b[atDevMinor:][:lenDev])
	return n, okSize && okMode && okTime && okUID && okGID && okMajor && okMinor
}

// octal reads digits, perhaps none; NULs and spaces must fill the rest of the field.
func octal(b []byte) (n int64, ok bool) {
	i := 0
	for ; i < len(b) && b[i]&^7 == '0'; i++ {
		n = n<<3 | int64(b[i]&7)
	}
	for ; i < len(b); i++ {
		if b[i] != 0 && b[i] != ' ' {
			return 0, false
		}
	}
	return n, true
}

// checksum adds the bytes of a block, with spaces in place of the sum itself: eight bytes
// at a time, in four lanes of 16 bits, which 128 times 255 do not fill.
func checksum(b []byte) int64 {
	const lanes = 0x00FF00FF00FF00FF
	var sum uint64
	for i := 0; i+8 <= blockSize; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		sum += w&lanes + w>>8&lanes
	}
	total := int64(sum&0xFFFF + sum>>16&0xFFFF + sum>>32&0xFFFF + sum>>48)
	for _, c := range b[atSum:][:lenSum] {
		total += ' ' - int64(c)
	}
	return total
}

// readRecords splits the records of a header. It returns false if one is not ordinary. Most
// records are equal to those of the previous header, whose strings are then reused.
func (h *header) readRecords(s []byte) bool {
	for len(s) > 0 {
		n, digits := 0, 0
		for digits < len(s) && digits < 6 && s[digits] >= '0' && s[digits] <= '9' {
			n = n*10 + int(s[digits]-'0')
			digits++
		}
		// A length, a space, a key, an equals sign and the end of the line.
		if digits == 0 || digits == len(s) || s[digits] != ' ' || n > len(s) || n < digits+4 || n < 5 || s[n-1] != '\n' {
			return false
		}
		key, value, ok := bytes.Cut(s[digits+1:n-1], []byte("="))
		if !ok || len(key) == 0 || len(h.records) == recordsMost {
			return false
		}
		var r record
		if i := len(h.records); i < cap(h.records) {
			r = h.records[:i+1][i]
		}
		if r.key != string(key) {
			r.key = string(key)
		}
		if r.value != string(value) {
			r.value = string(value)
		}
		if h.records.has(r.key) {
			return false
		}
		h.records = append(h.records, r)
		s = s[n:]
	}
	return true
}

// merge replaces a field of the block by a record.
func (h *header) merge(r *record) bool {
	switch r.key {
	case "path", "linkpath", "uname", "gname":
		if strings.IndexByte(r.value, 0) >= 0 {
			return false
		}
		switch r.key {
		case "path":
			h.name = r.value
		case "linkpath":
			h.linkname = r.value
		}
	case "uid", "gid":
		_, ok := decimal(r.value)
		return ok || r.value == ""
	case "size":
		if r.value == "" {
			break
		}
		n, ok := decimal(r.value)
		h.announced = n
		return ok
	case recMtime, recAtime, recCtime:
		return r.value == "" || plainTime(r.value)
	default:
		return strings.IndexByte(r.key, 0) < 0 && !strings.HasPrefix(r.key, recGNUSparse)
	}
	return true
}

// decimal parses a number of digits only.
func decimal(s string) (n int64, ok bool) {
	if s == "" || len(s) > digitsMax {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// plainTime reports whether a time is digits, perhaps with a dot and further
// digits.
func plainTime(s string) bool {
	dot := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
		case c == '.' && dot == len(s):
			dot = i
		default:
			return false
		}
	}
	return dot > 0 && dot <= digitsMax
}
