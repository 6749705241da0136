package layer

import (
	"fmt"

	"github.com/mullion/mullion/finding"
)

// Severity orders findings, see [finding.Severity].
type Severity = finding.Severity

// The severities.
const (
	Info        = finding.Info
	Warning     = finding.Warning
	SevereError = finding.SevereError
)

// Finding is one thing that a check has to say.
type Finding struct {
	Severity Severity
	Rule     string // stable identifier, kebab-case: "link-target-outside-files"
	Layer    string // layer or file, if known
	Path     string // entry, if any
	Offset   int64  // byte offset in the source, -1 if unknown
	Message  string // one sentence
}

// String formats the finding as one line.
func (f Finding) String() string {
	s := f.Severity.String() + " " + f.Rule
	if f.Layer != "" {
		s += " " + f.Layer
	}
	if f.Path != "" {
		s += fmt.Sprintf(" %q", f.Path)
	}
	if f.Offset >= 0 {
		s += fmt.Sprintf(" at %#x", f.Offset)
	}
	return s + ": " + f.Message
}
