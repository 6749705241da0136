package wclayer

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("wclayer")

// Rules returns the rules of layer directories. [Check] reports those of package layer
// too.
func Rules() []finding.Rule { return rules.All() }

// The rules of layer directories.
var (
	RuleNotLayer = rules.Add(finding.Rule{ID: "not-a-layer-directory", Severity: finding.Error,
		Meaning: "Windows cannot use the directory as a layer.",
		Mend:    "Name the directory that has Files or a tree with tombstones.txt in it."})
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
	RuleTransportFile = rules.Add(finding.Rule{ID: "bad-transport-file", Severity: finding.Error,
		Meaning: "Importers fail, or lose attributes or streams of the file.",
		Mend:    "Export the layer again."})
	RuleNoDelta = rules.Add(finding.Rule{ID: "system-delta-missing", Severity: finding.Warning,
		Meaning: "Files and Hives get the time of the import.",
		Mend:    "Export the layer again."})
	RuleUtilityVM = rules.Add(finding.Rule{ID: "utility-vm-in-transport", Severity: finding.Warning,
		Meaning: "Transport directories do not carry the utility VM; importers ignore it.",
		Mend:    "Convert the layer to a final layer directory."})
	RuleHostFile = rules.Add(finding.Rule{ID: "host-file", Severity: finding.Error,
		Meaning: "Windows has no links, devices, sockets or pipes of another host.",
		Mend:    "Remove the file."})
	RuleNoRecord = rules.Add(finding.Rule{ID: "metadata-record-missing", Severity: finding.Error,
		Meaning: "The descriptor and other metadata that the host cannot hold are lost.",
		Mend:    "Unpack the layer again."})
	RuleDamagedRecord = rules.Add(finding.Rule{ID: "metadata-record-damaged", Severity: finding.Error,
		Meaning: "The metadata that the host cannot hold may be that of another state of the file.",
		Mend:    "Unpack the layer again."})
	RuleLostEntry = rules.Add(finding.Rule{ID: "entry-missing", Severity: finding.Error,
		Meaning: "A file of the layer is lost.",
		Mend:    "Unpack the layer again."})
	RuleHostName = rules.Add(finding.Rule{ID: "host-name-invalid", Severity: finding.Error,
		Meaning: "Windows cannot hold the name.",
		Mend:    "Rename the file."})
	RuleHiveSignature = rules.Add(finding.Rule{ID: "base-hive-invalid", Severity: finding.Error,
		Meaning: "Windows does not start a container on a base layer with a damaged registry hive.",
		Mend:    "mullion hive repair rebuilds a hive that can be read."})
	RuleHiveLink = rules.Add(finding.Rule{ID: "base-hive-not-processed", Severity: finding.Warning,
		Meaning: "Windows does not find the hive of the base layer when it starts a container.",
		Mend:    "mullion makebase makes it."})
	RuleLayout = rules.Add(finding.Rule{ID: "layout-missing", Severity: finding.Warning,
		Meaning: "Windows takes the base layer for one that was not processed.",
		Mend:    "mullion makebase makes it."})
)
