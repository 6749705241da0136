package report

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mullion/mullion/finding"
)

// ignoreIndex finds the first of many Ignores that excuses a finding. A path without
// wildcards is looked up; a pattern is matched only if the literal text in it is in the path.
type ignoreIndex map[string]*ruleIgnores // by the ID of the rule

// ruleIgnores are the Ignores of one rule.
type ruleIgnores struct {
	all     placedIgnore            // the first without a path
	literal map[string]placedIgnore // the first of each folded path
	wild    map[string][]wildIgnore // by the literal text at the start, each in their order
	lengths []int                   // of the keys of wild, ascending
}

// placedIgnore is an Ignore with its place among all.
type placedIgnore struct {
	*Ignore
	place int
}

type wildIgnore struct {
	placedIgnore
	suffix string // literal text at the end of the pattern
	inner  string // the longest literal text
}

func newIgnoreIndex(all []*Ignore) ignoreIndex {
	index := ignoreIndex{}
	for place, x := range all {
		r := index[x.Rule]
		if r == nil {
			r = &ruleIgnores{all: placedIgnore{place: math.MaxInt}, literal: map[string]placedIgnore{}, wild: map[string][]wildIgnore{}}
			index[x.Rule] = r
		}
		p := placedIgnore{x, place}
		runs := x.pattern.literals()
		switch {
		case x.Path == "":
			if r.all.Ignore == nil {
				r.all = p
			}
		case len(runs) == 1:
			if _, ok := r.literal[runs[0]]; !ok {
				r.literal[runs[0]] = p
			}
		default:
			w := wildIgnore{placedIgnore: p, suffix: runs[len(runs)-1]}
			for _, run := range runs {
				if len(run) > len(w.inner) {
					w.inner = run
				}
			}
			if r.wild[runs[0]] == nil {
				r.lengths = append(r.lengths, len(runs[0]))
			}
			r.wild[runs[0]] = append(r.wild[runs[0]], w)
		}
	}
	for _, r := range index {
		slices.Sort(r.lengths)
		r.lengths = slices.Compact(r.lengths)
	}
	return index
}

// find returns the first Ignore that excuses f, or nil.
func (index ignoreIndex) find(f finding.Finding) *Ignore {
	r := index[f.Rule]
	if r == nil {
		return nil
	}
	best := r.all
	if f.Path == "" || len(r.literal)+len(r.wild) == 0 {
		return best.Ignore
	}
	folded := foldPath(f.Path)
	if !utf8.ValidString(folded) {
		folded = string([]rune(folded)) // as the literals of a pattern are
	}
	if p, ok := r.literal[folded]; ok && p.place < best.place {
		best = p
	}
	for _, n := range r.lengths {
		if n > len(folded) {
			break
		}
		for i, list := 0, r.wild[folded[:n]]; i < len(list) && list[i].place < best.place; i++ {
			w := &list[i]
			if strings.HasSuffix(folded, w.suffix) && strings.Contains(folded, w.inner) && w.pattern.match(folded) {
				best = w.placedIgnore
			}
		}
	}
	return best.Ignore
}
