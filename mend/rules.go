package mend

import (
	"slices"

	"github.com/mullion/mullion/layer"
)

// rules are those of package layer whose breaches are corrected, some of them only where
// that is no guess.
var rules = []string{
	layer.RuleMissingParent.ID, layer.RuleMissingRoot.ID, layer.RuleRootCase.ID, layer.RuleDuplicate.ID,
	layer.RuleWhiteoutSame.ID, layer.RuleWhiteoutInBase.ID, layer.RuleVMWhiteout.ID, layer.RuleVMDescriptor.ID,
	layer.RuleLinkForward.ID, layer.RuleLinkToLink.ID, layer.RuleLinkCase.ID, layer.RuleGoZeroTime.ID,
}

// Rules returns the IDs of the rules of package layer whose breaches are corrected, ordered.
// A breach of some of them has more than one correction in some layers, and stays there: two
// files of one name, a link before a target that a layer below may have.
func Rules() []string { return slices.Sorted(slices.Values(rules)) }
