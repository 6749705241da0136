package layer

import (
	"hash/maphash"

	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

type sdProblem struct {
	severity Severity
	rule     string
	message  string
}

// descriptor looks at the security descriptor. Layers repeat a few descriptors
// many thousand times, so verdicts are remembered.
func (a *Audit) descriptor() {
	sd := a.e.Security
	if sd == nil {
		if winfs.Under(a.e.Path, RootFiles) || winfs.Under(a.e.Path, RootUtilityVM) {
			a.tell(Warning, RuleNoDescriptor, "there is no security descriptor: the file inherits one, or has none where layers are images")
		}
		return
	}
	key := maphash.Bytes(a.seeds[0], sd)
	problems, ok := a.sds[key]
	if !ok {
		problems = judgeDescriptor(sd)
		if len(a.sds) < 4096 {
			a.sds[key] = problems
		}
	}
	for _, p := range problems {
		a.tell(p.severity, p.rule, "%s", p.message)
	}
}

// judgeDescriptor summarises the findings of winsec: faults because of which Windows
// refuses the descriptor, and descriptors that leave the file open to everyone.
func judgeDescriptor(sd []byte) []sdProblem {
	var out []sdProblem
	for _, p := range winsec.Check(sd) {
		switch {
		case p.Fatal:
			return []sdProblem{{SevereError, RuleBadDescriptor, p.String()}}
		case p.Rule == "sd-no-dacl" || p.Rule == "sd-null-dacl":
			out = append(out, sdProblem{SevereError, RuleNoDACL, "the descriptor has no DACL, which grants everything to everyone"})
		case p.Rule == "acl-order" || p.Rule == "sd-no-owner":
			out = append(out, sdProblem{Warning, RuleBadDescriptor, p.String()})
		}
	}
	return out
}
