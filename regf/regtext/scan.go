package regtext

import (
	"encoding/binary"
	"io"
	"unicode/utf8"

	"github.com/mullion/mullion/winfs"
)

// need reports whether n bytes, 4 at most, are in the buffer, after reading more if
// necessary. If not, srcErr is the reason.
func (r *Reader) need(n int) bool { return r.end-r.pos >= n || r.fill(n) }

func (r *Reader) fill(n int) bool {
	r.end = copy(r.buf, r.buf[r.pos:r.end])
	r.pos = 0
	for empty := 0; r.end < n && r.srcErr == nil; {
		var got int
		got, r.srcErr = r.src.Read(r.buf[r.end:])
		r.end += got
		if got > 0 {
			empty = 0
		} else if empty++; empty >= 100 && r.srcErr == nil {
			r.srcErr = io.ErrNoProgress
		}
	}
	return r.end >= n
}

// ahead returns the unread bytes in the buffer.
func (r *Reader) ahead() []byte { return r.buf[r.pos:r.end] }

// discard consumes n bytes of the buffer.
func (r *Reader) discard(n int) { r.pos += n }

// char returns the next character in WTF-8, one to four bytes. All three line endings, CR
// LF, LF and CR, are returned as LF.
func (r *Reader) char() (string, error) {
	if r.enc == UTF16 {
		b := r.ahead()
		if len(b) >= 2 && b[1] == 0 && b[0] >= ' ' && b[0] < utf8.RuneSelf {
			r.pos += 2
			r.charLine, r.ended = r.line, false
			return ascii[b[0]], nil
		}
		if len(b) >= 4 && b[0] == '\r' && b[1] == 0 && b[2] == '\n' && b[3] == 0 {
			r.pos += 4
			r.charLine, r.ended = r.line, true
			r.line++
			return "\n", nil
		}
	}
	c, err := r.rawChar()
	if c == "\r" {
		if r.atLF() {
			return r.rawChar()
		}
		c = "\n"
	}
	return c, err
}

// rawChar is char for texts, in which line endings are kept. It counts lines.
func (r *Reader) rawChar() (string, error) {
	if r.enc == UTF16 {
		if b := r.ahead(); len(b) >= 2 && b[1] == 0 && b[0] >= ' ' && b[0] < utf8.RuneSelf {
			r.pos += 2
			r.charLine, r.ended = r.line, false
			return ascii[b[0]], nil
		}
	}
	c, err := r.decode()
	if err != nil {
		if err != io.EOF {
			r.charLine = r.line
		}
		return "", err
	}
	r.charLine, r.ended = r.line, c == "\n" || c == "\r" && !r.atLF()
	if r.ended {
		r.line++
	}
	return c, nil
}

// atLF reports whether the next character is LF.
func (r *Reader) atLF() bool {
	if r.enc == UTF16 {
		return r.need(2) && r.buf[r.pos] == '\n' && r.buf[r.pos+1] == 0
	}
	return r.need(1) && r.buf[r.pos] == '\n'
}

// ascii holds the strings of the characters below 0x80, so that reading one
// allocates nothing.
var ascii = func() (s [128]string) {
	for i := range s {
		s[i] = string(rune(i))
	}
	return s
}()

func (r *Reader) decode() (string, error) {
	switch r.enc {
	case UTF16:
		u, err := r.unit()
		if err != nil {
			return "", err
		}
		if u < 0x80 {
			return ascii[u], nil
		}
		units := [2]uint16{u}
		n := 1
		if u >= 0xD800 && u < 0xDC00 {
			if r.need(2) {
				b := r.ahead()
				if low := uint16(b[0]) | uint16(b[1])<<8; low >= 0xDC00 && low < 0xE000 {
					r.discard(2)
					units[1], n = low, 2
				}
			}
		}
		return winfs.DecodeUTF16(units[:n]), nil
	case ANSI:
		if !r.need(1) {
			return "", r.srcErr
		}
		b := r.buf[r.pos]
		r.pos++
		if b < 0x80 {
			return ascii[b], nil
		}
		return string(rune(ansiUnit(b))), nil
	}
	if !r.need(1) {
		return "", r.srcErr
	}
	if b := r.buf[r.pos]; b < 0x80 {
		r.pos++
		return ascii[b], nil
	}
	r.need(4) // fewer at the end of the file
	buf := r.ahead()
	size := surrogateBytes
	if !isSurrogate(buf) {
		ch, w := utf8.DecodeRune(buf)
		if ch == utf8.RuneError && w <= 1 {
			return "", syntaxf("the text is not valid UTF-8")
		}
		size = w
	}
	r.pos += size
	return string(buf[:size]), nil
}

const surrogateBytes = 3

// isSurrogate reports whether b starts with the three-byte form of a lone surrogate.
func isSurrogate(b []byte) bool {
	return len(b) >= surrogateBytes && b[0] == 0xED && b[1] >= 0xA0 && b[1] <= 0xBF && b[2] >= 0x80 && b[2] <= 0xBF
}

func (r *Reader) unit() (uint16, error) {
	if !r.need(2) {
		if r.end > r.pos && r.srcErr == io.EOF {
			return 0, syntaxf("the text ends in the middle of a UTF-16 unit")
		}
		return 0, r.srcErr
	}
	u := uint16(r.buf[r.pos]) | uint16(r.buf[r.pos+1])<<8
	r.pos += 2
	return u, nil
}

// Sets of characters that separate others.
const (
	blanks     = 1<<' ' | 1<<'\t'
	blanksLine = blanks | 1<<'\n'
)

// skip returns the first character that is not in set.
func (r *Reader) skip(set uint64) (string, error) {
	for {
		c, err := r.char()
		if err != nil {
			return "", err
		}
		if len(c) != 1 || c[0] >= 64 || set>>c[0]&1 == 0 {
			return c, nil
		}
	}
}

// toLineEnd skips the rest of a comment.
func (r *Reader) toLineEnd() error {
	for {
		c, err := r.char()
		if err == io.EOF || c == "\n" {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// endLine consumes blanks and a comment up to the end of the line.
func (r *Reader) endLine() error { return r.endLineAt(r.skip(blanks)) }

// endLineAt is endLine after the first character.
func (r *Reader) endLineAt(c string, err error) error {
	if c == " " || c == "\t" {
		c, err = r.skip(blanks)
	}
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	case c == "\n":
		return nil
	case c == ";":
		return r.toLineEnd()
	}
	return faultf("%q after the end of a value", c)
}

// asciiRun appends the printable ASCII characters in the buffer, up to a quote or backslash
// of a text; char handles the text from there on, and all other characters.
func (r *Reader) asciiRun(dst []byte) []byte {
	b := r.ahead()
	n := 0
	if r.enc == UTF16 {
		for len(b) >= 8 { // four at once
			w := binary.LittleEndian.Uint64(b)
			if w&0xFF00FF00FF00FF00 != 0 || !plainASCII[byte(w)] || !plainASCII[byte(w>>16)] || !plainASCII[byte(w>>32)] || !plainASCII[byte(w>>48)] {
				break
			}
			dst = append(dst, byte(w), byte(w>>16), byte(w>>32), byte(w>>48))
			b = b[8:]
			n += 8
		}
		for len(b) >= 2 && b[1] == 0 && plainASCII[b[0]] {
			dst = append(dst, b[0])
			b = b[2:]
			n += 2
		}
	} else {
		for n < len(b) && plainASCII[b[n]] {
			n++
		}
		dst = append(dst, b[:n]...)
	}
	r.discard(n)
	return dst
}

// plainASCII holds the bytes that are literal in a text.
var plainASCII = func() (t [256]bool) {
	for i := 0x20; i < 0x7F; i++ {
		t[i] = i != '"' && i != '\\'
	}
	return t
}()

// hexRun appends the whole "xx," groups in the buffer, of which most of a large file
// consists, also those in lines that continue this one. It stops before anything else and
// returns the state of hex there, or -1 if it consumed nothing.
func (r *Reader) hexRun() (state int) {
	step := 1
	if r.enc == UTF16 {
		step = 2
	}
	state = -1
	b, data := r.ahead(), r.data
	room := r.maxData - len(data)
	for {
		for room > 0 && len(b) >= 3*step {
			hi, lo := hexValue[b[0]], hexValue[b[step]]
			if hi > 15 || lo > 15 || b[2*step] != ',' || step == 2 && b[1]|b[3]|b[5] != 0 {
				break
			}
			data = append(data, hi<<4|lo)
			b, state = b[3*step:], afterComma
			room--
		}
		n := continuation(b, step)
		if state != afterComma || n == 0 {
			break
		}
		b, state = b[n:], newLine
		r.line++
	}
	r.data = data
	if state >= 0 {
		r.discard(r.end - r.pos - len(b))
		r.charLine, r.ended = r.line, false
	}
	return state
}

// continuation returns the length of a backslash with the end of its line, as Windows
// writes it, and of the two blanks at the start of the next; 0 for anything else. A
// character has step bytes.
func continuation(b []byte, step int) int {
	const text = "\\\r\n  "
	if len(b) < len(text)*step {
		return 0
	}
	for i := range len(text) {
		if b[i*step] != text[i] || step == 2 && b[i*step+1] != 0 {
			return 0
		}
	}
	return len(text) * step
}

// hexValue maps digits to their values and all else to 0xFF.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xFF
		if d, ok := hexDigit(string([]byte{byte(i)})); ok {
			t[i] = d
		}
	}
	return t
}()

func hexDigit(c string) (byte, bool) {
	if len(c) != 1 {
		return 0, false
	}
	switch b := c[0]; {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}
