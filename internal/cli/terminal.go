package cli

import (
	"errors"
	"io"
	"unicode"
	"unicode/utf8"
)

// errBinary says that content would control or garble the terminal.
var errBinary = errors.New("the content is not UTF-8 text and is not written to a terminal")

// content returns standard output for the content of a file. A terminal gets text only:
// the writer refuses bytes that are not UTF-8, UTF-16 among them, and control characters
// other than tabs and line breaks.
func (c *console) content() io.Writer {
	if !c.terminal {
		return c.out
	}
	return &textOnly{w: c.out}
}

// textOnly is a writer that passes only text on.
type textOnly struct {
	w    io.Writer
	rest []byte // start of a character that the next Write completes
}

// Write implements io.Writer.
func (t *textOnly) Write(p []byte) (int, error) {
	b := p
	if len(t.rest) > 0 {
		b = append(t.rest, p...)
	}
	i := 0
	for i < len(b) && utf8.FullRune(b[i:]) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' && r != '\uFEFF' {
			return 0, hintf(errBinary, "-o FILE writes it to a file; a pipe takes it too")
		}
		i += n
	}
	if _, err := t.w.Write(b[:i]); err != nil {
		return 0, err
	}
	t.rest = append([]byte(nil), b[i:]...)
	return len(p), nil
}
