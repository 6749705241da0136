package wtf8

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Visible escapes every character of a text that is not printable: control characters,
// line breaks, changes of text direction and lone surrogates become \uXXXX, one for each
// UTF-16 unit, and bytes that are not WTF-8 become \xXX. The result is printable UTF-8.
func Visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1 && len(s) >= 3 && s[0] == 0xED && s[1]&0xE0 == 0xA0 && s[2]&0xC0 == 0x80:
			n = 3
			fmt.Fprintf(&b, `\u%04x`, 0xD000|int(s[1]&0x3F)<<6|int(s[2]&0x3F))
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteString(s[:n])
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
		s = s[n:]
	}
	return b.String()
}

// Quote returns the visible form of a text between quotation marks, in which a mark of the
// text is \u0022. Backslashes stay single, as people write paths.
func Quote(s string) string {
	return `"` + strings.ReplaceAll(Visible(s), `"`, `\u0022`) + `"`
}

func hidden(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
