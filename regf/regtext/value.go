package regtext

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mullion/mullion/winfs"
)

// readValue reads a value with a given first character. If an error comes after the name,
// the name is returned with it.
func (r *Reader) readValue(first string, line int) (Op, error) {
	op := Op{Kind: SetValue, Key: r.key, Line: line}
	if first == `"` {
		r.data = r.data[:0]
		if err := r.quoted(maxNameBytes, true, line); err != nil {
			return Op{}, err
		}
		op.Name = string(r.data)
	}
	c, err := r.skip(blanks)
	if err == nil && c != "=" {
		err = faultf("%q where = belongs", c)
	}
	if err == nil {
		c, err = r.skip(blanks)
	}
	if err != nil {
		return op, noEOF(err)
	}
	r.data = r.data[:0]
	switch {
	case c == "-":
		op.Kind = DeleteValue
		return op, r.endLine()
	case c == `"`:
		op.Type = regSZ
		if err := r.quoted(r.maxData/2, false, r.charLine); err != nil {
			return op, err
		}
		r.data = toUTF16LE(r.data)
		op.Data = r.data
		return op, r.endLine()
	}
	word, err := r.word(c)
	if err != nil {
		return op, err
	}
	switch {
	case word == "dword":
		op.Type = regDword
		op.Data, err = r.dword()
	case word == "hex":
		op.Type = regBinary
		op.Data, err = r.hex()
	case strings.HasPrefix(word, "hex(") && strings.HasSuffix(word, ")"):
		n, perr := strconv.ParseUint(word[4:len(word)-1], 16, 32)
		if perr != nil {
			return op, faultf("type %q", word)
		}
		op.Type = uint32(n)
		if op.Data, err = r.hex(); err == nil {
			op.Data = r.text(op.Type, op.Data)
		}
	default:
		err = faultf("type %q", word)
	}
	return op, err
}

// text completes the bytes of text types: in REGEDIT4 they are in the code page, and those
// of REG_EXPAND_SZ and REG_MULTI_SZ without a NUL at their end get one, as in regedit.
// Empty data is not changed, and data of an odd length is no text.
func (r *Reader) text(typ uint32, data []byte) []byte {
	if r.version == 4 && textType(typ) {
		data = ansiToUTF16LE(data)
	}
	n := len(data)
	if r.Raw || typ != regExpandSZ && typ != regMultiSZ || n == 0 || n%2 != 0 || data[n-2]|data[n-1] == 0 {
		return data
	}
	return append(data, 0, 0)
}

// toUTF16LE converts WTF-8 text to the data of a text value: UTF-16 with its terminator.
// For ASCII it works in place.
func toUTF16LE(text []byte) []byte {
	n := 0
	for n < len(text) && text[n] < utf8.RuneSelf {
		n++
	}
	if n < len(text) {
		return append(winfs.AppendUTF16LE(text[:0:0], string(text)), 0, 0)
	}
	text = append(slices.Grow(text, n+2), text...)[:2*n]
	for i := n - 1; i >= 0; i-- {
		text[2*i], text[2*i+1] = text[i], 0
	}
	return append(text, 0, 0)
}

func noEOF(err error) error {
	if err == io.EOF {
		return faultf("the text ends in the middle of a value")
	}
	return err
}

// quoted appends a quoted text to r.data, without its escapes; line is the line of its
// opening quote. Data may span lines, as regedit writes text with line breaks in it; names
// may not, so that a missing quote does not affect the lines below. A backslash before a 0
// or a line break drops the value, as it does in regedit.
func (r *Reader) quoted(limit int, name bool, line int) error {
	for {
		r.data = r.asciiRun(r.data)
		c, err := r.rawChar()
		if err == io.EOF {
			return &LineError{line, faultf("a quote is not closed")}
		}
		if err != nil {
			return err
		}
		switch c {
		case `"`:
			return nil
		case `\`:
			if c, err = r.rawChar(); err == io.EOF {
				return &LineError{line, faultf("a quote is not closed")}
			}
			if err != nil {
				return err
			}
			switch c {
			case `\`, `"`:
			case "0":
				return faultf(`\0 in a text`)
			case "\r", "\n":
				return faultf("a line ends in a backslash inside a text")
			default:
				// Windows keeps a backslash that escapes nothing.
				r.data = append(r.data, '\\')
			}
		case "\x00":
			return faultf("a NUL in a text")
		case "\r", "\n":
			if name {
				return faultf("a line ends inside a name")
			}
		}
		if r.data = append(r.data, c...); len(r.data) > limit {
			return ErrTooLong
		}
	}
}

// word reads up to the colon and returns the text before it, in lower case.
func (r *Reader) word(first string) (string, error) {
	b := append(r.wordRoom[:0], first...)
	for {
		if b[len(b)-1] == '\n' {
			return "", faultf("no data")
		}
		c, err := r.char()
		if err != nil {
			return "", noEOF(err)
		}
		if c == ":" {
			switch string(b) { // the usual ones allocate nothing
			case "dword":
				return "dword", nil
			case "hex":
				return "hex", nil
			}
			return strings.ToLower(strings.TrimRight(string(b), " \t")), nil
		}
		if len(b) > 20 || c == "\n" {
			return "", faultf("type %.20q", string(b))
		}
		b = append(b, c...)
	}
}

// dword reads one to eight digits.
func (r *Reader) dword() ([]byte, error) {
	n, digits := uint32(0), 0
	c, err := r.skip(blanks)
	for ; err == nil; c, err = r.char() {
		d, ok := hexDigit(c)
		if !ok {
			break
		}
		if n, digits = n<<4|uint32(d), digits+1; digits > 8 {
			return nil, faultf("a dword has more than eight digits")
		}
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if digits == 0 {
		return nil, faultf("a dword has no digits")
	}
	r.data = append(r.data[:0], byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	return r.data, r.endLineAt(c, err)
}

// Positions of hex in its list of bytes.
const (
	atStart    = iota // after the colon
	afterComma        // after a comma in the same line
	newLine           // at the start of a line that continues another
	inByte            // after one digit
	afterByte         // after two
	afterBlank        // after a byte and blanks
)

// hex reads bytes of two digits (or one) with commas between them. A backslash after a
// comma, or after the colon, continues the list on the next line; empty lines and comments
// may come between. The continuation line is always part of the value, so that both are
// dropped if it is something else. A backslash after a byte continues nothing. regedit does
// all this, according to Wine's tests of it.
func (r *Reader) hex() ([]byte, error) {
	state, high := atStart, byte(0)
	for {
		if state <= newLine {
			if s := r.hexRun(); s >= 0 {
				state = s
			}
		}
		c, err := r.char()
		if err != nil && err != io.EOF {
			return nil, err
		}
		if d, ok := hexDigit(c); ok {
			switch state {
			case atStart, afterComma, newLine:
				high, state = d, inByte
			case inByte:
				r.data, state = append(r.data, high<<4|d), afterByte
			default:
				return nil, faultf("bytes without a comma between them")
			}
			if len(r.data) > r.maxData {
				return nil, ErrTooLong
			}
			continue
		}
		if state == inByte {
			r.data, state = append(r.data, high), afterByte
		}
		switch {
		case err == io.EOF:
			return r.data, nil
		case c == "\n":
			if state != newLine {
				return r.data, nil
			}
		case c == ",":
			if state < afterByte {
				return nil, faultf("a comma without a byte before it")
			}
			state = afterComma
		case c == " ", c == "\t":
			if state == afterByte {
				state = afterBlank
			}
		case c == `\`:
			if state != atStart && state != afterComma {
				return nil, faultf("a backslash without a comma before it")
			}
			if err := r.endLine(); err != nil {
				return nil, err
			}
			state = newLine
		case c == ";":
			if err := r.toLineEnd(); err != nil {
				return nil, err
			}
			if state != newLine {
				return r.data, nil
			}
		default:
			return nil, faultf("%q among bytes", c)
		}
	}
}
