package offline

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// expandCmd replaces variables in a line as cmd does in a line that is not in a batch
// file: a name that is not set stays as it is, percent signs included, and %% is two
// percent signs.
func expandCmd(t text, lookup func(name string) (string, bool, error)) (text, error) {
	if winfs.UTF16Len(t.s) > maxLine {
		return t, &wordError{at: -1, err: fmt.Errorf("%w of a line, %d characters", ErrLimit, maxLine)}
	}
	var b builder
	for i := 0; i < t.len(); {
		if t.s[i] != '%' {
			b.add(t.sub(i, i+1))
			i++
			continue
		}
		value, n, err := expandOne(t.s[i:], lookup)
		if err != nil {
			return t, &wordError{at: int(t.at[i]), word: t.s[i:min(i+max(n, 1), t.len())], err: err}
		}
		if n == 0 {
			b.add(t.sub(i, i+1))
			i++
			continue
		}
		b.put(value, t.at[i])
		i += n
		if b.len() > 4*maxLine {
			break
		}
	}
	out := b.text()
	if winfs.UTF16Len(out.s) > maxLine {
		return t, &wordError{at: -1, err: fmt.Errorf("%w of an expanded line, %d characters", ErrLimit, maxLine)}
	}
	return out, nil
}

// expandOne reads %NAME%, %NAME:a=b% or %NAME:~n,m% at the start of s. n is its length, 0
// if s starts with a plain percent sign.
func expandOne(s string, lookup func(string) (string, bool, error)) (value string, n int, err error) {
	i := 1 + strings.IndexAny(s[1:], "%:")
	if i == 0 {
		return "", 0, nil
	}
	if s[i] == ':' && i+1 < len(s) && s[i+1] == '%' {
		i++ // the colon belongs to the name
	}
	name := s[1:i]
	if name == "" {
		return "", 0, nil
	}
	end := i
	if s[i] == ':' {
		j := strings.IndexByte(s[i+1:], '%')
		if j < 0 {
			return "", 0, nil
		}
		end = i + 1 + j
	}
	value, ok, err := lookup(name)
	if err != nil {
		return "", end + 1, err
	}
	if !ok {
		return "", 0, nil
	}
	if s[i] == ':' {
		if value, err = modify(value, s[i+1:end]); err != nil {
			return "", end + 1, err
		}
	}
	return value, end + 1, nil
}

// modify applies ~n,m or a=b to a value.
func modify(value, how string) (string, error) {
	if rest, ok := strings.CutPrefix(how, "~"); ok {
		from, count, hasCount := strings.Cut(rest, ",")
		units := winfs.AppendUTF16(nil, value)
		number := func(s string) (int, error) {
			if s = strings.TrimSpace(s); s == "" {
				return 0, nil
			}
			n, err := strconv.Atoi(s)
			if err != nil {
				return 0, fmt.Errorf("%w: %q is no number", ErrNotOffline, s)
			}
			return n, nil
		}
		i, err := number(from)
		if err != nil {
			return "", err
		}
		if i < 0 {
			i = max(0, len(units)+i)
		}
		i = min(i, len(units))
		j := len(units)
		if hasCount {
			n, err := number(count)
			if err != nil {
				return "", err
			}
			if n < 0 {
				j = max(i, len(units)+n)
			} else {
				j = min(len(units), i+min(n, len(units)))
			}
		}
		return winfs.DecodeUTF16(units[i:j]), nil
	}
	old, by, ok := strings.Cut(how, "=")
	if !ok || old == "" {
		return "", fmt.Errorf("%w: neither :~first,count nor :old=new", ErrSyntax)
	}
	if rest, star := strings.CutPrefix(old, "*"); star {
		// Everything up to the first rest is replaced.
		if rest == "" {
			return "", fmt.Errorf("%w: %q", ErrNotOffline, how)
		}
		if i, n := indexFold(value, rest); i >= 0 {
			return by + value[i+n:], nil
		}
		return value, nil
	}
	var b strings.Builder
	for {
		i, n := indexFold(value, old)
		if i < 0 || b.Len() > 4*maxLine {
			b.WriteString(value)
			return b.String(), nil
		}
		b.WriteString(value[:i])
		b.WriteString(by)
		value = value[i+n:]
	}
}

// indexFold finds sub in s without regard to case, and the length of what it found.
func indexFold(s, sub string) (int, int) {
	want := winfs.UTF16Len(sub)
	for i := range s {
		j, units := i, 0
		for k := range s[i:] {
			if units >= want {
				break
			}
			_ = k
			_, size := decodeRune(s[j:])
			units += winfs.UTF16Len(s[j : j+size])
			j += size
		}
		if units == want && winfs.EqualFold(s[i:j], sub) {
			return i, j - i
		}
	}
	return -1, 0
}

// decodeRune returns one character of WTF-8 and its length.
func decodeRune(s string) (string, int) {
	n := 1
	switch c := s[0]; {
	case c >= 0xF0:
		n = 4
	case c >= 0xE0:
		n = 3
	case c >= 0xC0:
		n = 2
	}
	n = min(n, len(s))
	return s[:n], n
}
