package cli

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonText escapes unprintable characters in JSON: encoding/json does not escape those
// above U+007F, and names in images can contain any. The JSON value does not change,
// because such characters occur only in strings.
type jsonText struct {
	w    io.Writer
	rest []byte // start of a character that the next Write completes
	buf  []byte
}

// Write implements io.Writer.
func (j *jsonText) Write(p []byte) (int, error) {
	b := p
	if len(j.rest) > 0 {
		b = append(j.rest, p...)
		j.rest = nil
	}
	out := j.buf[:0]
	from := 0
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf && c != 0x7F {
			i++
			continue
		}
		if !utf8.FullRune(b[i:]) {
			out = append(out, b[from:i]...)
			j.rest = append([]byte(nil), b[i:]...)
			from = len(b)
			break
		}
		r, n := utf8.DecodeRune(b[i:])
		if unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		out = append(out, b[from:i]...)
		if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
			out = fmt.Appendf(out, `\u%04x\u%04x`, r1, r2)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
		from = i
	}
	out = append(out, b[from:]...)
	j.buf = out
	if _, err := j.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
