package layer

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("layer")

// Rules returns the rules that hold for layers of any format.
func Rules() []finding.Rule { return rules.All() }

// The rules of layers, of any format. Importers are hcsshim, and the programs that
// are built on it, on a Windows host.
var (
	RuleDuplicate = rules.Add(finding.Rule{ID: "duplicate-entry", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Importers keep the first or the last of two entries, depending on the program.",
		Mend:    "Remove one of the entries.",
		Fix:     "The second of two entries for a directory that agree in all metadata is left out, and the second of two whiteouts. Two files stay, and directories that differ."})
	RuleCaseConflict = rules.Add(finding.Rule{ID: "case-conflict", Severity: finding.Error,
		Meaning: "NTFS keeps one of two names that differ in case alone; importers overwrite the other or fail.",
		Mend:    "Rename or remove one of the entries."})
	RuleMissingParent = rules.Add(finding.Rule{ID: "missing-parent", Severity: finding.Error,
		Meaning: "Importers fail on an entry whose directory does not exist yet.",
		Mend:    "Add an entry for the directory before it.",
		Fix:     "An entry for the directory is put before its content: the late one, or one with the metadata that the directory has in a layer below, otherwise with none. Stays if the path of the directory is that of a file or link too, or if the late entry has streams or is a link."})
	RuleTypeChange = rules.Add(finding.Rule{ID: "type-change", Severity: finding.Error,
		Meaning: "Importers fail, or write below a file.",
		Mend:    "Remove one of the entries."})
	RuleThroughReparse = rules.Add(finding.Rule{ID: "link-through-reparse", Severity: finding.Error,
		Meaning: "An importer that follows the link writes outside the layer; others fail.",
		Mend:    "Name the real path in the entry."})
	RuleRootNotDirectory = rules.Add(finding.Rule{ID: "root-not-directory", Severity: finding.Error,
		Meaning: "Importers fail.",
		Mend:    "Make the entry a directory."})
	RuleRootCase = rules.Add(finding.Rule{ID: "root-name-case", Severity: finding.Error,
		Meaning: "Importers compare the names at the root with regard to case and ignore or refuse others.",
		Mend:    "Spell the name Files, Hives or UtilityVM.",
		Fix:     "The name is spelled Files, Hives or UtilityVM, in paths and in targets."})
	RuleUnknownRoot = rules.Add(finding.Rule{ID: "unknown-root", Severity: finding.Warning,
		Meaning: "Importers ignore or refuse the entry.",
		Mend:    "Move the entry below Files or remove it."})
	RuleMissingRoot = rules.Add(finding.Rule{ID: "missing-hives-or-files-root", Severity: finding.Error,
		Meaning: "hcsshim and the Host Compute Service refuse a layer without Files, or without Hives above a base layer.",
		Mend:    "Add an entry for the directory.",
		Fix:     "An entry for the directory is added, without a descriptor."})
	RuleLinkOutside = rules.Add(finding.Rule{ID: "link-target-outside-files", Severity: finding.Error,
		Meaning: "Importers refuse hard links from or to other places than Files and UtilityVM\\Files.",
		Mend:    "Write the target with the prefix Files."})
	RuleLinkForward = rules.Add(finding.Rule{ID: "forward-link", Severity: finding.Error,
		Meaning: "Importers fail on a hard link whose target does not exist yet.",
		Mend:    "Move the target before the link.",
		Fix:     "The link is moved behind its target, in a base layer or where no layer below has the target. Stays if a layer below has it or if those are not known."})
	RuleLinkToLink = rules.Add(finding.Rule{ID: "link-to-link", Severity: finding.Warning,
		Meaning: "Importers that resolve links by their names can fail.",
		Mend:    "Link to the file itself.",
		Fix:     "The link names the file at the end of the chain. Stays if one name of the chain has two entries or a whiteout, or the end is not in the layer."})
	RuleLinkToDirectory = rules.Add(finding.Rule{ID: "link-to-directory", Severity: finding.Error,
		Meaning: "NTFS has no hard links to directories; importers fail.",
		Mend:    "Make it a symbolic link or junction."})
	RuleLinkToItself = rules.Add(finding.Rule{ID: "link-to-itself", Severity: finding.Error,
		Meaning: "Importers fail.",
		Mend:    "Store the file instead of the link."})
	RuleLinkMissing = rules.Add(finding.Rule{ID: "link-target-missing", Severity: finding.Error,
		Meaning: "Importers fail on a hard link whose target does not exist.",
		Mend:    "Add the target or remove the link."})
	RuleWhiteoutSame = rules.Add(finding.Rule{ID: "whiteout-same-layer", Severity: finding.Warning,
		Meaning: "Importers delete the entry that the layer itself adds.",
		Mend:    "Remove the whiteout or the entry.",
		Fix:     "The whiteout of a name for which the layer has one file or link is left out: the entry hides what is below in any case. That of a directory stays."})
	RuleWhiteoutOutside = rules.Add(finding.Rule{ID: "whiteout-outside-files", Severity: finding.Error,
		Meaning: "Importers refuse whiteouts in other places than Files and UtilityVM\\Files.",
		Mend:    "Remove the whiteout."})
	RuleWhiteoutInBase = rules.Add(finding.Rule{ID: "whiteout-in-base", Severity: finding.Error,
		Meaning: "A base layer has nothing below it; importers refuse the whiteout.",
		Mend:    "Remove the whiteout.",
		Fix:     "The whiteout is left out."})
	RuleOpaque = rules.Add(finding.Rule{ID: "opaque-whiteout", Severity: finding.Warning,
		Meaning: "Importers for Windows do not know opaque whiteouts and ignore them, so that hidden files stay visible.",
		Mend:    "Write a whiteout for each hidden entry."})
	RuleReserved = rules.Add(finding.Rule{ID: "reserved-device-name", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Win32 opens a device instead of the file; with an extension, versions before Windows 11 do.",
		Mend:    "Rename the entry."})
	RuleTrailing = rules.Add(finding.Rule{ID: "trailing-dot-or-space", Severity: finding.Warning,
		Meaning: "Win32 strips the dot or space and does not find the file.",
		Mend:    "Rename the entry."})
	RuleLoneSurrogate = rules.Add(finding.Rule{ID: "lone-surrogate", Severity: finding.Info,
		Meaning: "NTFS holds the name; programs that need valid UTF-16 or UTF-8 do not.",
		Mend:    "Rename the entry if other programs read the layer."})
	RuleSymlinkPrefix = rules.Add(finding.Rule{ID: "symlink-target-with-files-prefix", Severity: finding.Warning,
		Meaning: "In the container there is no directory Files, so that the link leads nowhere.",
		Mend:    "Write the target without the prefix Files."})
	RuleBadReparse = rules.Add(finding.Rule{ID: "bad-reparse", Severity: finding.Error,
		Meaning: "NTFS refuses the reparse data.",
		Mend:    "Write the reparse data anew."})
	RuleLinkNowhere = rules.Add(finding.Rule{ID: "link-leads-nowhere", Severity: finding.Warning,
		Meaning: "Windows cannot resolve the target of the link.",
		Mend:    "Write the target in a form that Windows resolves."})
	RuleReparseTag = rules.Add(finding.Rule{ID: "unsupported-reparse-tag", Severity: finding.Warning,
		Meaning: "Exporters fail on reparse points that are neither symbolic links nor junctions.",
		Mend:    "Replace the reparse point with the file that it represents."})
	RuleGoZeroTime = rules.Add(finding.Rule{ID: "go-zero-time", Severity: finding.Warning,
		Meaning: "Windows shows the year 1754.",
		Mend:    "Set the time.",
		Fix:     "A time of creation, access or change becomes that of the last write. The time of the last write stays."})
	RuleBadEAs = rules.Add(finding.Rule{ID: "bad-eas", Severity: finding.Error,
		Meaning: "NTFS refuses the extended attributes.",
		Mend:    "Write the extended attributes anew."})
	RuleNoDescriptor = rules.Add(finding.Rule{ID: "descriptor-missing", Severity: finding.Warning,
		Meaning: "The file inherits the descriptor of its directory, or has none where layers are kept as images.",
		Mend:    "Store a descriptor with the entry."})
	RuleNoDACL = rules.Add(finding.Rule{ID: "descriptor-without-dacl", Severity: finding.Error,
		Meaning: "Everyone may read, change and delete the file.",
		Mend:    "Store a descriptor with a DACL."})
	RuleBadDescriptor = rules.Add(finding.Rule{ID: "descriptor-invalid", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows refuses the descriptor, or access checks with it have surprising results.",
		Mend:    "Write the descriptor anew."})
	RuleUnreadable = rules.Add(finding.Rule{ID: "unreadable", Severity: finding.Error,
		Meaning: "The rest of the layer cannot be imported.",
		Mend:    "Make the layer anew."})
	RuleLimitExceeded = rules.Add(finding.Rule{ID: "limit-exceeded", Severity: finding.Error,
		Meaning: "mullion refuses to convert the layer, which may be made to exhaust a machine.",
		Mend:    "Raise the limit with --limit if the layer is trusted."})
	RuleHiveMissing = rules.Add(finding.Rule{ID: "base-hive-missing", Severity: finding.Error,
		Meaning: "Windows does not start a container on a base layer without its five registry hives.",
		Mend:    "mullion makebase or mullion convert --base adds minimal hives."})
)
