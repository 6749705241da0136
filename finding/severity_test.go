package finding

import "testing"

func TestSeverity(t *testing.T) {
	if !(Info < Warning && Warning < Error) {
		t.Error("severities are not in order")
	}
	for s, want := range map[Severity]string{Info: "info", Warning: "warning", Error: "error", 0: "invalid severity", 9: "invalid severity"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %q, want %q", uint8(s), got, want)
		}
	}
}
