package offline

import (
	"strings"
	"unicode/utf8"
)

// text is a piece of a command whose bytes know where they come from: at[i] is the offset of
// byte i in the command that the caller passed. Expansion, escapes and quotes change the
// bytes; a message still shows the place that the user wrote.
type text struct {
	s  string
	at []int32
}

func newText(s string) text {
	t := text{s, make([]int32, len(s))}
	for i := range t.at {
		t.at[i] = int32(i)
	}
	return t
}

func (t text) len() int          { return len(t.s) }
func (t text) sub(i, j int) text { return text{t.s[i:j], t.at[i:j]} }

// from returns the offset of the first byte, or of the end of an empty text at after.
func (t text) from() int {
	if len(t.at) == 0 {
		return -1
	}
	return int(t.at[0])
}

func (t text) trim(cutset string) text {
	i := len(t.s) - len(strings.TrimLeft(t.s, cutset))
	j := len(strings.TrimRight(t.s, cutset))
	if i >= j {
		return t.sub(min(i, len(t.s)), min(i, len(t.s)))
	}
	return t.sub(i, j)
}

func (t text) equalFold(s string) bool { return strings.EqualFold(t.s, s) }

// builder makes a text.
type builder struct {
	b  []byte
	at []int32
}

func (b *builder) add(t text) {
	b.b = append(b.b, t.s...)
	b.at = append(b.at, t.at...)
}

// put adds bytes that stand for the place at.
func (b *builder) put(s string, at int32) {
	b.b = append(b.b, s...)
	for range len(s) {
		b.at = append(b.at, at)
	}
}

func (b *builder) text() text { return text{string(b.b), b.at} }
func (b *builder) len() int   { return len(b.b) }

// ascii reports whether a text has only characters that all code pages of Windows share.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
