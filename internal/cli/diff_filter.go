package cli

import (
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// pathFilter selects paths by globs.
type pathFilter struct{ only, exclude []pathGlob }

// pathGlob is a glob, folded and cut into names.
type pathGlob []string

func newPathFilter(only, exclude []string) (f pathFilter, err error) {
	for _, list := range []struct {
		from []string
		to   *[]pathGlob
		flag string
	}{{only, &f.only, "only"}, {exclude, &f.exclude, "exclude"}} {
		for _, text := range list.from {
			g := strings.Trim(winfs.Fold(strings.ReplaceAll(text, "/", `\`)), `\`)
			if g == "" {
				return f, usagef("--%s %q: the pattern is empty", list.flag, text)
			}
			names := strings.Split(g, `\`)
			if len(names) == 1 {
				names = []string{"**", g}
			}
			*list.to = append(*list.to, registryNames(names))
		}
	}
	return f, nil
}

// registryNames replaces the first names of a glob that begins as a key of the registry does
// by those that diff prints: HKLM for HKEY_LOCAL_MACHINE, and so on.
func registryNames(names []string) []string {
	short, ok := map[string][]string{
		"HKEY_LOCAL_MACHINE": {"HKLM"}, "HKLM:": {"HKLM"}, "HKEY_USERS": {"HKU"}, "HKU:": {"HKU"},
		"HKCU": {"HKU", ".DEFAULT"}, "HKEY_CURRENT_USER": {"HKU", ".DEFAULT"}, "HKCU:": {"HKU", ".DEFAULT"},
		"HKCR": {"HKLM", "SOFTWARE", "CLASSES"}, "HKEY_CLASSES_ROOT": {"HKLM", "SOFTWARE", "CLASSES"}, "HKCR:": {"HKLM", "SOFTWARE", "CLASSES"},
	}[strings.ToUpper(names[0])]
	if !ok {
		return names
	}
	list := slices.Clone(names[1:])
	for i := len(short) - 1; i >= 0; i-- {
		list = slices.Insert(list, 0, winfs.Fold(short[i]))
	}
	return list
}

// controlSet returns the filter with a control set in place of CurrentControlSet, which no
// hive has. resolve is called if a glob names it.
func (f pathFilter) controlSet(resolve func() (string, error)) (pathFilter, error) {
	current, set := []string{winfs.Fold("HKLM"), winfs.Fold("SYSTEM"), winfs.Fold("CurrentControlSet")}, ""
	replace := func(list []pathGlob) ([]pathGlob, error) {
		list = slices.Clone(list)
		for i, g := range list {
			if len(g) < len(current) || !slices.Equal([]string(g[:len(current)]), current) {
				continue
			}
			if set == "" {
				name, err := resolve()
				if err != nil {
					return nil, err
				}
				set = winfs.Fold(name)
			}
			list[i] = slices.Clone(g)
			list[i][len(current)-1] = set
		}
		return list, nil
	}
	var err error
	if f.only, err = replace(f.only); err == nil {
		f.exclude, err = replace(f.exclude)
	}
	return f, err
}

// empty reports whether the filter keeps everything.
func (f pathFilter) empty() bool { return len(f.only) == 0 && len(f.exclude) == 0 }

// keeps reports whether a path is selected.
func (f pathFilter) keeps(path string) bool {
	if f.empty() {
		return true
	}
	names := strings.Split(winfs.Fold(path), `\`)
	any := func(list []pathGlob) bool {
		for _, g := range list {
			if g.matches(names) {
				return true
			}
		}
		return false
	}
	return (len(f.only) == 0 || any(f.only)) && !any(f.exclude)
}

// matches reports whether the glob matches a path or a directory above it. The time is that
// of names times patterns.
func (g pathGlob) matches(names []string) bool {
	// reached[i] says that the patterns so far match the first i names.
	reached := make([]bool, len(names)+1)
	reached[0] = true
	for _, p := range g {
		next := make([]bool, len(names)+1)
		for i, ok := range reached {
			if p == "**" {
				next[i] = next[i] || ok || i > 0 && next[i-1]
			} else if ok && i < len(names) && matchName(p, names[i]) {
				next[i+1] = true
			}
		}
		reached = next
	}
	for _, ok := range reached[1:] {
		if ok {
			return true
		}
	}
	return false
}

// matchName matches one name against * and ?, in time of their product.
func matchName(p, name string) bool {
	pattern, text := []rune(p), []rune(name)
	star, from := -1, 0
	i, j := 0, 0
	for j < len(text) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, from = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == text[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}
