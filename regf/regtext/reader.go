package regtext

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind is the kind of a change.
type Kind uint8

// The kinds of changes.
const (
	MakeKey     Kind = iota // create the key and its missing parents
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
	Line int    // first line of the change, from 1
}

// Limits of a Reader.
const (
	// maxNameBytes bounds a key path or value name in the file.
	maxNameBytes = 1 << 20
	// DefaultMaxData is the default for the largest value that a Reader accepts.
	DefaultMaxData = 1 << 30
)

// Reader yields the changes of a .reg file in order. It reads ahead but holds at most one
// change.
type Reader struct {
	// Skip makes the Reader skip the lines that regedit skips, a line that is no key and no
	// value ([ErrStray]) or a malformed key or value, and continue with the next line. It
	// is called for each. If it is nil, the first such line is an error. Set it before the
	// first call of Next.
	Skip func(*LineError)
	// Raw keeps bytes of REG_EXPAND_SZ and REG_MULTI_SZ that do not end with a NUL.
	// Otherwise a NUL is appended, as regedit does.
	Raw bool

	src      io.Reader
	buf      []byte
	pos      int // buf[pos:end] was read and not yet consumed
	end      int
	srcErr   error // last error of src
	enc      Encoding
	version  int
	line     int  // of the next character
	charLine int  // of the last one
	ended    bool // the last one ended its line
	started  bool
	key      string
	inKey    bool // a key that values may follow
	maxData  int
	data     []byte
	wordRoom [32]byte
	err      error
}

// NewReader returns a Reader. It determines the encoding from the byte order mark and the
// first line. The caller closes r.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: r, buf: make([]byte, 1<<16), maxData: DefaultMaxData, line: 1, charLine: 1}
}

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
	for {
		op, err := r.next()
		if err == nil {
			return op, nil
		}
		if err == io.EOF {
			r.err = err
			return Op{}, err
		}
		var le *LineError
		if !errors.As(err, &le) {
			le = &LineError{Line: r.charLine, Err: err}
		}
		var f *fault
		if r.Skip == nil || !errors.As(err, &f) {
			r.err = le
			return Op{}, le
		}
		r.Skip(le)
		if !r.ended {
			if err := r.toLineEnd(); err != nil {
				r.err = &LineError{Line: r.charLine, Err: err}
				return Op{}, r.err
			}
		}
	}
}

// fault is a malformed line that regedit skips.
type fault struct {
	detail string
	stray  bool
}

func (f *fault) Error() string { return ErrSyntax.Error() + ": " + f.detail }

func (f *fault) Is(target error) bool {
	return target == ErrSyntax || target == ErrStray && f.stray
}

func faultf(format string, args ...any) error {
	return &fault{detail: fmt.Sprintf(format, args...)}
}

// syntaxf is for errors that make the rest of the file unusable too.
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
		line := r.charLine
		switch c {
		case ";", "#": // regedit has no comments with #, but skips such lines
			if err := r.toLineEnd(); err != nil {
				return Op{}, err
			}
		case "[":
			return r.readKey(line)
		case "@", `"`:
			op, err := r.readValue(c, line)
			if err == nil && !r.inKey {
				err = &LineError{line, faultf("a value without a key")}
			}
			var f *fault
			if op.Name != "" && errors.As(err, &f) {
				f.detail = fmt.Sprintf("value %.60q: %s", op.Name, f.detail)
			}
			return op, err
		default:
			return Op{}, &fault{detail: fmt.Sprintf("a line begins with %q", c), stray: true}
		}
	}
}

// start determines the encoding and reads the first line.
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
	switch s := strings.Trim(string(first), " \t"); s {
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

// readKey reads the rest of a line that started with a bracket. The name ends at the last
// bracket of the line, because a name may contain brackets itself. After a malformed line,
// values belong to no key.
func (r *Reader) readKey(line int) (Op, error) {
	r.key, r.inKey = "", false
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
		return Op{}, &LineError{line, faultf("a key has no closing bracket")}
	}
	if rest := bytes.Trim(b[end+1:], " \t"); len(rest) > 0 && rest[0] != ';' {
		// A comment may contain a bracket too; then the text after the last one does not
		// start with a semicolon, and the line is ambiguous.
		return Op{}, &LineError{line, faultf("%.40q after a key", rest)}
	}
	name := string(b[:end])
	op := Op{Kind: MakeKey, Line: line}
	if rest, ok := strings.CutPrefix(name, "-"); ok {
		if rest == "" {
			return Op{}, &LineError{line, faultf("a deletion has no name")}
		}
		op.Kind, name = DeleteKey, rest
	}
	if strings.IndexByte(name, 0) >= 0 {
		return Op{}, &LineError{line, faultf("a NUL in the name of a key")}
	}
	op.Key = name
	r.key, r.inKey = name, op.Kind == MakeKey
	return op, nil
}
