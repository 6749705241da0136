package cli

import (
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// appendJSON appends a WTF-8 name as a JSON string. Lone surrogates and unprintable
// characters are written as \uXXXX, as in jsonText.
func appendJSON(b, s []byte) []byte {
	const digits = "0123456789abcdef"
	unit := func(b []byte, u uint16) []byte {
		return append(b, '\\', 'u', digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
	}
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			if c == 0xED && i+2 < len(s) && s[i+1] >= 0xA0 {
				b = append(b, s[from:i]...)
				b = unit(b, 0xD000|uint16(s[i+1]&0x3F)<<6|uint16(s[i+2]&0x3F))
				i += 3
				from = i
				continue
			}
			r, n := utf8.DecodeRune(s[i:])
			if !unicode.IsPrint(r) || r == utf8.RuneError && n == 1 {
				b = append(b, s[from:i]...)
				if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
					b = unit(unit(b, uint16(high)), uint16(low))
				} else {
					b = unit(b, uint16(r))
				}
				from = i + n
			}
			i += n
			continue
		case c == '"' || c == '\\':
			b = append(append(b, s[from:i]...), '\\', c)
		case c < 0x20 || c == 0x7F:
			b = unit(append(b, s[from:i]...), uint16(c))
		default:
			i++
			continue
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

func appendUint(b []byte, n uint32) []byte { return strconv.AppendUint(b, uint64(n), 10) }
