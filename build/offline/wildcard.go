package offline

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// matchPattern reports whether a name matches a pattern of Win32 with * and ?, without
// regard to case. As FindFirstFile and the file system do it: "*.*" matches every name, a
// last "." in a pattern such as "*." asks for names without an extension, and a ? at the
// end, or before a dot, also matches no character. Short names are not compared.
func matchPattern(pattern, name string) bool {
	if pattern == "*" || pattern == "*.*" {
		return true
	}
	// Win32 turns the characters of DOS patterns into those of NTFS (MS-FSA 2.1.4.4,
	// "Algorithm for Determining if a FileName Is in an Expression").
	plain := strings.TrimRight(pattern, ".")
	p := winfs.AppendUTF16(nil, winfs.Fold(plain))
	for i := range p {
		switch {
		case p[i] == '?':
			p[i] = dosQM
		case p[i] == '.' && i+1 < len(p) && (p[i+1] == '?' || p[i+1] == '*'):
			p[i] = dosDot
		case p[i] == '*' && (i+1 < len(p) && p[i+1] == '.' || i+1 == len(p) && plain != pattern):
			p[i] = dosStar
		}
	}
	return matchUnits(p, winfs.AppendUTF16(nil, winfs.Fold(name)))
}

// The characters of patterns that NTFS knows besides * and ?.
const (
	dosStar = '<' // like *, but not beyond the last dot
	dosQM   = '>' // one character, or none before a dot and at the end
	dosDot  = '"' // a dot, or the end
)

// matchUnits keeps the set of positions in the pattern that are reached, so that its time
// is the product of both lengths.
func matchUnits(p, name []uint16) bool {
	lastDot := -1
	for i, u := range name {
		if u == '.' {
			lastDot = i
		}
	}
	now, next := make([]bool, len(p)+1), make([]bool, len(p)+1)
	// close adds the positions that are reached without a character. i is the position in
	// the name.
	closure := func(set []bool, i int) {
		end := i == len(name)
		for k, u := range p {
			if !set[k] {
				continue
			}
			switch {
			case u == '*', u == dosStar:
				set[k+1] = true
			case u == dosQM && (end || name[i] == '.'):
				set[k+1] = true
			case u == dosDot && end:
				set[k+1] = true
			}
		}
	}
	now[0] = true
	closure(now, 0)
	for i, u := range name {
		clear(next)
		for k, w := range p {
			if !now[k] {
				continue
			}
			switch {
			case w == '*':
				next[k] = true
			case w == dosStar:
				if i != lastDot {
					next[k] = true
				}
			case w == dosQM:
				if u != '.' {
					next[k+1] = true
				}
			case w == dosDot:
				if u == '.' {
					next[k+1] = true
				}
			case w == u:
				next[k+1] = true
			}
		}
		now, next = next, now
		closure(now, i+1)
	}
	return now[len(p)]
}

// renamed applies a target pattern to a name, as ren and copy do: ? takes the character
// at its place, * takes the rest up to the last occurrence of the character that follows it
// in the pattern, at the end everything; a dot skips to after the next dot of the name.
// Patterns in which the rules of Windows are not documented are not accepted (ok).
func renamed(pattern, name string) (out string, ok bool) {
	if !hasPattern(pattern) {
		return pattern, true
	}
	// The forms that are plain: a stem and an extension, each without a pattern, or * alone,
	// or ? alone with all letters literal.
	stem, ext, hasExt := strings.Cut(pattern, ".")
	if strings.Contains(ext, ".") {
		return "", false
	}
	base, suffix, hasSuffix := name, "", false
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		base, suffix, hasSuffix = name[:i], name[i+1:], true
	}
	if strings.Contains(base, ".") {
		return "", false
	}
	part := func(pattern, value string) (string, bool) {
		switch {
		case pattern == "*":
			return value, true
		case !hasPattern(pattern):
			return pattern, true
		}
		return "", false
	}
	a, ok := part(stem, base)
	if !ok {
		return "", false
	}
	if !hasExt {
		// "*" alone keeps the whole name.
		if pattern == "*" {
			return name, true
		}
		return "", false
	}
	b, ok := part(ext, suffix)
	if !ok {
		return "", false
	}
	if b == "" && (!hasSuffix || ext != "*") {
		return a, true
	}
	return a + "." + b, true
}
