package layer

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/mullion/mullion/winfs"
)

type sdProblem struct {
	rule    string
	message string
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
		a.tell(SevereError, p.rule, "%s", p.message)
	}
}

func judgeDescriptor(sd []byte) []sdProblem {
	if len(sd) < 20 || sd[0] != 1 || binary.LittleEndian.Uint16(sd[2:])&0x8000 == 0 {
		return []sdProblem{{RuleBadDescriptor, "not a self-relative descriptor"}}
	}
	if binary.LittleEndian.Uint16(sd[2:])&4 == 0 {
		return []sdProblem{{RuleNoDACL, "the descriptor has no DACL, which grants everything to everyone"}}
	}
	return nil
}
