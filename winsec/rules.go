package winsec

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("descriptor")

// Rules returns the rules of [Check].
func Rules() []finding.Rule { return rules.All() }

var (
	ruleAce = rules.Add(finding.Rule{ID: "ace", Severity: finding.Error,
		Meaning: "Windows refuses a descriptor with an entry whose SID or size does not fit.",
		Mend:    "Write the entry anew."})
	ruleAceClaim = rules.Add(finding.Rule{ID: "ace-claim", Severity: finding.Warning,
		Meaning: "Windows ignores a resource attribute that it cannot decode.",
		Mend:    "Write the attribute anew."})
	ruleAceCondition = rules.Add(finding.Rule{ID: "ace-condition", Severity: finding.Warning,
		Meaning: "Access checks take a condition that cannot be decoded as unknown, so that the entry grants nothing.",
		Mend:    "Write the condition anew."})
	ruleAceTrailingData = rules.Add(finding.Rule{ID: "ace-trailing-data", Severity: finding.Warning,
		Meaning: "Windows ignores the bytes after the SID of an entry that has no condition.",
		Mend:    "Cut the entry after its SID."})
	ruleAceUnaligned = rules.Add(finding.Rule{ID: "ace-unaligned", Severity: finding.Warning,
		Meaning: "Windows rounds the sizes of entries to four bytes and can refuse others.",
		Mend:    "Pad the entry to a multiple of four bytes."})
	ruleAceUnknownType = rules.Add(finding.Rule{ID: "ace-unknown-type", Severity: finding.Warning,
		Meaning: "Access checks pass over an entry whose type they do not know.",
		Mend:    "Remove the entry."})
	ruleAceWrongList = rules.Add(finding.Rule{ID: "ace-wrong-list", Severity: finding.Warning,
		Meaning: "The entry has no effect in this list.",
		Mend:    "Move the entry to the other list."})
	ruleAcl = rules.Add(finding.Rule{ID: "acl", Severity: finding.Error,
		Meaning: "Windows refuses a descriptor whose list is malformed.",
		Mend:    "Write the list anew."})
	ruleAclOrder = rules.Add(finding.Rule{ID: "acl-order", Severity: finding.Warning,
		Meaning: "Access checks go through the list in order; an entry at the wrong place can grant what another denies.",
		Mend:    "Sort the list: explicit before inherited, denying before allowing."})
	ruleAclRevision = rules.Add(finding.Rule{ID: "acl-revision", Severity: finding.Warning,
		Meaning: "Object entries need revision 4; Windows can refuse the list.",
		Mend:    "Set the revision to 4."})
	ruleAclSlack = rules.Add(finding.Rule{ID: "acl-slack", Severity: finding.Warning,
		Meaning: "Windows keeps unused bytes of a list. They have no effect.",
		Mend:    "Cut the list after its last entry."})
	ruleSdGap = rules.Add(finding.Rule{ID: "sd-gap", Severity: finding.Warning,
		Meaning: "Bytes that belong to no part have no effect.",
		Mend:    "Write the descriptor anew."})
	ruleSdNoDacl = rules.Add(finding.Rule{ID: "sd-no-dacl", Severity: finding.Warning,
		Meaning: "Without a DACL the object gets the default of the process that creates it, or grants everything to everyone.",
		Mend:    "Add a DACL."})
	ruleSdNoGroup = rules.Add(finding.Rule{ID: "sd-no-group", Severity: finding.Warning,
		Meaning: "Windows does not use the group; POSIX subsystems do.",
		Mend:    "Set the group."})
	ruleSdNoOwner = rules.Add(finding.Rule{ID: "sd-no-owner", Severity: finding.Warning,
		Meaning: "An object without an owner is owned by the process that creates it.",
		Mend:    "Set the owner."})
	ruleSdNotSelfRelative = rules.Add(finding.Rule{ID: "sd-not-self-relative", Severity: finding.Error,
		Meaning: "Pointers of an absolute descriptor have no meaning in a file; Windows refuses it.",
		Mend:    "Write the descriptor in self-relative form."})
	ruleSdNullDacl = rules.Add(finding.Rule{ID: "sd-null-dacl", Severity: finding.Warning,
		Meaning: "A NULL DACL grants everything to everyone.",
		Mend:    "Set a DACL."})
	ruleSdOffset = rules.Add(finding.Rule{ID: "sd-offset", Severity: finding.Error,
		Meaning: "Windows refuses a descriptor with a part outside of it.",
		Mend:    "Write the descriptor anew."})
	ruleSdOverlap = rules.Add(finding.Rule{ID: "sd-overlap", Severity: finding.Warning,
		Meaning: "Windows reads both parts. A change of one changes the other.",
		Mend:    "Write the descriptor anew."})
	ruleSdRevision = rules.Add(finding.Rule{ID: "sd-revision", Severity: finding.Error,
		Meaning: "Windows refuses revisions other than 1.",
		Mend:    "Write the descriptor anew."})
	ruleSdTruncated = rules.Add(finding.Rule{ID: "sd-truncated", Severity: finding.Error,
		Meaning: "Windows refuses a descriptor that is shorter than its header.",
		Mend:    "Write the descriptor anew."})
	ruleSdUnaligned = rules.Add(finding.Rule{ID: "sd-unaligned", Severity: finding.Warning,
		Meaning: "Windows aligns parts to four bytes and can refuse others.",
		Mend:    "Write the descriptor anew."})
	ruleSdUnusedOffset = rules.Add(finding.Rule{ID: "sd-unused-offset", Severity: finding.Warning,
		Meaning: "Windows ignores a list whose control bit is not set.",
		Mend:    "Set the control bit or clear the offset."})
	ruleSid = rules.Add(finding.Rule{ID: "sid", Severity: finding.Error,
		Meaning: "Windows refuses a descriptor whose owner or group is no SID.",
		Mend:    "Set the owner and the group."})
)
