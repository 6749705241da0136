// Package finding holds the one word that the checks of all formats share: how much
// a finding matters. What a finding says beside that, and where it points, is each
// format's own: a cell of a hive, an offset in a region, an entry of a layer.
package finding

// Severity orders findings.
type Severity uint8

// The severities. An Error is something that Windows or another reader refuses or
// that loses data; a Warning breaks a rule or is known to cause trouble, without
// losing anything; Info is worth knowing.
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
