// Package wtf8 writes Windows names as JSON and as text that is safe to print. In WTF-8, the form of names in this module, a
// lone surrogate has three bytes, as if it were a character.
package wtf8

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// AppendJSON appends a WTF-8 text as a JSON string. A lone surrogate, which UTF-8 cannot
// hold, is written as the escape \ud800, so that different names stay different.
func AppendJSON(out []byte, s string) ([]byte, error) {
	out = append(out, '"')
	for rest := s; rest != ""; {
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
			out = fmt.Appendf(out, `\u%04x`, 0xD000|int(rest[1]&0x3F)<<6|int(rest[2]&0x3F))
			rest = rest[3:]
		default: // U+FFFD itself, or a byte that no name can hold
			_, n := utf8.DecodeRuneInString(rest)
			out = append(out, "\ufffd"...)
			rest = rest[n:]
		}
	}
	return append(out, '"'), nil
}
