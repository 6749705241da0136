package winfs

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// isEscape reports whether s begins with %u and the number of a surrogate or of
// the percent sign.
func isEscape(s string) (uint16, bool) {
	if len(s) < 6 || s[0] != '%' || s[1] != 'u' {
		return 0, false
	}
	var u uint16
	for _, c := range []byte(s[2:6]) {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | uint16(c-'0')
		case c >= 'A' && c <= 'F':
			u = u<<4 | uint16(c-'A'+10)
		default:
			return 0, false
		}
	}
	return u, u == '%' || u >= 0xD800 && u <= 0xDFFF
}

// EscapeFSName spells a WTF-8 name so that it is valid UTF-8, which io/fs requires. A lone
// surrogate is spelled %uD83D, with its own number, and the percent sign of a name that by
// itself contains such a spelling becomes %u0025. The spelling of a name is unique.
func EscapeFSName(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, "%u") {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		if _, ok := isEscape(name); ok {
			b.WriteString("%u0025")
			name = name[1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 && len(name) >= 3 {
			fmt.Fprintf(&b, "%%u%04X", 0xD000|uint16(name[1]&0x3F)<<6|uint16(name[2]&0x3F))
			name = name[3:]
			continue
		}
		b.WriteString(name[:n])
		name = name[n:]
	}
	return b.String()
}

// UnescapeFSName is the inverse of [EscapeFSName]. The second result is false for
// a spelling that EscapeFSName does not give.
func UnescapeFSName(name string) (string, bool) {
	if !strings.Contains(name, "%u") {
		return name, utf8.ValidString(name)
	}
	var units []uint16
	for s := name; s != ""; {
		if u, ok := isEscape(s); ok {
			units, s = append(units, u), s[6:]
			continue
		}
		_, n := utf8.DecodeRuneInString(s)
		units, s = AppendUTF16(units, s[:n]), s[n:]
	}
	out := DecodeUTF16(units)
	return out, EscapeFSName(out) == name
}
