package regtext

// Encoding is the character encoding of a .reg file.
type Encoding uint8

const (
	// UTF16 is little-endian UTF-16 with a byte order mark, as Windows writes version 5.
	UTF16 Encoding = iota
	// UTF8 is UTF-8 without a byte order mark. Lone surrogates are written in the
	// three-byte form of [winfs] names (WTF-8).
	UTF8
	// ANSI is Windows-1252, the only encoding of REGEDIT4. The five bytes that the code
	// page leaves undefined are the control characters of the same number, as Windows maps
	// them.
	ANSI
)

// cp1252 holds the characters of the bytes 0x80 to 0x9F; every other byte is the character
// of the same number.
var cp1252 = [32]uint16{
	0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
	0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
}

// ansiUnit returns the UTF-16 unit of a byte of Windows-1252.
func ansiUnit(b byte) uint16 {
	if b >= 0x80 && b < 0xA0 {
		return cp1252[b-0x80]
	}
	return uint16(b)
}

// ansiByte is the inverse; every byte has one character, so nothing is lost.
func ansiByte(u uint16) (byte, bool) {
	if u < 0x80 || u >= 0xA0 && u < 0x100 {
		return byte(u), true
	}
	for i, c := range cp1252 {
		if c == u {
			return byte(0x80 + i), true
		}
	}
	return 0, false
}

// ansiToUTF16LE converts the text bytes of REGEDIT4.
func ansiToUTF16LE(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		u := ansiUnit(c)
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// utf16LEToANSI is the inverse; it returns false if a unit has no byte or a byte is left
// over.
func utf16LEToANSI(dst, b []byte) ([]byte, bool) {
	if len(b)%2 != 0 {
		return dst, false
	}
	for i := 0; i < len(b); i += 2 {
		c, ok := ansiByte(uint16(b[i]) | uint16(b[i+1])<<8)
		if !ok {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, true
}

// The types with special treatment in the format.
const (
	regSZ       = 1
	regExpandSZ = 2
	regBinary   = 3
	regDword    = 4
	regMultiSZ  = 7
)

// textType reports whether REGEDIT4 stores data of a type in the code page.
func textType(t uint32) bool { return t == regSZ || t == regExpandSZ || t == regMultiSZ }
