package regtext

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// DefaultPrefix is the path of the root of a hive if Options.Prefix is empty.
const DefaultPrefix = `HKEY_LOCAL_MACHINE\HIVE`

// Options are the options of [Export].
type Options struct {
	// Prefix is the path of the root of the hive, such as HKEY_LOCAL_MACHINE\SOFTWARE; ""
	// is DefaultPrefix.
	Prefix string
	// Version is 5 or 4; 0 is 5. Version 4 is always in ANSI.
	Version int
	// Encoding of version 5: UTF16 or UTF8.
	Encoding Encoding
	// Skip is called for keys, with all below them, and values that the format cannot hold.
	// They are omitted, and a comment takes their place. If it is nil, the first of them
	// ends the export.
	Skip func(Skipped)
}

// Skipped is a key or value that is not in the text.
type Skipped struct {
	Key   string // full path in the file
	Value bool   // a value of the key and not the key itself
	Name  string // of the value
	Err   error  // wraps ErrCannotHold
}

// maxColumn is the column at which regedit breaks lines of bytes, the backslash not
// counted.
const maxColumn = 79

// Export writes a key and everything below it, in stored order. The result depends only on
// the key and the options.
//
// In a differencing hive, keys and values that hide those of lower layers are written as
// deletions, and a key that replaces the whole tree below as a deletion before its own
// line: applying the text to the base has the effect of the hive.
//
// The package comment lists the limits of the format. A name that it cannot hold is
// ErrCannotHold, or is omitted if Options.Skip is set. A value whose data a hive that is not
// in strict mode cannot read is omitted too, and is in the findings of the hive. Other errors
// of the hive and those of w end the export.
func Export(w io.Writer, k regf.Key, opt Options) error {
	e := &exporter{w: w, unit: 2, skip: opt.Skip}
	if opt.Prefix == "" {
		opt.Prefix = DefaultPrefix
	}
	if strings.HasPrefix(opt.Prefix, "-") || strings.ContainsAny(opt.Prefix, "\r\n\x00") {
		return fmt.Errorf("regtext: export: prefix %q: %w", opt.Prefix, regf.ErrInvalid)
	}
	switch {
	case opt.Version == 4:
		e.ansi, e.unit = true, 1
	case opt.Version != 0 && opt.Version != 5:
		return fmt.Errorf("regtext: export: version %d: %w", opt.Version, regf.ErrInvalid)
	case opt.Encoding == UTF8:
		e.unit = 1
	case opt.Encoding != UTF16:
		return fmt.Errorf("regtext: export: version 5 is in UTF-16 or UTF-8: %w", regf.ErrInvalid)
	}
	e.head()
	path := []byte(opt.Prefix)
	for p := range parents(k) {
		if err := keyFault(p); err != nil {
			return fmt.Errorf("regtext: export: key %q: %w", k.Path(), err)
		}
	}
	if below := k.Path(); below != "" {
		path = append(append(path, '\\'), below...)
	}
	base := k.Level()
	ends := []int{len(path)} // length of path at each level below k
	skipped := -1            // level of the key that is omitted with all below it
	for key, err := range k.Walk() {
		if err != nil {
			return fmt.Errorf("regtext: export: %w", err)
		}
		level := key.Level() - base
		if skipped >= 0 && level > skipped {
			continue
		}
		skipped = -1
		var fault error
		if level > 0 {
			path = append(path[:ends[level-1]], '\\')
			start := len(path)
			path = key.AppendName(path)
			ends = append(ends[:level], len(path))
			fault = keyFault(path[start:])
		}
		if fault == nil {
			fault = e.key(key, path)
		}
		if fault == nil {
			continue
		}
		if e.skip == nil || !errors.Is(fault, ErrCannotHold) {
			return fmt.Errorf("regtext: export: key %q: %w", path, fault)
		}
		skipped = level
		e.skip(Skipped{Key: string(path), Err: fault})
		e.text("\r\n")
		e.leftOut("key", path, fault)
	}
	e.text("\r\n")
	return e.flush(0)
}

// parents yields the names of a key and of its parents, all but the root.
func parents(k regf.Key) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for n := 0; n < regf.MaxDepth && !k.IsRoot() && yield(k.AppendName(nil)); n++ {
			up, ok := k.Parent()
			if !ok {
				return
			}
			k = up
		}
	}
}

// keyFault returns the reason why a file cannot hold the name of a key. A backslash would
// make two keys of one, and an empty name would be the parent.
func keyFault(name []byte) error {
	switch {
	case len(name) == 0:
		return fmt.Errorf("no name: %w", ErrCannotHold)
	case bytes.IndexByte(name, '\\') >= 0:
		return fmt.Errorf("a backslash in the name: %w", ErrCannotHold)
	}
	return nameFault(name)
}

// nameFault returns the reason why a file cannot hold a name of either kind. The text after
// a line break would be read as a line of its own, [-HKEY_LOCAL_MACHINE\SAM] for example,
// and no program on Windows can pass a NUL in a name.
func nameFault(name []byte) error {
	switch i := bytes.IndexAny(name, "\x00\r\n"); {
	case i < 0:
		return nil
	case name[i] == 0:
		return fmt.Errorf("a NUL in the name: %w", ErrCannotHold)
	}
	return fmt.Errorf("a line break in the name: %w", ErrCannotHold)
}

// maxShown bounds a name in a comment.
const maxShown = 400

// leftOut writes a comment, a line of printable ASCII for any name.
func (e *exporter) leftOut(kind string, name []byte, fault error) {
	shown, more := name, ""
	if len(shown) > maxShown {
		shown, more = shown[:maxShown], "..."
	}
	e.text("; left out: " + kind + " " + strconv.QuoteToASCII(string(shown)) + more + ": " + fault.Error() + "\r\n")
}

type exporter struct {
	w      io.Writer
	skip   func(Skipped)
	unit   int  // bytes of an ASCII character
	ansi   bool // REGEDIT4
	buf    []byte
	name   []byte // of the value being written
	data   []byte // converted or big data
	column int
}

// flush writes out the buffer when it holds more than keep bytes.
func (e *exporter) flush(keep int) error {
	if len(e.buf) <= keep {
		return nil
	}
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

const flushAt = 1 << 18

func (e *exporter) head() {
	switch {
	case e.ansi:
		e.text("REGEDIT4\r\n")
	case e.unit == 2:
		e.buf = append(e.buf, 0xFF, 0xFE)
		fallthrough
	default:
		e.text("Windows Registry Editor Version 5.00\r\n")
	}
}

// text appends ASCII.
func (e *exporter) text(s string) {
	e.column += len(s)
	if e.unit == 1 {
		e.buf = append(e.buf, s...)
		return
	}
	for i := range len(s) {
		e.buf = append(e.buf, s[i], 0)
	}
}

// wide appends WTF-8 text in the encoding of the file.
func (e *exporter) wide(s []byte) error {
	if isASCII(s) {
		e.column += len(s)
		if e.unit == 1 {
			e.buf = append(e.buf, s...)
			return nil
		}
		for _, c := range s {
			e.buf = append(e.buf, c, 0)
		}
		return nil
	}
	str := string(s)
	e.column += winfs.UTF16Len(str)
	switch {
	case e.ansi:
		var ok bool
		if e.buf, ok = utf16LEToANSI(e.buf, winfs.AppendUTF16LE(nil, str)); !ok {
			return fmt.Errorf("a character is not in Windows-1252: %w", ErrCannotHold)
		}
	case e.unit == 1:
		e.buf = append(e.buf, s...)
	default:
		e.buf = winfs.AppendUTF16LE(e.buf, str)
	}
	return nil
}

func isASCII(s []byte) bool {
	for _, c := range s {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// key writes a key and its values. It has written nothing if the error is ErrCannotHold.
func (e *exporter) key(k regf.Key, path []byte) error {
	mark := len(e.buf)
	line := func(open string) error {
		e.text(open)
		if err := e.wide(path); err != nil {
			e.buf = e.buf[:mark]
			return err
		}
		e.text("]\r\n")
		return nil
	}
	layer := k.Layer()
	if layer == regf.LayerTombstone || layer == regf.LayerSupersedeTree {
		if err := line("\r\n[-"); err != nil {
			return err
		}
	}
	if layer == regf.LayerTombstone {
		return nil
	}
	if err := line("\r\n["); err != nil {
		return err
	}
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		mark := len(e.buf)
		if err := e.value(v); err != nil {
			if k.Hive().Mode() != regf.Strict && errors.Is(err, regf.ErrCorrupt) {
				e.buf = e.buf[:mark] // the hive has a finding about it
				continue
			}
			if !errors.Is(err, ErrCannotHold) {
				return err
			}
			if e.skip == nil {
				return fmt.Errorf("value %q: %w", e.name, err)
			}
			e.skip(Skipped{Key: string(path), Value: true, Name: string(e.name), Err: err})
			e.buf = e.buf[:mark]
			e.leftOut("value", e.name, err)
		}
		if err := e.flush(flushAt); err != nil {
			return err
		}
	}
	return e.flush(flushAt)
}

func (e *exporter) value(v regf.Value) error {
	e.column = 0
	e.name = v.AppendName(e.name[:0])
	if err := nameFault(e.name); err != nil {
		return err
	}
	if len(e.name) == 0 {
		e.text("@=")
	} else {
		e.text(`"`)
		if err := e.escaped(e.name); err != nil {
			return err
		}
		e.text(`"=`)
	}
	if v.Tombstone() {
		e.text("-\r\n")
		return nil
	}
	data, err := v.Data()
	if err != nil {
		return err
	}
	typ := uint32(v.Type())
	switch {
	case typ == 1 && e.quoted(data):
		e.text("\r\n")
		return nil
	case typ == 4 && len(data) == 4:
		e.text("dword:")
		for i := 3; i >= 0; i-- {
			e.text(hexPairs[2*int(data[i]) : 2*int(data[i])+2])
		}
		e.text("\r\n")
		return nil
	case typ == 3:
		e.text("hex:")
	default:
		e.text(fmt.Sprintf("hex(%x):", typ))
	}
	if e.ansi && textType(typ) {
		// The reader will widen these bytes; if that does not restore the data, it cannot
		// be written.
		var ok bool
		if e.data, ok = utf16LEToANSI(e.data[:0], data); !ok {
			return fmt.Errorf("text that is not in Windows-1252: %w", ErrCannotHold)
		}
		data = e.data
	}
	e.hex(data)
	return nil
}

// escaped appends a name or text with the escapes of the format.
func (e *exporter) escaped(s []byte) error {
	for {
		i := 0
		for i < len(s) && s[i] != '\\' && s[i] != '"' {
			i++
		}
		if err := e.wide(s[:i]); err != nil {
			return err
		}
		if i == len(s) {
			return nil
		}
		e.text(`\` + string(rune(s[i])))
		s = s[i+1:]
	}
}

// quoted appends data as text in quotes if reading the text restores the data: whole UTF-16
// characters, no control character, one terminator at the end. Otherwise it appends
// nothing.
func (e *exporter) quoted(data []byte) bool {
	n := len(data)
	if n < 2 || n%2 != 0 || data[n-1] != 0 || data[n-2] != 0 {
		return false
	}
	data = data[:n-2]
	mark, column := len(e.buf), e.column
	e.text(`"`)
	high := false
	for i := 0; i < len(data); i += 2 {
		u := uint16(data[i]) | uint16(data[i+1])<<8
		low := u >= 0xDC00 && u < 0xE000
		if u < 0x20 && u != '\t' || high != low || e.ansi && u >= 0x80 && !inANSI(u) {
			e.buf, e.column = e.buf[:mark], column
			return false
		}
		high = u >= 0xD800 && u < 0xDC00
		if u == '\\' || u == '"' {
			e.text(`\`)
		}
		switch {
		case e.unit == 2:
			e.buf = append(e.buf, data[i], data[i+1])
		case u < 0x80:
			e.buf = append(e.buf, byte(u))
		case e.ansi:
			c, _ := ansiByte(u)
			e.buf = append(e.buf, c)
		case !high:
			from := i
			if low {
				from -= 2
			}
			e.buf = append(e.buf, winfs.DecodeUTF16LE(data[from:i+2])...)
		}
	}
	if high {
		e.buf, e.column = e.buf[:mark], column
		return false
	}
	e.text(`"`)
	return true
}

func inANSI(u uint16) bool {
	_, ok := ansiByte(u)
	return ok
}

// hexPairs holds the two digits of every byte.
var hexPairs = func() string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(digits[i>>4])
		b.WriteByte(digits[i&15])
	}
	return b.String()
}()

// hex appends bytes with commas, broken into lines as regedit does.
func (e *exporter) hex(data []byte) {
	for len(data) > 0 {
		n := max(1, (maxColumn-e.column)/3)
		last := n >= len(data)
		if last {
			n = len(data)
		}
		e.hexLine(data[:n])
		data = data[n:]
		if last {
			e.buf = e.buf[:len(e.buf)-e.unit] // no comma after the last byte
			break
		}
		e.text("\\\r\n")
		e.column = 0
		e.text("  ")
	}
	e.text("\r\n")
}

func (e *exporter) hexLine(data []byte) {
	if e.unit == 1 {
		for _, c := range data {
			e.buf = append(e.buf, hexPairs[2*int(c)], hexPairs[2*int(c)+1], ',')
		}
		return
	}
	for _, c := range data {
		e.buf = append(e.buf, hexPairs[2*int(c)], 0, hexPairs[2*int(c)+1], 0, ',', 0)
	}
}
