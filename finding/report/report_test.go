package report

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
)

var catalogue = finding.NewCatalogue("test")

var (
	ruleA = catalogue.Add(finding.Rule{ID: "a-rule", Severity: finding.Error, Least: finding.Info, Meaning: "Bad.", Mend: "Mend it."})
	ruleB = catalogue.Add(finding.Rule{ID: "b-rule", Severity: finding.Warning, Meaning: "Odd.", Mend: "Look."})
)

// yielding is a check with these findings, which err ends.
func yielding(err error, all ...finding.Finding) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		for _, f := range all {
			if !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(finding.Finding{}, err)
		}
	}
}

// recorder keeps what a report passes on.
type recorder struct {
	lines   []string
	summary Summary
	failure error
	err     error // of Finding
}

func (r *recorder) Finding(f finding.Finding, x *Ignore) error {
	line := f.String()
	if x != nil {
		line = "ignored " + line
	}
	r.lines = append(r.lines, line)
	return r.err
}

func (r *recorder) Close(s *Summary, failure error) error {
	r.summary, r.failure = *s, failure
	return nil
}

func ignore(t *testing.T, rule, path string) *Ignore {
	t.Helper()
	x, err := NewIgnore(rule, path, "known", "test")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestReport(t *testing.T) {
	all := []finding.Finding{
		ruleA.At(`Files\a`, 1, "one"), ruleA.At(`Files\b`, 2, "two"), ruleA.At(`Files\c`, 3, "three"),
		ruleB.At(`Files\a`, -1, "four"), ruleA.Lesser().At("", -1, "five"), ruleB.At(`Files\TMP\x`, -1, "six"),
	}
	tmp, unused := ignore(t, "b-rule", "files/tmp/*"), ignore(t, "a-rule", "nowhere")
	for _, c := range []struct {
		o       Options
		summary string
		failing int64
		more    string
		lines   []string
	}{
		{Options{}, "3 errors, 2 warnings, 1 info", 6, "", []string{
			`error a-rule "Files\a" at 0x1: one`, `error a-rule "Files\b" at 0x2: two`, `error a-rule "Files\c" at 0x3: three`,
			`warning b-rule "Files\a": four`, `info a-rule: five`, `warning b-rule "Files\TMP\x": six`}},
		{Options{Severity: finding.Warning, FailOn: finding.Error, PerRule: 2, Ignores: []*Ignore{unused, tmp}},
			"3 errors, 1 warning; 1 ignored; 1 of lower severity", 3, "1 more of a-rule", []string{
				`error a-rule "Files\a" at 0x1: one`, `error a-rule "Files\b" at 0x2: two`,
				`warning b-rule "Files\a": four`, `ignored warning b-rule "Files\TMP\x": six`}},
		{Options{Severity: finding.Error, FailOn: Never, PerRule: 1}, "3 errors; 3 of lower severity", 0, "2 more of a-rule",
			[]string{`error a-rule "Files\a" at 0x1: one`}},
	} {
		var w recorder
		s, err := New(&w, c.o).Run(yielding(nil, all...))
		if err != nil || s.String() != c.summary || s.Failing != c.failing || !slices.Equal(w.lines, c.lines) {
			t.Errorf("%q, %d failing, %v, %q; want %q, %d, %q", s, s.Failing, err, w.lines, c.summary, c.failing, c.lines)
		}
		var more []string
		for _, m := range w.summary.More {
			more = append(more, m.String())
		}
		if strings.Join(more, ", ") != c.more {
			t.Errorf("%q, want %q", more, c.more)
		}
	}
	if tmp.Used() != 1 || unused.Used() != 0 {
		t.Errorf("used %d and %d times", tmp.Used(), unused.Used())
	}
	if s := (&Summary{}).String(); s != "nothing found" {
		t.Errorf("%q", s)
	}
}

func TestReportErrors(t *testing.T) {
	var w recorder
	s, err := New(&w, Options{}).Run(yielding(context.Canceled, ruleA.At("", -1, "m")))
	if err != context.Canceled || w.failure != context.Canceled || s.Found() != 1 {
		t.Errorf("%v, %v, %v", s, err, w.failure)
	}
	full := errors.New("disk full")
	w = recorder{err: full}
	if _, err := New(&w, Options{}).Run(yielding(nil, ruleA.At("", -1, "m"))); err != full {
		t.Errorf("%v", err)
	}
}

// A million findings need no more memory than a few.
func TestReportBounded(t *testing.T) {
	var w recorder
	s, err := New(&w, Options{PerRule: 50}).Run(func(yield func(finding.Finding, error) bool) {
		f := ruleA.At(`Files\a`, 1, "m")
		for range 1_000_000 {
			if !yield(f, nil) {
				return
			}
		}
	})
	if err != nil || len(w.lines) != 50 || len(s.More) != 1 || s.More[0].String() != "999,950 more of a-rule" || s.String() != "1,000,000 errors" {
		t.Errorf("%d lines, %v, %v, %v", len(w.lines), s, s.More, err)
	}
}

func TestIgnore(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"", "", true},
		{"", `Files\a`, true},
		{"Files/a", `Files\a`, true},
		{`files\A`, `Files\a`, true},
		{"Files/a", `Files\ab`, false},
		{"Files/*", `Files\a`, true},
		{"Files/*", `Files\a\b`, false},
		{"Files/**", `Files\a\b`, true},
		{"**/b", `Files\a\b`, true},
		{"**", "", false}, // a finding without a path is about more than a path
		{"*.log", `x.LOG`, true},
		{"Files/?.log", `Files\ü.log`, true},
		{"Files?a", `Files\a`, false},
		{"Files/*a*b*c", `Files\xaxbxc`, true},
		{"Files/***x", `Files\a\x`, true},
		{"GRÜN", "grün", true},
		{"x\xed\xa0\x80", "X\xed\xa0\x80", true},
		{"x\xed\xa0\x80*", "X\xed\xa0\x80y", true},
		{"ab*ba", "aba", false},
	} {
		index := newIgnoreIndex([]*Ignore{ignore(t, "a-rule", c.pattern)})
		if got := index.find(ruleA.At(c.path, -1, "m")) != nil; got != c.want {
			t.Errorf("%q on %q is %v", c.pattern, c.path, got)
		}
		if index.find(ruleB.At(c.path, -1, "m")) != nil {
			t.Errorf("%q matches another rule", c.pattern)
		}
	}
	if _, err := NewIgnore("r", strings.Repeat("a", maxPattern+1), "", ""); err == nil {
		t.Error("a pattern of any length is accepted")
	}
	if x := ignore(t, "r", "p"); x.String() != "r:p" {
		t.Error(x)
	}
	if x := ignore(t, "r", ""); x.String() != "r" {
		t.Error(x)
	}
}

// TestIgnoreIndex: whatever their number and kinds, the first Ignore that matches counts, as
// in a plain search.
func TestIgnoreIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	text := func(wild bool) string {
		s := ""
		for range 1 + rnd.IntN(4) {
			if wild && rnd.IntN(4) == 0 {
				s += pick("*", "**", "?")
			} else {
				s += pick("a", "B", "/", "ü", "\xff")
			}
		}
		return s
	}
	excused := 0
	for range 300 {
		var all []*Ignore
		for range rnd.IntN(40) {
			path := text(rnd.IntN(2) == 0)
			if rnd.IntN(60) == 0 {
				path = ""
			}
			all = append(all, ignore(t, pick("a-rule", "b-rule"), path))
		}
		index := newIgnoreIndex(all)
		for range 50 {
			path := ""
			if rnd.IntN(20) > 0 {
				path = text(false)
			}
			var want *Ignore
			for _, x := range all {
				if x.Rule == ruleA.ID && (x.Path == "" || path != "" && x.pattern.match(foldPath(path))) {
					want = x
					break
				}
			}
			if got := index.find(ruleA.At(path, -1, "m")); got != want {
				t.Fatalf("%q: %v, want %v of %v", path, got, want, all)
			}
			if want != nil {
				excused++
			}
		}
	}
	if excused < 1000 {
		t.Errorf("%d findings were excused", excused)
	}
}

// BenchmarkManyIgnores asks 13,000 Ignores about a finding that none excuses.
func BenchmarkManyIgnores(b *testing.B) {
	for _, pattern := range []string{"Files/app/node_modules/m%d/x", "Files/app/node_modules/m%d/**", "**/m%d/*"} {
		var all []*Ignore
		for i := range 13000 {
			x, err := NewIgnore("a-rule", fmt.Sprintf(pattern, i), "known", "test")
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, x)
		}
		index := newIgnoreIndex(all)
		f := ruleA.At(`Files\app\node_modules\other\lib\file.js`, -1, "m")
		b.Run(pattern, func(b *testing.B) {
			for b.Loop() {
				if index.find(f) != nil {
					b.Fatal("it is excused")
				}
			}
		})
	}
}

// FuzzGlob compares the matcher with a plain recursive one.
func FuzzGlob(f *testing.F) {
	f.Add("**/a*?", `Files\b\abc`)
	f.Add("*a*a*a*b", "aaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern) > 12 || len(path) > 24 {
			return
		}
		g, err := parseGlob(pattern)
		if err != nil {
			return
		}
		folded := foldPath(path)
		if got, want := g.match(folded), plainMatch(g, []rune(folded)); got != want {
			t.Errorf("%q on %q is %v, not %v", pattern, path, got, want)
		}
	})
}

func plainMatch(g glob, path []rune) bool {
	if len(g) == 0 {
		return len(path) == 0
	}
	if wild := g[0].wild; wild == anyInName || wild == anyPath {
		if plainMatch(g[1:], path) {
			return true
		}
		return len(path) > 0 && (wild == anyPath || path[0] != '\\') && plainMatch(g, path[1:])
	}
	if len(path) == 0 || g[0].wild == literal && g[0].r != path[0] || g[0].wild == anyOne && path[0] == '\\' {
		return false
	}
	return plainMatch(g[1:], path[1:])
}
