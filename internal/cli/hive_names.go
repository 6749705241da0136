package cli

import (
	"strings"

	"github.com/mullion/mullion/regf"
)

// Names of keys and values are printed as they are taken on the command line: what is
// not printable is \\uXXXX, see regf.SplitPath. One backslash less would be a key
// whose name begins with u.

// escapePath is the path of a key as text.
func escapePath(path string) string { return escapeWith(path, `\\u%04x`) }

// escapeName is the name of a value as text. One that looks like an escape gets its
// first backslash escaped.
func escapeName(name string) string {
	var b strings.Builder
	for {
		i := strings.Index(name, `\\u`)
		if i < 0 {
			break
		}
		b.WriteString(name[:i])
		if regf.UnescapeName(name[i:min(len(name), i+len(`\\u0000`))]) != name[i:min(len(name), i+len(`\\u0000`))] {
			b.WriteString(`\\u005c`)
		} else {
			b.WriteByte('\\')
		}
		name = name[i+1:]
	}
	return escapePath(b.String() + name)
}

// escapeValueName is the name of a value in a listing, where the default value has a
// name that no other one may have.
func escapeValueName(name string) string {
	const byDefault = "(Default)"
	switch name {
	case "":
		return byDefault
	case byDefault:
		return `\\u0028` + byDefault[1:]
	}
	return escapeName(name)
}

// hiveHeading is a path as a line of its own; the root is a backslash.
func hiveHeading(path string) string { return `\` + escapePath(path) }

// quotePath and quoteName show a path and the name of a value in a message.
func quotePath(path string) string { return `"` + escapePath(path) + `"` }
func quoteName(name string) string { return `"` + escapeName(name) + `"` }
