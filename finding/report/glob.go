package report

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// maxPattern bounds the length of a pattern in bytes, and with it the time of a match.
const maxPattern = 4096

// glob is a pattern for paths: * matches any characters but a separator, ** any
// characters, ? one character but a separator. Slash and backslash are the same, and so
// are upper and lower case as NTFS has them.
type glob []globPart

// globPart is a literal character, or one of the wildcards.
type globPart struct {
	r    rune
	wild wildcard
}

type wildcard uint8

const (
	literal wildcard = iota
	anyOne
	anyInName // *
	anyPath   // **
)

// parseGlob reads a pattern. The empty pattern is an error.
func parseGlob(s string) (glob, error) {
	switch {
	case s == "":
		return nil, fmt.Errorf("the pattern is empty")
	case len(s) > maxPattern:
		return nil, fmt.Errorf("the pattern has more than %d bytes", maxPattern)
	}
	var g glob
	runes := []rune(foldPath(s))
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '*' && i+1 < len(runes) && runes[i+1] == '*':
			for i+1 < len(runes) && runes[i+1] == '*' {
				i++
			}
			g = append(g, globPart{wild: anyPath})
		case r == '*':
			g = append(g, globPart{wild: anyInName})
		case r == '?':
			g = append(g, globPart{wild: anyOne})
		default:
			g = append(g, globPart{r: r})
		}
	}
	return g, nil
}

// literals returns the folded text before, between and behind the wildcards, one element for
// a pattern without any.
func (g glob) literals() []string {
	var runs []string
	var run strings.Builder
	for _, p := range g {
		if p.wild == literal {
			run.WriteRune(p.r)
			continue
		}
		runs = append(runs, run.String())
		run.Reset()
	}
	return append(runs, run.String())
}

// foldPath returns the form of a path that is compared.
func foldPath(s string) string { return winfs.Fold(strings.ReplaceAll(s, "/", `\`)) }

// match reports whether the whole of a folded path has the pattern. Its time is the length
// of the path times that of the pattern, for any pattern.
func (g glob) match(path string) bool {
	// at[i] is set if the path so far has the first i parts.
	at, next := make([]bool, len(g)+1), make([]bool, len(g)+1)
	at[0] = true
	from, to := 0, g.skipEmpty(at, 0, 0) // where at is set
	for _, r := range path {
		first, last := -1, 0 // where next is set, before skipEmpty
		for i := from; i <= to && i < len(g); i++ {
			if !at[i] {
				continue
			}
			switch p := g[i]; p.wild {
			case literal:
				next[i+1] = next[i+1] || p.r == r
			case anyOne:
				next[i+1] = next[i+1] || r != '\\'
			case anyInName:
				next[i] = next[i] || r != '\\'
			case anyPath:
				next[i] = true
			}
			if next[i] || next[i+1] {
				if first < 0 {
					first = i
				}
				last = i + 1
			}
		}
		if first < 0 {
			return false
		}
		clear(at[from : to+1])
		from, to = first, g.skipEmpty(next, first, last)
		at, next = next, at
	}
	return at[len(g)]
}

// skipEmpty lets the wildcards that match nothing do so. at is set from one index to
// another at most; the result is the new end.
func (g glob) skipEmpty(at []bool, from, to int) int {
	for i := from; i <= to && i < len(g); i++ {
		if at[i] && (g[i].wild == anyInName || g[i].wild == anyPath) {
			at[i+1] = true
			to = max(to, i+1)
		}
	}
	return to
}
