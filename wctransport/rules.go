package wctransport

import "github.com/mullion/mullion/internal/layerdir"

// The rules that both kinds of layer directories share.
const (
	RuleNotLayer      = layerdir.RuleNotLayer
	RuleTransportFile = layerdir.RuleTransportFile
	RuleHostFile      = layerdir.RuleHostFile
	RuleNoRecord      = layerdir.RuleNoRecord
	RuleDamagedRecord = layerdir.RuleDamagedRecord
	RuleLostEntry     = layerdir.RuleLostEntry
	RuleHostName      = layerdir.RuleHostName
	RuleUnreadable    = layerdir.RuleUnreadable
)
