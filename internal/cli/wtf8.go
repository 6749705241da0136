package cli

import (
	"fmt"
	"strings"

	internal "github.com/mullion/mullion/internal/wtf8"
)

// wtf8 is a Windows name in JSON. A lone surrogate, which UTF-8 cannot hold, is
// written as the escape \ud800, so that no two names look alike.
type wtf8 string

// MarshalJSON implements json.Marshaler.
func (s wtf8) MarshalJSON() ([]byte, error) {
	return internal.AppendJSON(nil, string(s))
}

// appendRow appends a line of a two-column listing, its text made visible.
func appendRow(b *strings.Builder, name, format string, a ...any) {
	fmt.Fprintf(b, "%-8s %s\n", name, visible(fmt.Sprintf(format, a...)))
}
