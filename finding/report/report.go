package report

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/mullion/mullion/finding"
)

// Never is the value of [Options.FailOn] with which no finding fails.
const Never = finding.Error + 1

// Options select the findings of a report. The zero value reports and fails on all.
type Options struct {
	// Severity is the lowest severity that is reported. Findings below it are counted only.
	Severity finding.Severity
	// FailOn is the lowest severity that fails, Never for none. Findings that are not
	// reported do not fail. The zero value is Severity.
	FailOn finding.Severity
	// Ignores excuse findings. The first that matches counts.
	Ignores []*Ignore
	// PerRule bounds the findings of one rule that are passed to the writer, those that are
	// excused counted apart; 0 is no bound.
	PerRule int64
}

// Writer writes the findings of one check in one format.
type Writer interface {
	// Finding writes one finding. ignored is the reason to excuse it, or nil.
	Finding(f finding.Finding, ignored *Ignore) error
	// Close completes the document. failure is the reason why the check could not go on,
	// nil if it came to its end.
	Close(s *Summary, failure error) error
}

// Summary counts the findings of a check.
type Summary struct {
	Errors   int64 // reported findings, neither excused nor below the severity
	Warnings int64
	Infos    int64
	Failing  int64 // of these, from FailOn on
	Ignored  int64 // excused
	Below    int64 // below the severity
	// More has for each rule the findings that are counted above and were not passed to the
	// writer, ordered by rule.
	More []More
}

// More is a number of findings of one rule that were counted and not written.
type More struct {
	Rule string
	N    int64
}

// String formats the number as "999,950 more of duplicate-entry".
func (m More) String() string { return grouped(m.N) + " more of " + m.Rule }

// grouped formats a number with a comma after each third digit.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Found returns the number of reported findings.
func (s *Summary) Found() int64 { return s.Errors + s.Warnings + s.Infos }

// String formats the counts as one line: "2 errors, 1 warning; 3 ignored".
func (s *Summary) String() string {
	var list []string
	for _, x := range []struct {
		n    int64
		noun string
	}{{s.Errors, "error"}, {s.Warnings, "warning"}, {s.Infos, "info"}} {
		switch x.n {
		case 0:
		case 1:
			list = append(list, "1 "+x.noun)
		default:
			list = append(list, grouped(x.n)+" "+x.noun+"s")
		}
	}
	out := strings.Join(list, ", ")
	if out == "" {
		out = "nothing found"
	}
	if s.Ignored > 0 {
		out += "; " + grouped(s.Ignored) + " ignored"
	}
	if s.Below > 0 {
		out += "; " + grouped(s.Below) + " of lower severity"
	}
	return out
}

// Report passes the findings of a check to a writer and counts them.
type Report struct {
	w       Writer
	o       Options
	ignores ignoreIndex
	summary Summary
	written map[string]int64 // findings of each rule that were passed to w
	excused map[string]int64
}

// New returns a report that writes to w. The writer belongs to the report.
func New(w Writer, o Options) *Report {
	if o.FailOn == 0 {
		o.FailOn = o.Severity
	}
	return &Report{w: w, o: o, ignores: newIgnoreIndex(o.Ignores), written: map[string]int64{}, excused: map[string]int64{}}
}

// Run reads a check to its end and completes the document. The error is that of the
// writer, or the one that ended the check; the document then says that it is not whole.
func (r *Report) Run(check iter.Seq2[finding.Finding, error]) (*Summary, error) {
	var failure error
	for f, err := range check {
		if err != nil {
			failure = err
			break
		}
		if err := r.add(f); err != nil {
			return &r.summary, err
		}
	}
	for rule, n := range r.written {
		if more := n - r.o.PerRule; r.o.PerRule > 0 && more > 0 {
			r.summary.More = append(r.summary.More, More{rule, more})
		}
	}
	slices.SortFunc(r.summary.More, func(a, b More) int { return cmp.Compare(a.Rule, b.Rule) })
	if err := r.w.Close(&r.summary, failure); err != nil && failure == nil {
		failure = err
	}
	return &r.summary, failure
}

func (r *Report) add(f finding.Finding) error {
	x := r.ignores.find(f)
	if x != nil {
		x.used++ // also if the finding would not be reported
	}
	if f.Severity < r.o.Severity {
		r.summary.Below++
		return nil
	}
	if x != nil {
		r.summary.Ignored++
		return r.pass(r.excused, f, x)
	}
	switch f.Severity {
	case finding.Error:
		r.summary.Errors++
	case finding.Warning:
		r.summary.Warnings++
	default:
		r.summary.Infos++
	}
	if f.Severity >= r.o.FailOn {
		r.summary.Failing++
	}
	return r.pass(r.written, f, nil)
}

// pass counts a finding and writes it if the bound of its rule is not reached.
func (r *Report) pass(counts map[string]int64, f finding.Finding, x *Ignore) error {
	counts[f.Rule]++
	if r.o.PerRule > 0 && counts[f.Rule] > r.o.PerRule {
		return nil
	}
	return r.w.Finding(f, x)
}
