package layerdir

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("layer directory")

// Rules returns the rules that both kinds of layer directories share.
func Rules() []finding.Rule { return rules.All() }

// The rules of every layer directory. Those about the tree and the metadata of any layer
// are rules of package layer.
var (
	RuleNotLayer = rules.Add(finding.Rule{ID: "not-a-layer-directory", Severity: finding.Error,
		Meaning: "Windows cannot use the directory as a layer.",
		Mend:    "Name the directory that has Files or a tree with tombstones.txt in it."})
	RuleTransportFile = rules.Add(finding.Rule{ID: "bad-transport-file", Severity: finding.Error,
		Meaning: "Importers fail, or lose attributes or streams of the file.",
		Mend:    "Export the layer again."})
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
)
