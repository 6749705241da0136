package regf

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

// Finding is one fault of a hive.
type Finding struct {
	Severity Severity
	Rule     string // stable identifier, kebab-case: "cell-free"
	Offset   int64  // cell offset from the end of the base block; -1 for the base block and the hive as a whole
	Path     string // key path below the root, if known
	Message  string // one sentence
}

// String formats the finding as one line.
func (f Finding) String() string {
	s := f.Severity.String() + " " + f.Rule
	if f.Path != "" {
		s += fmt.Sprintf(" %q", f.Path)
	}
	if f.Offset >= 0 {
		s += fmt.Sprintf(" at cell %#x", f.Offset)
	}
	return s + ": " + f.Message
}

// maxFindings bounds the list, which a hostile hive can grow.
const maxFindings = 10000

type findingKey struct {
	rule string
	off  int64
}

// isNew reports whether a finding would be recorded, before its path is determined.
func (h *Hive) isNew(k findingKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.findingSet[k]
	return !known && len(h.findings) < maxFindings
}

// report records a finding once.
func (h *Hive) report(f Finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := findingKey{f.Rule, f.Offset}
	if h.findingSet == nil {
		h.findingSet = make(map[findingKey]struct{})
	}
	if _, ok := h.findingSet[k]; ok || len(h.findings) >= maxFindings {
		return
	}
	h.findingSet[k] = struct{}{}
	h.findings = append(h.findings, f)
	if h.warn != nil {
		h.warn(f)
	}
}

// tolerate decides whether a fault ends reading: in strict mode it is returned as the
// error, unless it is harmless and that is allowed; otherwise it is recorded and nil is
// returned.
func (h *Hive) tolerate(f error, k *Key) error {
	if f == nil {
		return nil
	}
	if h.mode == Strict && !h.passes(f) {
		return f
	}
	h.note(f, k)
	return nil
}

// passes reports whether strict reading tolerates a fault.
func (h *Hive) passes(f error) bool {
	ft, ok := f.(*fault)
	return ok && h.allowHarmless && harmless[ft.rule]
}

func (h *Hive) note(f error, k *Key) {
	ft, ok := f.(*fault)
	if !ok {
		return
	}
	if !h.isNew(findingKey{ft.rule, ft.off}) {
		return
	}
	fi := Finding{Severity: SevereError, Rule: ft.rule, Offset: ft.off, Message: ft.msg}
	if harmless[ft.rule] {
		fi.Severity = Warning
	}
	if k != nil {
		fi.Path = k.Path()
	}
	h.report(fi)
}

// Findings returns the faults found so far in [Report] and [Salvage] modes, and with
// [Options.AllowHarmless], in the order of discovery, each fault once and 10,000 at most.
// Cells are examined on first use: for a verdict on the whole file use [Hive.Check].
func (h *Hive) Findings() []Finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Finding(nil), h.findings...)
}
