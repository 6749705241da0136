package regf

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// A path is the names of keys, separated by backslashes. Windows never makes a name with a
// backslash, but a file can hold one, and names can hold characters that cannot be typed.
// So in a path two backslashes, the letter u and four hexadecimal digits encode a UTF-16
// unit: a\\u005cb is one name, with one backslash in it. Two backslashes elsewhere are a
// separator, as one is.

const escapeLen = len(`\\u0000`)

// escapeAt decodes an escape at the start of s.
func escapeAt(s string) (unit uint16, ok bool) {
	if len(s) < escapeLen || s[:3] != `\\u` {
		return 0, false
	}
	for _, c := range []byte(s[3:escapeLen]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | uint16(c)
	}
	return unit, true
}

// cutName cuts a path after its first name, which may be empty, and decodes that name.
func cutName(path string) (name, rest string) {
	var units []uint16
	from, escaped := 0, false
	for i := 0; i < len(path); {
		if path[i] != '\\' {
			i++
			continue
		}
		u, ok := escapeAt(path[i:])
		if !ok {
			path, rest = path[:i], path[i+1:]
			break
		}
		units = append(winfs.AppendUTF16(units, path[from:i]), u)
		i += escapeLen
		from, escaped = i, true
	}
	if !escaped {
		return path, rest
	}
	return winfs.DecodeUTF16(winfs.AppendUTF16(units, path[from:])), rest
}

// SplitPath returns the names in a path, escapes decoded. Separators at its ends and
// repeated ones are ignored.
func SplitPath(path string) []string {
	var names []string
	for path != "" {
		var name string
		if name, path = cutName(path); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// JoinPath returns the path made of names, the highest first. A backslash in a name is
// escaped, so that SplitPath returns the same names.
func JoinPath(names ...string) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteByte('\\')
		}
		b.WriteString(strings.ReplaceAll(n, `\`, `\\u005c`))
	}
	return b.String()
}

// UnescapeName decodes the escapes of a path in a text that is one name: backslashes that
// start no escape are kept.
func UnescapeName(s string) string {
	var units []uint16
	from := 0
	for i := 0; i < len(s); {
		u, ok := escapeAt(s[i:])
		if !ok {
			i++
			continue
		}
		units = append(winfs.AppendUTF16(units, s[from:i]), u)
		i += escapeLen
		from = i
	}
	if from == 0 {
		return s
	}
	return winfs.DecodeUTF16(winfs.AppendUTF16(units, s[from:]))
}
