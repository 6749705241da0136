package layer

import "github.com/mullion/mullion/finding"

// More rules, each about a cause of failed or wrong imports that is known from reports to
// hcsshim, Docker and containerd, or from the sources of hcsshim (docs/spec/layers.md,
// "Causes of failed imports").
var (
	RuleLinkReplaced = rules.Add(finding.Rule{ID: "link-before-replacement", Severity: finding.Error,
		Meaning: "hcsshim links to the file of the layer below, other importers to the one that replaces it later in the layer.",
		Mend:    "Move the target before the link."})
	RuleLinkCase = rules.Add(finding.Rule{ID: "link-target-case", Severity: finding.Warning,
		Meaning: "hcsshim compares link targets with the names in the layer with regard to case, and looks for others in the layers below.",
		Mend:    "Spell the target as its entry is spelled.",
		Fix:     "The target is spelled as its entry is."})
	RuleLinkCount = rules.Add(finding.Rule{ID: "too-many-links", Severity: finding.Error,
		Meaning: "NTFS gives a file 1,024 names at most; importers fail with error 0x476.",
		Mend:    "Store a copy of the file and link further names to it."})
	RuleWhiteoutNothing = rules.Add(finding.Rule{ID: "whiteout-of-nothing", Severity: finding.Info,
		Meaning: "No layer below has the name; the whiteout has no effect.",
		Mend:    "Remove the whiteout."})
	RuleVMDescriptor = rules.Add(finding.Rule{ID: "utility-vm-metadata", Severity: finding.Error,
		Meaning: "hcsshim stops at metadata of the directory UtilityVM in a layer with parents, because it opens no file for it.",
		Mend:    "Store the entry UtilityVM with attributes and times alone.",
		Fix:     "The entry UtilityVM keeps attributes and times alone, in a layer of an image or with --parent."})
	RuleVMOutside = rules.Add(finding.Rule{ID: "utility-vm-outside-files", Severity: finding.Error, Least: finding.Warning,
		Meaning: "hcsshim refuses entries of UtilityVM outside UtilityVM\\Files in a layer with parents, and ignores them in a base layer.",
		Mend:    "Move the entry below UtilityVM\\Files or remove it."})
	RuleVMWhiteout = rules.Add(finding.Rule{ID: "utility-vm-whiteout-missing", Severity: finding.Error,
		Meaning: "hcsshim fails on a whiteout of a file that the utility VM does not have.",
		Mend:    "Remove the whiteout.",
		Fix:     "The whiteout is left out."})
	RuleVMBelow = rules.Add(finding.Rule{ID: "utility-vm-below-missing", Severity: finding.Error, Least: finding.Warning,
		Meaning: "hcsshim clones the utility VM of the immediate parent before a layer changes it, and fails if the parent has none.",
		Mend:    "Add UtilityVM\\Files to the layer below, or remove it from this one."})
	RuleVMBoot = rules.Add(finding.Rule{ID: "utility-vm-boot-missing", Severity: finding.Error,
		Meaning: "Windows does not process a base layer whose utility VM lacks EFI\\Microsoft\\Boot\\BCD.",
		Mend:    "Add the boot configuration, or remove UtilityVM."})
	RuleTimeRange = rules.Add(finding.Rule{ID: "time-before-1601", Severity: finding.Error,
		Meaning: "Windows refuses a time before 1601, or takes -1 and -2 for requests to keep the time.",
		Mend:    "Set the time."})
	RuleTimeOverflow = rules.Add(finding.Rule{ID: "time-overflow", Severity: finding.Warning,
		Meaning: "Exporters that count nanoseconds in 64 bits write another time for one before 1678 or after 2262.",
		Mend:    "Set the time."})
	RuleVolumeFolder = rules.Add(finding.Rule{ID: "volume-folder", Severity: finding.Warning,
		Meaning: "The folder belongs to the volume of the machine that made the layer; importers have failed on its names and exporters leave it out.",
		Mend:    "Remove the folder from the layer."})
	RuleLongPath = rules.Add(finding.Rule{ID: "long-path", Severity: finding.Info,
		Meaning: "Programs that do not ask for long paths cannot open a file whose path has 260 units or more.",
		Mend:    "Shorten the path."})
	RuleReparseOwn = rules.Add(finding.Rule{ID: "reparse-not-standard", Severity: finding.Warning,
		Meaning: "A layer tar carries the target of a link alone, so that other programs make other reparse data; mullion restores it.",
		Mend:    "Make the link anew from its target."})
	RuleOwnMetadata = rules.Add(finding.Rule{ID: "metadata-not-standard", Severity: finding.Info,
		Meaning: "Programs other than mullion lose object identifiers and the flags of extended attributes.",
		Mend:    "Leave the metadata out if nothing needs it."})
	RuleStreamOnDir = rules.Add(finding.Rule{ID: "stream-on-directory", Severity: finding.Warning,
		Meaning: "Exporters of Windows leave out the streams of directories and links.",
		Mend:    "Move the data to a file."})
	RuleStream = rules.Add(finding.Rule{ID: "alternate-stream", Severity: finding.Info,
		Meaning: "hcsshim, importing to CimFS, takes a stream for a file with a colon in its name unless the name ends in :$DATA, and fails.",
		Mend:    "Move the data to a file."})
	RuleSparseFile = rules.Add(finding.Rule{ID: "sparse-file", Severity: finding.Info,
		Meaning: "Exporters before hcsshim of September 2026 lose the size of sparse files.",
		Mend:    "Write the file without holes and clear the attribute."})
)
