package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// wtf8 is a Windows name in JSON. A lone surrogate, which UTF-8 cannot hold, is
// written as the escape \ud800, so that no two names look alike.
type wtf8 string

// MarshalJSON implements json.Marshaler.
func (s wtf8) MarshalJSON() ([]byte, error) {
	out := []byte{'"'}
	for rest := string(s); rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return r == utf8.RuneError })
		if n < 0 {
			n = len(rest)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(rest[:n]); err != nil {
			return nil, err
		}
		text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
		out = append(out, text[1:len(text)-1]...) // without the quotes
		rest = rest[n:]
		switch {
		case rest == "":
		case len(rest) >= 3 && rest[0] == 0xED && rest[1] >= 0xA0:
			unit := 0xD000 | int(rest[1]&0x3F)<<6 | int(rest[2]&0x3F)
			out = fmt.Appendf(out, `\u%04x`, unit)
			rest = rest[3:]
		default: // U+FFFD itself, or what no name can hold
			_, n := utf8.DecodeRuneInString(rest)
			out = append(out, "\ufffd"...)
			rest = rest[n:]
		}
	}
	return append(out, '"'), nil
}

// appendRow appends a line of a two-column listing, its text made visible.
func appendRow(b *strings.Builder, name, format string, a ...any) {
	fmt.Fprintf(b, "%-8s %s\n", name, visible(fmt.Sprintf(format, a...)))
}
