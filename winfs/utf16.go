package winfs

import (
	"errors"
	"unicode/utf8"
)

// ErrNotWTF8 reports that a string is neither UTF-8 nor the WTF-8 form of lone surrogates,
// so that no sequence of UTF-16 units corresponds to it.
var ErrNotWTF8 = errors.New("name is not valid UTF-8")

const (
	surrogateMin  = 0xD800
	surrogateLow  = 0xDC00
	surrogateMax  = 0xDFFF
	supplementary = 0x10000
)

// unitReader yields the UTF-16 units of a WTF-8 string. A byte that is not WTF-8 is yielded
// as U+FFFD, as the range statement does; callers that must refuse such strings call
// ValidWTF8 first.
type unitReader struct {
	s       string
	pending uint16 // low surrogate still to be returned, or 0
}

func (r *unitReader) next() (uint16, bool) {
	if r.pending != 0 {
		u := r.pending
		r.pending = 0
		return u, true
	}
	if len(r.s) == 0 {
		return 0, false
	}
	c := r.s[0]
	if c < utf8.RuneSelf {
		r.s = r.s[1:]
		return uint16(c), true
	}
	if u, ok := surrogateAt(r.s); ok {
		r.s = r.s[3:]
		return u, true
	}
	ch, n := utf8.DecodeRuneInString(r.s)
	r.s = r.s[n:]
	if ch < supplementary {
		return uint16(ch), true
	}
	ch -= supplementary
	r.pending = uint16(surrogateLow + ch&0x3FF)
	return uint16(surrogateMin + ch>>10), true
}

// surrogateAt decodes the generalised three-byte form of a lone surrogate.
func surrogateAt(s string) (uint16, bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 || s[2] > 0xBF {
		return 0, false
	}
	return 0xD000 | uint16(s[1]&0x3F)<<6 | uint16(s[2]&0x3F), true
}

// appendUnit appends one unit to a WTF-8 string under construction. A high surrogate is
// held back as the returned pending value until the next unit decides whether it is half of
// a pair.
func appendUnit(dst []byte, pending, u uint16) ([]byte, uint16) {
	if pending != 0 {
		if u >= surrogateLow && u <= surrogateMax {
			ch := rune(supplementary) + rune(pending-surrogateMin)<<10 + rune(u-surrogateLow)
			return utf8.AppendRune(dst, ch), 0
		}
		dst = flushUnit(dst, pending)
	}
	switch {
	case u < surrogateMin || u > surrogateMax:
		return utf8.AppendRune(dst, rune(u)), 0
	case u < surrogateLow:
		return dst, u
	default:
		return flushUnit(dst, u), 0
	}
}

func flushUnit(dst []byte, pending uint16) []byte {
	if pending == 0 {
		return dst
	}
	return append(dst, 0xED, 0x80|byte(pending>>6)&0x3F, 0x80|byte(pending)&0x3F)
}

// DecodeUTF16 returns the WTF-8 form of any sequence of UTF-16 units. It never fails and
// loses nothing: AppendUTF16(nil, DecodeUTF16(u)) equals u.
func DecodeUTF16(units []uint16) string {
	out := make([]byte, 0, len(units)+len(units)/2)
	var high uint16
	for _, u := range units {
		out, high = appendUnit(out, high, u)
	}
	return string(flushUnit(out, high))
}

// DecodeUTF16LE is [DecodeUTF16] for little-endian bytes; an odd last byte is
// ignored, so callers check the length where it matters.
func DecodeUTF16LE(b []byte) string {
	out := make([]byte, 0, len(b)/2+len(b)/4)
	var high uint16
	for i := 0; i+1 < len(b); i += 2 {
		out, high = appendUnit(out, high, uint16(b[i])|uint16(b[i+1])<<8)
	}
	return string(flushUnit(out, high))
}

// AppendUTF16 appends the units of a WTF-8 string to dst.
func AppendUTF16(dst []uint16, s string) []uint16 {
	n := asciiLen(s)
	for i := range n { // nearly all names are ASCII to the end
		dst = append(dst, uint16(s[i]))
	}
	r := unitReader{s: s[n:]}
	for u, ok := r.next(); ok; u, ok = r.next() {
		dst = append(dst, u)
	}
	return dst
}

// AppendUTF16LE appends the units of a WTF-8 string to dst as little-endian
// bytes, without a terminator.
func AppendUTF16LE(dst []byte, s string) []byte {
	n := asciiLen(s)
	for i := range n {
		dst = append(dst, s[i], 0)
	}
	r := unitReader{s: s[n:]}
	for u, ok := r.next(); ok; u, ok = r.next() {
		dst = append(dst, byte(u), byte(u>>8))
	}
	return dst
}

// asciiLen returns the number of bytes before the first that is not ASCII.
func asciiLen(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return i
		}
	}
	return len(s)
}

// UTF16Len returns the number of UTF-16 units in a WTF-8 string, the unit of the Windows
// limits.
func UTF16Len(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x80 || c >= 0xC0 && c < 0xF0:
			n++
		case c >= 0xF0:
			n += 2
		}
	}
	return n
}

// ValidWTF8 reports whether s is the WTF-8 form of some sequence of UTF-16 units. A
// surrogate pair written as two three-byte halves is not: it would be a second spelling of
// one name.
func ValidWTF8(s string) bool {
	s = s[asciiLen(s):]
	afterHigh := false
	for len(s) > 0 {
		if s[0] < utf8.RuneSelf {
			s, afterHigh = s[1:], false
			continue
		}
		if u, ok := surrogateAt(s); ok {
			if afterHigh && u >= surrogateLow {
				return false
			}
			afterHigh = u < surrogateLow
			s = s[3:]
			continue
		}
		ch, n := utf8.DecodeRuneInString(s)
		if ch == utf8.RuneError && n == 1 {
			return false
		}
		s, afterHigh = s[n:], false
	}
	return true
}
