package regf

import "github.com/mullion/mullion/finding"

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
func (h *Hive) report(f finding.Finding) {
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
	return ok && h.allowHarmless && harmless[ft.rule.ID]
}

func (h *Hive) note(f error, k *Key) {
	ft, ok := f.(*fault)
	if !ok {
		return
	}
	if !h.isNew(findingKey{ft.rule.ID, ft.off}) {
		return
	}
	rule := ft.rule
	if harmless[rule.ID] {
		rule = rule.Lesser()
	}
	fi := rule.At("", ft.off, "%s", ft.msg)
	if k != nil {
		fi.Path = k.Path()
	}
	h.report(fi)
}

// Findings returns the faults found so far in [Report] and [Salvage] modes, and with
// [Options.AllowHarmless], in the order of discovery, each fault once and 10,000 at most.
// Cells are examined on first use: for a verdict on the whole file use [Hive.Check].
func (h *Hive) Findings() []finding.Finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]finding.Finding(nil), h.findings...)
}
