package cli

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// parseType reads a name or a number.
func parseType(s string) (regf.Type, error) {
	t, err := regf.ParseType(s)
	if err != nil {
		return 0, usagef("-t %s: %v", s, err)
	}
	return t, nil
}

// valueText formats the data of a value like reg query.
func valueText(t regf.Type, data []byte) string {
	switch {
	case (t == regf.RegSZ || t == regf.RegExpandSZ || t == regf.RegLink) && len(data)%2 == 0:
		text := winfs.DecodeUTF16LE(data)
		if s, ok := strings.CutSuffix(text, "\x00"); ok || t == regf.RegLink {
			text = s
		}
		return escapeControl(text)
	case t == regf.RegMultiSZ && len(data)%2 == 0:
		text := strings.TrimSuffix(winfs.DecodeUTF16LE(data), "\x00")
		text = strings.TrimSuffix(text, "\x00")
		parts := strings.Split(text, "\x00")
		for i, p := range parts {
			parts[i] = escapeControl(p)
		}
		return strings.Join(parts, `\0`)
	case t == regf.RegDword && len(data) == 4:
		return fmt.Sprintf("0x%x", binary.LittleEndian.Uint32(data))
	case t == regf.RegDwordBigEndian && len(data) == 4:
		return fmt.Sprintf("0x%x", binary.BigEndian.Uint32(data))
	case t == regf.RegQword && len(data) == 8:
		return fmt.Sprintf("0x%x", binary.LittleEndian.Uint64(data))
	}
	return strings.ToUpper(hex.EncodeToString(data))
}

// parseData parses the data of a value in the form that reg add accepts.
func parseData(t regf.Type, s string) ([]byte, error) {
	b, err := regf.ParseData(t, s, `\0`)
	if err != nil {
		return nil, usagef("-d %s: %v", s, err)
	}
	return b, nil
}

// escapeControl makes text safe for a terminal: unprintable characters and lone
// surrogates become \uXXXX, bytes that are not part of a character become \xXX.
// Backslashes are not escaped.
func escapeControl(s string) string { return escapeWith(s, `\u%04x`) }

// escapeWith formats the UTF-16 units of unprintable characters with form.
func escapeWith(s, form string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, u := range splitRunes(s) {
		r, n := utf8.DecodeRuneInString(u)
		if r == utf8.RuneError && len(u) == 1 {
			fmt.Fprintf(&b, `\x%02x`, u[0])
			continue
		}
		if n == len(u) && unicode.IsPrint(r) {
			b.WriteString(u)
			continue
		}
		for _, unit := range winfs.AppendUTF16(nil, u) {
			fmt.Fprintf(&b, form, unit)
		}
	}
	return b.String()
}

// splitRunes cuts WTF-8 into characters, lone surrogates included.
func splitRunes(s string) []string {
	var out []string
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		if len(s) >= 3 && s[0] == 0xED && s[1] >= 0xA0 {
			n = 3
		}
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}
