package cli

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/regf"
)

// Printed names are accepted on the command line.
func TestNamesCanBePastedBack(t *testing.T) {
	for name, want := range map[string]string{
		"":               `(Default)`,
		"(Default)":      `\\u0028Default)`,
		`C:\x\y`:         `C:\x\y`,
		"a\x00b":         `a\\u0000b`,
		"a\r\n[k]":       `a\\u000d\\u000a[k]`,
		`\\u0041`:        `\\u005c\u0041`,
		`\\u`:            `\\u`,
		"a/b":            `a/b`,
		"\u202ex":        `\\u202ex`,
		"\xed\xa0\x80":   `\\ud800`,
		`\\server\share`: `\\server\share`,
		`\\users\u00e4`:  `\\users\u00e4`,
	} {
		if got := escapeValueName(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{`\`, `\`, "u", "0041", "0", "a", "\x00", "\n", "é", "\xed\xa0\x80", "\u2028"}
	var names []string
	for range 5000 {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		name := b.String()
		text := escapeName(name)
		if got := regf.UnescapeName(text); got != name {
			t.Fatalf("%q is printed as %s, which is %q", name, text, got)
		}
		if escapeWith(text, "!") != text {
			t.Fatalf("%q is printed as %q", name, text)
		}
		if names = append(names, name); len(names) == 4 {
			text := hiveHeading(regf.JoinPath(names...))
			if got := regf.SplitPath(text); !slices.Equal(got, names) {
				t.Fatalf("%q: printed as %s, which is %q", names, text, got)
			}
			names = names[:0]
		}
	}
}
