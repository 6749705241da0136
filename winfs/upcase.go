package winfs

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// upcaseRanges lists the 973 units that the table changes, as start-end/step+delta,
// start+delta, in hexadecimal with a decimal delta that is added modulo 65536. They are
// the NTFS $UpCase table of Windows Vista and later, which follows from Unicode data: a
// unit maps to its simple upper case exactly when both were assigned by Unicode 5.1 and
// the upper case maps back (docs/spec/cimfs.md, "Upcase table"). TestUpcaseTableDigest
// pins the result to the SHA-256 of the table in genuine images.
const upcaseRanges = `
0061-007a/1-32 00e0-00f6/1-32 00f8-00fe/1-32 00ff+121 0101-012f/2-1 0133-0137/2-1 013a-0148/2-1 014b-0177/2-1 017a-017e/2-1 0180+195 0183-0185/2-1
0188-1 018c-1 0192-1 0195+97 0199-1 019a+163 019e+130 01a1-01a5/2-1 01a8-1 01ad-1 01b0-1 01b4-01b6/2-1 01b9-1 01bd-1 01bf+56 01c6-2 01c9-2 01cc-2
01ce-01dc/2-1 01dd-79 01df-01ef/2-1 01f3-2 01f5-1 01f9-021f/2-1 0223-0233/2-1 023c-1 0242-1 0247-024f/2-1 0250+10783 0251+10780 0253-210 0254-206
0256-0257/1-205 0259-202 025b-203 0260-205 0263-207 0268-209 0269-211 026b+10743 026f-211 0271+10749 0272-213 0275-214 027d+10727 0280-218 0283-218
0288-218 0289-69 028a-028b/1-217 028c-71 0292-219 0371-0373/2-1 0377-1 037b-037d/1+130 03ac-38 03ad-03af/1-37 03b1-03c1/1-32 03c3-03cb/1-32 03cc-64
03cd-03ce/1-63 03d7-8 03d9-03ef/2-1 03f2+7 03f8-1 03fb-1 0430-044f/1-32 0450-045f/1-80 0461-0481/2-1 048b-04bf/2-1 04c2-04ce/2-1 04cf-15
04d1-0523/2-1 0561-0586/1-48 1d79+35332 1d7d+3814 1e01-1e95/2-1 1ea1-1eff/2-1 1f00-1f07/1+8 1f10-1f15/1+8 1f20-1f27/1+8 1f30-1f37/1+8 1f40-1f45/1+8
1f51-1f57/2+8 1f60-1f67/1+8 1f70-1f71/1+74 1f72-1f75/1+86 1f76-1f77/1+100 1f78-1f79/1+128 1f7a-1f7b/1+112 1f7c-1f7d/1+126 1f80-1f87/1+8 1f90-1f97/1+8
1fa0-1fa7/1+8 1fb0-1fb1/1+8 1fb3+9 1fc3+9 1fd0-1fd1/1+8 1fe0-1fe1/1+8 1fe5+7 1ff3+9 214e-28 2170-217f/1-16 2184-1 24d0-24e9/1-26 2c30-2c5e/1-48
2c61-1 2c65-10795 2c66-10792 2c68-2c6c/2-1 2c73-1 2c76-1 2c81-2ce3/2-1 2d00-2d25/1-7264 a641-a65f/2-1 a663-a66d/2-1 a681-a697/2-1 a723-a72f/2-1
a733-a76f/2-1 a77a-a77c/2-1 a77f-a787/2-1 a78c-1 ff41-ff5a/1-32
`

// UpcaseTableSize is the length in bytes of the table on disk.
const UpcaseTableSize = 65536 * 2

var upcaseTable = buildUpcase(upcaseRanges)

func buildUpcase(ranges string) *[65536]uint16 {
	t := new([65536]uint16)
	for i := range t {
		t[i] = uint16(i)
	}
	number := func(s string, base int) int {
		n, err := strconv.ParseInt(s, base, 32)
		if err != nil {
			panic("winfs: bad upcase range " + s)
		}
		return int(n)
	}
	for _, f := range strings.Fields(ranges) {
		start := number(f[:4], 16)
		end, step := start, 1
		rest := f[4:]
		if span, ok := strings.CutPrefix(rest, "-"); ok && len(span) > 5 && span[4] == '/' {
			end, step = number(span[:4], 16), number(span[5:6], 10)
			rest = span[6:]
		}
		delta := number(rest, 10)
		for u := start; u <= end; u += step {
			t[u] = uint16(u + delta)
		}
	}
	return t
}

// Upcase maps one UTF-16 unit to upper case by the NTFS table. Units that are
// half of a surrogate pair map to themselves.
func Upcase(u uint16) uint16 { return upcaseTable[u] }

// AppendUpcaseTable appends the whole table in its form on disk, 65,536 little-endian
// units, to dst.
func AppendUpcaseTable(dst []byte) []byte {
	for _, u := range upcaseTable {
		dst = append(dst, byte(u), byte(u>>8))
	}
	return dst
}

// CompareFold compares two WTF-8 names in the order of NTFS, CimFS and the registry: unit
// by unit, each mapped through [Upcase], as numbers; a prefix sorts before the longer name.
// It returns -1, 0 or +1.
func CompareFold(a, b string) int {
	// ASCII needs no decoding; the loop ends at the first other byte.
	i := 0
	for i < len(a) && i < len(b) && a[i] < 0x80 && b[i] < 0x80 {
		x, y := upcaseTable[a[i]], upcaseTable[b[i]]
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
		i++
	}
	return compareUnits(a[i:], b[i:])
}

func compareUnits(a, b string) int {
	ra, rb := unitReader{s: a}, unitReader{s: b}
	for {
		x, okA := ra.next()
		y, okB := rb.next()
		switch {
		case !okA && !okB:
			return 0
		case !okA:
			return -1
		case !okB:
			return 1
		}
		if x, y = upcaseTable[x], upcaseTable[y]; x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
}

// EqualFold reports whether Windows treats two WTF-8 names as the same name.
func EqualFold(a, b string) bool { return CompareFold(a, b) == 0 }

// Fold returns the upper-cased form of a WTF-8 name or path: two names are [EqualFold]
// exactly when their folded forms are equal, so the result can be a map key. A name that is
// already in that form is returned unchanged.
func Fold(s string) string {
	i := 0
	for i+8 <= len(s) {
		w := word(s[i:])
		if w&wordHighs != 0 || lowerCase(w) != 0 {
			break
		}
		i += 8
	}
	for i < len(s) && s[i] < 0x80 && (s[i] < 'a' || s[i] > 'z') {
		i++
	}
	if i == len(s) {
		return s
	}
	var buf [256]byte // so that most names need no other memory than the result
	return string(appendFold(append(buf[:0], s[:i]...), s[i:]))
}

// AppendFold appends the result of [Fold] to dst. The folded form of a path is that of its
// components, joined by backslashes.
func AppendFold(dst []byte, s string) []byte { return appendFold(dst, s) }

// appendFold maps eight bytes at a time while they are ASCII. TestFoldWords compares it with
// appendFoldUnits.
func appendFold(dst []byte, s string) []byte {
	i := 0
	for i+8 <= len(s) {
		w := word(s[i:])
		if w&wordHighs != 0 {
			break
		}
		dst = binary.LittleEndian.AppendUint64(dst, w^lowerCase(w)>>2)
		i += 8
	}
	for ; i < len(s) && s[i] < 0x80; i++ {
		dst = append(dst, byte(upcaseTable[s[i]]))
	}
	if i == len(s) {
		return dst
	}
	return appendFoldUnits(dst, s[i:])
}

// appendFoldUnits maps one unit at a time.
func appendFoldUnits(dst []byte, s string) []byte {
	r := unitReader{s: s}
	var high uint16
	for {
		u, ok := r.next()
		if !ok {
			return flushUnit(dst, high)
		}
		dst, high = appendUnit(dst, high, upcaseTable[u])
	}
}

// wordHighs has the high bit of each byte of a word, which no byte of ASCII has.
const wordHighs = 0x8080808080808080

// word returns the first eight bytes of s.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// lowerCase returns the high bit of each byte of a word of ASCII that is in a to z: adding
// 0x80 less a letter sets it in the bytes from that letter on.
func lowerCase(w uint64) uint64 {
	const each = 0x0101010101010101
	return (w + (0x80-'a')*each) &^ (w + (0x80-'z'-1)*each) & wordHighs
}
