package cimfs

import "fmt"

// Severity orders findings: an Error is something that the driver refuses, or
// worse, or that loses data; a Warning is unusual but harmless.
type Severity uint8

// The severities.
const (
	Warning Severity = iota + 1
	SevereError
)

// String returns "warning" or "error".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Finding is one thing that Check has to say.
type Finding struct {
	Severity Severity
	Rule     string // stable identifier, kebab-case: "name-order"
	Path     string // inside the image, if known
	File     string // file of the set, if known
	Offset   int64  // byte offset in File, -1 if unknown
	Message  string // one sentence
}

// String formats the finding as one line.
func (f Finding) String() string {
	s := f.Severity.String() + " " + f.Rule
	if f.Path != "" {
		s += fmt.Sprintf(" %q", f.Path)
	}
	if f.File != "" {
		s += " " + f.File
		if f.Offset >= 0 {
			s += fmt.Sprintf(" at %#x", f.Offset)
		}
	}
	return s + ": " + f.Message
}

// CheckOptions tell how much Check does.
type CheckOptions struct {
	// SkipContent leaves out what needs the bytes of files: digests and padding in
	// data regions.
	SkipContent bool
	// MaxFindings ends the check after so many; 0 means 1,000.
	MaxFindings int
}

// Check verifies everything that is known about the format: what the driver
// checks, and what genuine images show. The error is for what kept the check from
// going on, such as a missing file; wrong content gives findings.
func (im *Image) Check(opts CheckOptions) ([]Finding, error) { return nil, nil }

// Check opens an image and checks it. An image too broken to be opened gives one
// finding.
func Check(dir, name string, opts CheckOptions) ([]Finding, error) { return nil, ErrClosed }
