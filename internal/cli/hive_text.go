package cli

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// namedTypes is the number of types that have a name.
const namedTypes = regf.RegQword + 1

// parseType reads a name or a number.
func parseType(s string) (regf.Type, error) {
	name := strings.TrimSuffix(strings.ToUpper(s), "_LITTLE_ENDIAN")
	var names []string
	for t := range namedTypes {
		if t.String() == name {
			return t, nil
		}
		names = append(names, t.String())
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, usagef("-t %s: not a type: %s, or a number", s, strings.Join(names, ", "))
	}
	return regf.Type(n), nil
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
	text := regf.StringData
	number := func(bits int) (uint64, error) {
		n, err := strconv.ParseUint(s, 0, bits)
		if err != nil {
			return 0, usagef("-d %q: not a number of %d bits", s, bits)
		}
		return n, nil
	}
	switch t {
	case regf.RegSZ, regf.RegExpandSZ:
		return text(s), nil
	case regf.RegLink:
		return winfs.AppendUTF16LE(nil, s), nil
	case regf.RegMultiSZ:
		var b []byte
		if s != "" {
			for part := range strings.SplitSeq(strings.TrimSuffix(s, `\0`), `\0`) {
				if part == "" {
					return nil, usagef("-d %s: a list of texts cannot hold an empty one", s)
				}
				b = append(b, text(part)...)
			}
		}
		return append(b, 0, 0), nil
	case regf.RegDword:
		n, err := number(32)
		return binary.LittleEndian.AppendUint32(nil, uint32(n)), err
	case regf.RegDwordBigEndian:
		n, err := number(32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	case regf.RegQword:
		n, err := number(64)
		return binary.LittleEndian.AppendUint64(nil, n), err
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, usagef("-d %s: data of type %s must be hexadecimal", s, t)
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
