// Package finding holds the result that the checks of all formats share.
//
// A check is a function or method Check that takes a context and returns an
// iter.Seq2[Finding, error]. Each element with a nil error is one fault of the subject.
// A non-nil error is the reason why the check could not go on, such as a failing disk
// or a cancelled context; it ends the sequence. Damage of the subject is always a
// Finding, never an error. A caller may break out of the loop; the check then releases
// its resources.
//
// A Finding belongs to a [Rule]. Each package declares its rules in a [Catalogue] next to
// the code that reports them and returns the catalogue from a function Rules. Findings
// are made by [Rule.At], so that a finding without a declared rule cannot be written.
package finding

import (
	"fmt"
	"iter"

	"github.com/mullion/mullion/internal/wtf8"
)

// Finding is one fault that a check reports.
type Finding struct {
	Severity Severity
	Rule     string // the ID of the rule, "link-target-outside-files"
	Layer    string // layer, or file of a set, in which Offset counts; empty if there is only one
	Path     string // path of the entry or registry key, empty if there is none
	Value    string // name of the registry value, empty if there is none
	Offset   int64  // in bytes from the start of Layer, of a cell from the end of the base block; -1 if unknown
	Message  string // one sentence, without severity and place
	Hint     string // command that mends the fault or shows more, empty if there is none
}

// String formats the finding as one line: severity, rule, layer, path, value, offset,
// message and hint. Path and value are quoted, with what is not printable escaped.
func (f Finding) String() string { return fmt.Sprintf("%v %s", f.Severity, f.Unrated()) }

// Unrated formats the finding as String does, without the severity.
func (f Finding) Unrated() string {
	s := f.Rule
	if f.Layer != "" {
		s += " " + f.Layer
	}
	if f.Path != "" {
		s += " " + wtf8.Quote(f.Path)
	}
	if f.Value != "" {
		s += " value " + wtf8.Quote(f.Value)
	}
	if f.Offset >= 0 {
		s += fmt.Sprintf(" at %#x", f.Offset)
	}
	s += ": " + f.Message
	if f.Hint != "" {
		s += "; " + f.Hint
	}
	return s
}

// In returns the finding with Layer set.
func (f Finding) In(layer string) Finding {
	f.Layer = layer
	return f
}

// WithHint returns the finding with Hint set.
func (f Finding) WithHint(hint string) Finding {
	f.Hint = hint
	return f
}

// Collect reads a check to its end and returns its findings, with those before an error.
func Collect(check iter.Seq2[Finding, error]) ([]Finding, error) {
	var out []Finding
	for f, err := range check {
		if err != nil {
			return out, err
		}
		out = append(out, f)
	}
	return out, nil
}
