package cli

import (
	"strings"

	"github.com/mullion/mullion/regf"
)

// Names of keys and values are printed in the form that the command line accepts:
// unprintable characters are \\uXXXX, see regf.SplitPath. A single backslash would
// separate a key whose name starts with u.

// escapePath returns the path of a key as text.
func escapePath(path string) string { return escapeWith(path, `\\u%04x`) }

// escapeName returns the name of a value as text. In a name that looks like an escape,
// the first backslash is escaped.
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

// escapeValueName returns the name of a value for a listing. The default value is listed
// as (Default); a value with that name is escaped.
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

// hiveHeading returns a path with a leading backslash, as listings print it.
func hiveHeading(path string) string { return `\` + escapePath(path) }

// quotePath and quoteName quote a path and the name of a value for a message.
func quotePath(path string) string { return `"` + escapePath(path) + `"` }
func quoteName(name string) string { return `"` + escapeName(name) + `"` }
