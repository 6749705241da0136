package offline

import "strings"

// splitArgs cuts a command line into arguments as CommandLineToArgvW and the C runtime do
// (MS Learn, "Parsing C command-line arguments"): blanks separate, quotes hold together,
// 2n backslashes before a quote are n backslashes, one more makes the quote literal, and
// two quotes inside quotes are one.
func splitArgs(t text) []text {
	var args []text
	for i := 0; i < t.len(); {
		if t.s[i] == ' ' || t.s[i] == '\t' {
			i++
			continue
		}
		var b builder
		start := i
		quoted := false
	arg:
		for i < t.len() {
			switch c := t.s[i]; {
			case c == '\\':
				n := 0
				for i+n < t.len() && t.s[i+n] == '\\' {
					n++
				}
				if i+n == t.len() || t.s[i+n] != '"' {
					b.add(t.sub(i, i+n))
					i += n
					continue
				}
				b.add(t.sub(i, i+n/2))
				i += n
				if n%2 == 1 {
					b.add(t.sub(i, i+1))
					i++
				}
			case c == '"' && quoted && i+1 < t.len() && t.s[i+1] == '"':
				b.add(t.sub(i, i+1))
				i += 2
			case c == '"':
				quoted = !quoted
				i++
			case !quoted && (c == ' ' || c == '\t'):
				break arg
			default:
				b.add(t.sub(i, i+1))
				i++
			}
		}
		arg := b.text()
		if arg.len() == 0 {
			arg.at = t.at[start:start] // keeps no place, and is empty
		}
		args = append(args, arg)
	}
	return args
}

// joinArgs makes the command line that splitArgs takes apart again, as Go and other
// runtimes on Windows make it.
func joinArgs(args []string) string {
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if a != "" && !strings.ContainsAny(a, " \t\"\n\v") {
			b.WriteString(a)
			continue
		}
		b.WriteByte('"')
		slashes := 0
		for j := range len(a) {
			switch a[j] {
			case '\\':
				slashes++
				b.WriteByte('\\')
				continue
			case '"':
				b.WriteString(strings.Repeat(`\`, slashes+1))
			}
			slashes = 0
			b.WriteByte(a[j])
		}
		b.WriteString(strings.Repeat(`\`, slashes))
		b.WriteByte('"')
	}
	return b.String()
}
