package regtext

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mullion/mullion/winfs"
)

// Kind says what a change does.
type Kind uint8

// The kinds of changes.
const (
	MakeKey     Kind = iota // make the key, and those above it, where missing
	DeleteKey               // delete the key and everything below it
	SetValue                // set a value of the key
	DeleteValue             // delete a value of the key
)

// Op is one change of a .reg file.
type Op struct {
	Kind Kind
	Key  string // full path as the file names it, HKEY_LOCAL_MACHINE\...
	Name string // value name, "" for the default value
	Type uint32
	Data []byte // valid until the next call of Next
	Line int    // where the change begins, from 1
}

// Limits of what a Reader takes.
const (
	// maxNameBytes bounds a key path or value name in the file.
	maxNameBytes = 1 << 20
	// DefaultMaxData is the largest value that a Reader takes unless told otherwise.
	DefaultMaxData = 1 << 30
)

// Reader yields the changes of a .reg file in order. It reads ahead but keeps no
// more than one change.
type Reader struct {
	src     io.Reader
	buf     []byte
	pos     int // buf[pos:end] was read and not yet taken
	end     int
	srcErr  error // what src gave last
	enc     Encoding
	version int
	line    int
	started bool
	key     string
	inKey   bool // a key that values may follow
	maxData int
	data    []byte
	queue   []byte // characters that were decoded and put back
	err     error
}

// NewReader returns a Reader. The encoding is found from the byte order mark and
// the first line; closing what is read from is the caller's part.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: r, buf: make([]byte, 1<<16), maxData: DefaultMaxData, line: 1}
}

// need reports whether n bytes, 4 at most, are in the buffer, after reading more
// where that is necessary. Where they are not, srcErr says why.
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

// ahead returns what is in the buffer.
func (r *Reader) ahead() []byte { return r.buf[r.pos:r.end] }

// Version returns 5 or 4 after the first call of Next.
func (r *Reader) Version() int { return r.version }

// Encoding returns the encoding after the first call of Next.
func (r *Reader) Encoding() Encoding { return r.enc }

// Next returns the next change, or io.EOF at the end of the file. Other errors are
// [*LineError] values around ErrSyntax, ErrTooLong or an error of reading.
func (r *Reader) Next() (Op, error) {
	if r.err != nil {
		return Op{}, r.err
	}
	op, err := r.next()
	if err != nil {
		var le *LineError
		if err != io.EOF && !errors.As(err, &le) {
			err = &LineError{Line: r.line, Err: err}
		}
		r.err = err
	}
	return op, err
}

func syntaxf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSyntax, fmt.Sprintf(format, args...))
}

func (r *Reader) next() (Op, error) {
	if !r.started {
		if err := r.start(); err != nil {
			return Op{}, err
		}
		r.started = true
	}
	for {
		c, err := r.skip(blanksLine)
		if err != nil {
			return Op{}, err
		}
		line := r.line
		switch c {
		case ";":
			if err := r.toLineEnd(); err != nil {
				return Op{}, err
			}
		case "[":
			return r.readKey(line)
		case "@", `"`:
			if !r.inKey {
				return Op{}, syntaxf("a value without a key")
			}
			return r.readValue(c, line)
		default:
			return Op{}, syntaxf("a line begins with %q", c)
		}
	}
}

// start finds the encoding and reads the first line.
func (r *Reader) start() error {
	if !r.need(4) && r.srcErr != io.EOF {
		return r.srcErr
	}
	head := r.ahead()
	unmarked := false
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		r.enc = UTF16
		r.discard(2)
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		r.enc = UTF8
		r.discard(3)
	case len(head) >= 4 && head[1] == 0 && head[3] == 0:
		r.enc = UTF16
	default:
		r.enc, unmarked = UTF8, true
	}
	var first []byte
	for {
		c, err := r.char()
		if err == io.EOF || err == nil && c == "\n" {
			break
		}
		if err != nil {
			return err
		}
		if first = append(first, c...); len(first) > 200 {
			return syntaxf("the first line is not that of a .reg file")
		}
	}
	switch s := strings.TrimRight(string(first), " \t\r"); s {
	case "Windows Registry Editor Version 5.00":
		r.version = 5
	case "REGEDIT4":
		r.version = 4
		if unmarked {
			r.enc = ANSI
		}
	default:
		return syntaxf("the first line is %.60q", s)
	}
	return nil
}

// discard takes n bytes that are in the buffer.
func (r *Reader) discard(n int) { r.pos += n }

// char returns the next character in WTF-8, one to four bytes, and counts lines.
func (r *Reader) char() (string, error) {
	if len(r.queue) > 0 {
		s := string(r.queue)
		r.queue = r.queue[:0]
		if s == "\n" {
			r.line++
		}
		return s, nil
	}
	if r.enc == UTF16 {
		if b := r.ahead(); len(b) >= 2 && b[1] == 0 && b[0] < utf8.RuneSelf {
			r.pos += 2
			if b[0] == '\n' {
				r.line++
			}
			return ascii[b[0]], nil
		}
	}
	s, err := r.decode()
	if s == "\n" {
		r.line++
	}
	return s, err
}

// unread puts a character back.
func (r *Reader) unread(c string) {
	r.queue = append(r.queue[:0], c...)
	if c == "\n" {
		r.line--
	}
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

// isSurrogate reports whether b begins with the three-byte form of a lone
// surrogate.
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

// Sets of characters that stand between others.
const (
	blanks     = 1<<' ' | 1<<'\t'
	blanksCR   = blanks | 1<<'\r'
	blanksLine = blanksCR | 1<<'\n'
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

// endLine takes blanks and a comment up to the end of the line.
func (r *Reader) endLine() error {
	c, err := r.skip(blanksCR)
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
	return syntaxf("%q after the end of a value", c)
}

// readKey reads the rest of a line that began with a bracket. The name ends at the
// last bracket of the line, because a name may hold brackets itself.
func (r *Reader) readKey(line int) (Op, error) {
	b := r.data[:0]
	for {
		b = r.asciiRun(b)
		c, err := r.char()
		if err == io.EOF || c == "\n" {
			break
		}
		if err != nil {
			return Op{}, err
		}
		if b = append(b, c...); len(b) > maxNameBytes {
			return Op{}, fmt.Errorf("key: %w", ErrTooLong)
		}
	}
	r.data = b
	end := bytes.LastIndexByte(b, ']')
	if end < 0 {
		return Op{}, &LineError{line, syntaxf("a key has no closing bracket")}
	}
	if rest := bytes.Trim(b[end+1:], " \t\r"); len(rest) > 0 && rest[0] != ';' {
		// A comment may hold a bracket too; what follows the last one then does not
		// begin with a semicolon, and the file is not clear.
		return Op{}, &LineError{line, syntaxf("%.40q after a key", rest)}
	}
	name := string(b[:end])
	op := Op{Kind: MakeKey, Line: line}
	if rest, ok := strings.CutPrefix(name, "-"); ok {
		op.Kind, name = DeleteKey, rest
	}
	if name == "" {
		return Op{}, &LineError{line, syntaxf("a key has no name")}
	}
	op.Key = name
	r.key, r.inKey = name, op.Kind == MakeKey
	return op, nil
}

// readValue reads a value whose first character is given.
func (r *Reader) readValue(first string, line int) (Op, error) {
	op := Op{Kind: SetValue, Key: r.key, Line: line}
	if first == `"` {
		r.data = r.data[:0]
		if err := r.quoted(maxNameBytes); err != nil {
			return Op{}, err
		}
		op.Name = string(r.data)
	}
	c, err := r.skip(blanks)
	if err == nil && c != "=" {
		err = syntaxf("%q where = belongs", c)
	}
	if err == nil {
		c, err = r.skip(blanks)
	}
	if err != nil {
		return Op{}, noEOF(err)
	}
	r.data = r.data[:0]
	switch {
	case c == "-":
		op.Kind = DeleteValue
		return op, r.endLine()
	case c == `"`:
		op.Type = 1
		if err := r.quoted(r.maxData / 2); err != nil {
			return Op{}, err
		}
		r.data = toUTF16LE(r.data)
		op.Data = r.data
		return op, r.endLine()
	}
	word, err := r.word(c)
	if err != nil {
		return Op{}, err
	}
	switch {
	case word == "dword":
		op.Type = 4
		op.Data, err = r.dword()
	case word == "hex":
		op.Type = 3
		op.Data, err = r.hex()
	case strings.HasPrefix(word, "hex(") && strings.HasSuffix(word, ")"):
		n, perr := strconv.ParseUint(word[4:len(word)-1], 16, 32)
		if perr != nil {
			return Op{}, syntaxf("type %q", word)
		}
		op.Type = uint32(n)
		op.Data, err = r.hex()
		if err == nil && r.version == 4 && textType(op.Type) {
			op.Data = ansiToUTF16LE(op.Data)
		}
	default:
		err = syntaxf("type %q", word)
	}
	return op, err
}

// toUTF16LE makes the data of a text value of WTF-8: UTF-16 with its terminator. It
// works in place where the text is ASCII.
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
		return syntaxf("the text ends in the middle of a value")
	}
	return err
}

// quoted appends a quoted text to r.data, without its escapes. It may span lines,
// as regedit writes text with line breaks in it.
func (r *Reader) quoted(limit int) error {
	for {
		r.data = r.asciiRun(r.data)
		c, err := r.char()
		if err != nil {
			return noEOF(err)
		}
		switch c {
		case `"`:
			return nil
		case `\`:
			if c, err = r.char(); err != nil {
				return noEOF(err)
			}
			if c != `\` && c != `"` {
				// Windows keeps a backslash that escapes nothing.
				r.data = append(r.data, '\\')
			}
		}
		if r.data = append(r.data, c...); len(r.data) > limit {
			return ErrTooLong
		}
	}
}

// word reads up to the colon and returns what stood before it, in lower case.
func (r *Reader) word(first string) (string, error) {
	var room [32]byte
	b := append(room[:0], first...)
	for {
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
		if b = append(b, c...); len(b) > 20 || c == "\n" {
			return "", syntaxf("type %.20q", b)
		}
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
			return nil, syntaxf("a dword has more than eight digits")
		}
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if digits == 0 {
		if err == nil {
			r.unread(c) // so that the line is right
		}
		return nil, syntaxf("a dword has no digits")
	}
	r.data = append(r.data[:0], byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	if err == io.EOF {
		return r.data, nil
	}
	r.unread(c)
	return r.data, r.endLine()
}

// hex reads bytes of two digits (or one) with commas between them, on any number
// of lines.
func (r *Reader) hex() ([]byte, error) {
	const (
		needByte = iota // at the start or after a comma
		inByte          // one digit was read
		needComma
	)
	state, high := needByte, byte(0)
	for {
		if state == needByte {
			r.hexRun()
		}
		c, err := r.char()
		if err == io.EOF || c == "\n" {
			break
		}
		if err != nil {
			return nil, err
		}
		if d, ok := hexDigit(c); ok {
			switch state {
			case needByte:
				high, state = d, inByte
			case inByte:
				r.data, state = append(r.data, high<<4|d), needComma
			default:
				return nil, syntaxf("bytes without a comma between them")
			}
			if len(r.data) > r.maxData {
				return nil, ErrTooLong
			}
			continue
		}
		if state == inByte {
			r.data, state = append(r.data, high), needComma
		}
		switch c {
		case ",":
			if state != needComma {
				return nil, syntaxf("a comma without a byte before it")
			}
			state = needByte
		case " ", "\t", "\r":
		case `\`:
			if err := r.endLine(); err != nil {
				return nil, err
			}
		case ";":
			return r.data, r.toLineEnd()
		default:
			return nil, syntaxf("%q among bytes", c)
		}
	}
	if state == inByte {
		r.data = append(r.data, high)
	}
	return r.data, nil
}

// asciiRun appends the printable ASCII characters that stand in the buffer, up to a
// quote or backslash of a text; what follows, and all else, goes through char.
func (r *Reader) asciiRun(dst []byte) []byte {
	if len(r.queue) > 0 {
		return dst
	}
	b := r.ahead()
	n := 0
	if r.enc == UTF16 {
		for n+1 < len(b) && b[n+1] == 0 && plainASCII[b[n]] {
			dst = append(dst, b[n])
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

// plainASCII holds the bytes that stand for themselves in a text.
var plainASCII = func() (t [256]bool) {
	for i := 0x20; i < 0x7F; i++ {
		t[i] = i != '"' && i != '\\'
	}
	return t
}()

// hexRun appends the whole "xx," groups that stand in the buffer, which is where
// a large file spends its length. It stops before anything else.
func (r *Reader) hexRun() {
	if len(r.queue) > 0 {
		return
	}
	step := 1
	if r.enc == UTF16 {
		step = 2
	}
	b := r.ahead()
	taken := 0
	for room := r.maxData - len(r.data); room > 0 && len(b) >= 3*step; room-- {
		hi, lo := hexValue[b[0]], hexValue[b[step]]
		if hi > 15 || lo > 15 || b[2*step] != ',' || step == 2 && b[1]|b[3]|b[5] != 0 {
			break
		}
		r.data = append(r.data, hi<<4|lo)
		b, taken = b[3*step:], taken+3*step
	}
	r.discard(taken)
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
