package finding

import "fmt"

// Severity orders findings by how much they matter.
type Severity uint8

// The severities. An Error makes Windows or another reader refuse the subject, or
// loses data. A Warning breaks a rule or is known to cause trouble, and loses nothing.
// An Info is a peculiarity that needs no action.
const (
	Info Severity = iota + 1
	Warning
	Error
)

// Severities returns the severities, the least first.
func Severities() []Severity { return []Severity{Info, Warning, Error} }

// String returns info, warning or error.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return "invalid severity"
}

// MarshalText implements encoding.TextMarshaler with the result of String.
func (s Severity) MarshalText() ([]byte, error) {
	if s < Info || s > Error {
		return nil, fmt.Errorf("severity %d is not valid", uint8(s))
	}
	return []byte(s.String()), nil
}
