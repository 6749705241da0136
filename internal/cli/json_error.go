package cli

import (
	"encoding/json"
	"slices"
)

// jsonError is the error of a command in JSON, one line on standard error.
type jsonError struct {
	Op      string `json:"op"`                // the command, "cim create"
	Subject string `json:"subject,omitempty"` // the file, reference or argument at fault
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Status  int    `json:"status"` // the exit status
}

// asksJSON reports whether a command line has the flag --json, for errors that end the
// parsing of flags before it was seen.
func asksJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json")
}

// printJSONError prints the line. Like all output it has no unprintable characters.
func (c *console) printJSONError(e jsonError) {
	enc := json.NewEncoder(&jsonText{w: c.err})
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct { // standard error is the last place to report to
		Error jsonError `json:"error"`
	}{e})
}
