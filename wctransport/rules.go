package wctransport

import (
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/layerdir"
)

// The rules that both kinds of layer directories share.
var (
	RuleNotLayer      = layerdir.RuleNotLayer
	RuleTransportFile = layerdir.RuleTransportFile
	RuleHostFile      = layerdir.RuleHostFile
	RuleNoRecord      = layerdir.RuleNoRecord
	RuleDamagedRecord = layerdir.RuleDamagedRecord
	RuleLostEntry     = layerdir.RuleLostEntry
	RuleHostName      = layerdir.RuleHostName
)

var rules = finding.NewCatalogue("wctransport")

// Rules returns the rules of transport directories, without those that they share with
// final layer directories. [Check] reports rules of package layer too.
func Rules() []finding.Rule { return rules.All() }

// The rules of transport directories.
var (
	RuleTombstones = rules.Add(finding.Rule{ID: "bad-tombstones", Severity: finding.Error,
		Meaning: "Deletions of the layer are lost, so that hidden files stay visible.",
		Mend:    "Write tombstones.txt anew."})
	RuleNoParentDir = rules.Add(finding.Rule{ID: "tombstone-without-parent", Severity: finding.Warning,
		Meaning: "Exporters of Windows never return the deletion, so that the hidden file stays visible.",
		Mend:    "Store the directory of the deleted file in the layer."})
	RuleMetaFile = rules.Add(finding.Rule{ID: "missing-metadata-file", Severity: finding.Error,
		Meaning: "The attributes, times and descriptor of the directory are lost.",
		Mend:    "Export the layer again."})
	RuleOrphan = rules.Add(finding.Rule{ID: "orphan-metadata-file", Severity: finding.Error,
		Meaning: "Importers fail on metadata without its directory.",
		Mend:    "Remove the .$wcidirs$ file."})
	RuleNoDelta = rules.Add(finding.Rule{ID: "system-delta-missing", Severity: finding.Warning,
		Meaning: "Files and Hives get the time of the import.",
		Mend:    "Export the layer again."})
	RuleUtilityVM = rules.Add(finding.Rule{ID: "utility-vm-in-transport", Severity: finding.Warning,
		Meaning: "Transport directories do not carry the utility VM; importers ignore it.",
		Mend:    "Convert the layer to a final layer directory."})
)
