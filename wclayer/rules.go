package wclayer

import (
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/wctransport"
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

var rules = finding.NewCatalogue("wclayer")

// Rules returns the rules of layer directories of both kinds. [Check] reports rules of
// package layer too.
func Rules() []finding.Rule {
	return slices.Concat(layerdir.Rules(), wctransport.Rules(), rules.All())
}

// The rules of base layers.
var (
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
