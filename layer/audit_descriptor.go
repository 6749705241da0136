package layer

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// descriptor looks at the security descriptor. Layers repeat a few descriptors
// many thousand times, so verdicts are remembered.
func (a *Audit) descriptor() {
	sd := a.e.Security
	if sd == nil {
		if a.inRoot != "" && (a.root == RootFiles || a.root == RootUtilityVM) {
			a.report(RuleNoDescriptor, "there is no security descriptor: the file inherits one, or has none where layers are images")
		}
		return
	}
	if a.Merged && (winfs.EqualFold(a.e.Path, RootLayout) || winfs.EqualFold(a.e.Path, RootHives) || winfs.Under(a.e.Path, RootHives)) {
		return // the writer of the image has made it up for an entry that has none
	}
	key := maphash.Bytes(a.seeds[0], sd)
	if key != a.lastSD || a.sds == nil {
		if a.sds == nil {
			a.sds = map[uint64][]finding.Finding{}
		}
		found, ok := a.sds[key]
		if !ok {
			found = judgeDescriptor(sd)
			if len(a.sds) < 4096 {
				a.sds[key] = found
			}
		}
		a.lastSD, a.sdFound = key, found
	}
	for _, f := range a.sdFound {
		f.Path, f.Offset = a.e.Path, a.offset
		a.Report(f)
	}
}

// judgeDescriptor selects from the findings of winsec.Check: the faults for which
// Windows refuses a descriptor, and those that open the file to everyone.
func judgeDescriptor(sd []byte) []finding.Finding {
	var out []finding.Finding
	// A descriptor has 64 KiB at most, so that there is nothing to interrupt.
	for f, err := range winsec.Check(context.Background(), sd) {
		if err != nil {
			return out
		}
		detail := fmt.Sprintf("%s (%s at %#x of the descriptor)", f.Message, f.Rule, f.Offset)
		switch {
		case f.Severity == finding.Error:
			return []finding.Finding{RuleBadDescriptor.At("", -1, "%s", detail)}
		case f.Rule == "sd-no-dacl" || f.Rule == "sd-null-dacl":
			out = append(out, RuleNoDACL.At("", -1, "the descriptor has no DACL, which grants everything to everyone"))
		case f.Rule == "acl-order" || f.Rule == "sd-no-owner":
			out = append(out, RuleBadDescriptor.Lesser().At("", -1, "%s", detail))
		}
	}
	return out
}
