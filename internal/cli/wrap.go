package cli

import (
	"strings"
	"unicode/utf8"
)

// wrapIndent is the indentation of the lines after the first of a wrapped text.
const wrapIndent = "    "

// wrapWords breaks a line at spaces, so that it fits into a terminal of so many columns; 0
// is no terminal. Quoted paths stay whole. A word that is wider than the terminal is left to
// it.
func wrapWords(line string, columns int) string {
	if columns <= 2*len(wrapIndent) || utf8.RuneCountInString(line) <= columns {
		return line
	}
	var b strings.Builder
	at := 0 // columns of the line that are taken
	for word := range words(line) {
		n := utf8.RuneCountInString(word)
		switch {
		case at == 0:
		case at+1+n > columns:
			b.WriteString("\n" + wrapIndent)
			at = len(wrapIndent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// words yields the parts of a line between single spaces. A space between quotation marks
// is one of its word.
func words(line string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := range len(line) {
			switch line[i] {
			case '"':
				quoted = !quoted
			case ' ':
				if quoted && strings.IndexByte(line[i:], '"') > 0 {
					continue
				}
				if !yield(line[start:i]) {
					return
				}
				start, quoted = i+1, false
			}
		}
		yield(line[start:])
	}
}
