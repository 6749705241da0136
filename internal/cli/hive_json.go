package cli

import (
	"strconv"
	"unicode/utf8"
)

// appendJSON appends a WTF-8 name as a JSON string; a lone surrogate becomes its
// escape, which is how JSON writes one.
func appendJSON(b, s []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			if c == 0xED && i+2 < len(s) && s[i+1] >= 0xA0 {
				b = append(b, s[from:i]...)
				unit := 0xD000 | uint16(s[i+1]&0x3F)<<6 | uint16(s[i+2]&0x3F)
				b = append(b, '\\', 'u', digits[unit>>12], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
				i += 3
				from = i
				continue
			}
			i++
			continue
		case c == '"' || c == '\\':
			b = append(append(b, s[from:i]...), '\\', c)
		case c < 0x20:
			b = append(append(b, s[from:i]...), '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
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
