package layer

import "fmt"

// Severity orders findings.
type Severity uint8

// The severities. An Error is something that Windows or another reader refuses
// or that loses data; a Warning is something known to cause trouble; Info is
// worth knowing.
const (
	Info Severity = iota + 1
	Warning
	SevereError
)

// String returns info, warning or error.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case SevereError:
		return "error"
	}
	return "invalid severity"
}

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
