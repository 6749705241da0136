package regf

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("hive")

// Rules returns the rules of [Hive.Check], of reading in the modes [Report] and
// [Salvage], and of [Hive.Repair].
func Rules() []finding.Rule { return rules.All() }

// RuleTruncated is the rule that a file has all of its hive.
var RuleTruncated = rules.Add(finding.Rule{ID: "hive-truncated", Severity: finding.Error,
	Meaning: "Windows refuses a hive that is shorter than it declares.",
	Mend:    "mullion hive repair keeps the keys and values in the part that exists."})

// The rules of hives. Those with a lesser severity are reported with it where the
// breach cannot change an answer, see [Harmless].
var (
	ruleBaseBlock = rules.Add(finding.Rule{ID: "base-block", Severity: finding.Error,
		Meaning: "Windows does not load a hive whose base block it cannot read.",
		Mend:    "mullion hive repair guesses version and flags from the bins."})
	ruleBinHeader = rules.Add(finding.Rule{ID: "bin-header", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows takes the bin as corrupt and loads the hive only after rebuilding it.",
		Mend:    "mullion hive repair writes the bins anew."})
	ruleBinsSize = rules.Add(finding.Rule{ID: "bins-size", Severity: finding.Error,
		Meaning: "Windows refuses a hive that is shorter than its base block declares, and ignores bins beyond.",
		Mend:    "mullion hive repair writes the base block anew."})
	ruleCellAlign = rules.Add(finding.Rule{ID: "cell-align", Severity: finding.Error,
		Meaning: "A reference that is not a multiple of 8 leads to no cell; Windows drops the key or value.",
		Mend:    "mullion hive repair leaves out the reference."})
	ruleCellFree = rules.Add(finding.Rule{ID: "cell-free", Severity: finding.Error,
		Meaning: "The referenced cell can be given to other data at the next edit.",
		Mend:    "mullion hive repair copies the cell to a new one."})
	ruleCellLeak = rules.Add(finding.Rule{ID: "cell-leak", Severity: finding.Warning,
		Meaning: "The cell is lost space. No key or value changes.",
		Mend:    "mullion hive repair leaves the cell out."})
	ruleCellNone = rules.Add(finding.Rule{ID: "cell-none", Severity: finding.Error,
		Meaning: "A key or value lacks a cell that it needs; Windows drops it.",
		Mend:    "mullion hive repair leaves out the reference."})
	ruleCellOverlap = rules.Add(finding.Rule{ID: "cell-overlap", Severity: finding.Error,
		Meaning: "An edit of one cell overwrites part of the other.",
		Mend:    "mullion hive repair copies both to cells of their own."})
	ruleCellRange = rules.Add(finding.Rule{ID: "cell-range", Severity: finding.Error,
		Meaning: "The reference leads outside the bins; Windows drops the key or value.",
		Mend:    "mullion hive repair leaves out the reference."})
	ruleCellShared = rules.Add(finding.Rule{ID: "cell-shared", Severity: finding.Error,
		Meaning: "Deleting one owner of the cell frees it under the other.",
		Mend:    "mullion hive repair gives each owner its own cell."})
	ruleCellSize = rules.Add(finding.Rule{ID: "cell-size", Severity: finding.Error,
		Meaning: "Windows cannot cut the bin into cells and takes it as corrupt.",
		Mend:    "mullion hive repair writes the bins anew."})
	ruleChecksum = rules.Add(finding.Rule{ID: "checksum", Severity: finding.Error,
		Meaning: "Windows takes the base block as damaged and needs the transaction logs to load the hive.",
		Mend:    "mullion hive recover replays the logs; mullion hive repair does without them."})
	ruleClassSize = rules.Add(finding.Rule{ID: "class-size", Severity: finding.Error,
		Meaning: "Windows reads the class short or not at all.",
		Mend:    "mullion hive repair keeps the part that is stored."})
	ruleClustering = rules.Add(finding.Rule{ID: "clustering", Severity: finding.Warning,
		Meaning: "Windows expects the factor 1 in every hive.",
		Mend:    "mullion hive repair writes the base block anew."})
	ruleDataInline = rules.Add(finding.Rule{ID: "data-inline", Severity: finding.Error,
		Meaning: "The value declares more inline data than its record has room for; Windows reads four bytes.",
		Mend:    "mullion hive repair keeps the four bytes."})
	ruleDataShared = rules.Add(finding.Rule{ID: "data-shared", Severity: finding.Error,
		Meaning: "Two values use one cell for their data; deleting one frees it under the other.",
		Mend:    "mullion hive repair gives each value its own copy."})
	ruleDataSize = rules.Add(finding.Rule{ID: "data-size", Severity: finding.Error,
		Meaning: "Windows cannot read all the data that the value declares.",
		Mend:    "mullion hive repair keeps the part that is stored."})
	ruleDb = rules.Add(finding.Rule{ID: "db", Severity: finding.Error,
		Meaning: "The record of large data is damaged; Windows cannot read the value.",
		Mend:    "mullion hive repair keeps the part that can be read."})
	ruleDbCount = rules.Add(finding.Rule{ID: "db-count", Severity: finding.Error,
		Meaning: "The count of segments disagrees with the size of the data; Windows reads the value short or fails.",
		Mend:    "mullion hive repair writes the segments anew."})
	ruleDbFlat = rules.Add(finding.Rule{ID: "db-flat", Severity: finding.Error,
		Meaning: "A value above 16,344 bytes is stored in one cell, which versions 1.4 and later do not read.",
		Mend:    "mullion hive repair splits the data into segments."})
	ruleDbSegment = rules.Add(finding.Rule{ID: "db-segment", Severity: finding.Error,
		Meaning: "A segment is shorter than its part of the data; Windows cannot read the value.",
		Mend:    "mullion hive repair keeps the part that is stored."})
	ruleDbShort = rules.Add(finding.Rule{ID: "db-short", Severity: finding.Error,
		Meaning: "Windows drops the value without an error.",
		Mend:    "mullion hive repair writes the segments anew."})
	ruleDepth = rules.Add(finding.Rule{ID: "depth", Severity: finding.Error,
		Meaning: "Windows allows 512 levels of keys and does not reach deeper ones.",
		Mend:    "Move the keys up; mullion hive repair leaves out the deeper ones."})
	ruleDirty = rules.Add(finding.Rule{ID: "dirty", Severity: finding.Error,
		Meaning: "Changes are only in the transaction logs; a tool that ignores the logs reads stale data.",
		Mend:    "mullion hive recover replays the logs."})
	ruleFormat = rules.Add(finding.Rule{ID: "format", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows expects the format 1, a hive that is loaded directly.",
		Mend:    "mullion hive repair writes the base block anew."})
	ruleFreeUnmerged = rules.Add(finding.Rule{ID: "free-unmerged", Severity: finding.Warning,
		Meaning: "Free space is fragmented. No key or value changes.",
		Mend:    "mullion hive repair merges free space."})
	ruleHeaderFlags = rules.Add(finding.Rule{ID: "header-flags", Severity: finding.Warning,
		Meaning: "Windows ignores flags that it does not know or refuses the hive, depending on its version.",
		Mend:    "mullion hive repair writes the base block anew."})
	ruleLayerTombstone = rules.Add(finding.Rule{ID: "layer-tombstone", Severity: finding.Error,
		Meaning: "A tombstone hides the key below it and cannot hold anything; Windows ignores the content.",
		Mend:    "mullion hive repair leaves out the content."})
	ruleLayerTree = rules.Add(finding.Rule{ID: "layer-tree", Severity: finding.Info,
		Meaning: "Merging takes the key as superseding its tree, as the Offline Registry Library does.",
		Mend:    "Nothing needs to be mended."})
	ruleLayerValue = rules.Add(finding.Rule{ID: "layer-value", Severity: finding.Error,
		Meaning: "The Offline Registry Library drops a tombstone value that has a type or data.",
		Mend:    "mullion hive repair leaves it out."})
	ruleList = rules.Add(finding.Rule{ID: "list", Severity: finding.Error,
		Meaning: "Windows cannot read a list of subkeys and loses the keys in it.",
		Mend:    "mullion hive repair finds the keys by their parent pointers."})
	ruleListCount = rules.Add(finding.Rule{ID: "list-count", Severity: finding.Error,
		Meaning: "The list declares more entries than its cell holds; Windows loses keys.",
		Mend:    "mullion hive repair writes the list anew."})
	ruleListEmpty = rules.Add(finding.Rule{ID: "list-empty", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows never writes a list without entries and takes it as corrupt.",
		Mend:    "mullion hive repair writes the list anew."})
	ruleListHash = rules.Add(finding.Rule{ID: "list-hash", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows does not find the subkey by its name.",
		Mend:    "mullion hive repair computes the hash."})
	ruleListHint = rules.Add(finding.Rule{ID: "list-hint", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows does not find the subkey by its name.",
		Mend:    "mullion hive repair computes the hint."})
	ruleListLong = rules.Add(finding.Rule{ID: "list-long", Severity: finding.Error,
		Meaning: "The list has more entries than the hive has room for keys; it repeats entries.",
		Mend:    "mullion hive repair keeps each key once."})
	ruleListNested = rules.Add(finding.Rule{ID: "list-nested", Severity: finding.Error,
		Meaning: "Windows reads lists of lists of one level only and loses the keys below.",
		Mend:    "mullion hive repair writes the list anew."})
	ruleListNone = rules.Add(finding.Rule{ID: "list-none", Severity: finding.Error,
		Meaning: "The key declares subkeys and has no list; Windows loses them.",
		Mend:    "mullion hive repair finds the keys by their parent pointers."})
	ruleListOrder = rules.Add(finding.Rule{ID: "list-order", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows searches lists by halves and does not find some subkeys.",
		Mend:    "mullion hive repair sorts the list."})
	ruleListShared = rules.Add(finding.Rule{ID: "list-shared", Severity: finding.Error,
		Meaning: "Two keys use one list; a change below one changes the other.",
		Mend:    "mullion hive repair gives the list to the key that the parent pointers name."})
	ruleLongestClass = rules.Add(finding.Rule{ID: "longest-class", Severity: finding.Warning,
		Meaning: "A program that sizes its buffer by this field gets ERROR_MORE_DATA.",
		Mend:    "mullion hive repair computes the field."})
	ruleLongestSubkey = rules.Add(finding.Rule{ID: "longest-subkey", Severity: finding.Warning,
		Meaning: "A program that sizes its buffer by this field gets ERROR_MORE_DATA.",
		Mend:    "mullion hive repair computes the field."})
	ruleLongestValueData = rules.Add(finding.Rule{ID: "longest-value-data", Severity: finding.Warning,
		Meaning: "A program that sizes its buffer by this field gets ERROR_MORE_DATA.",
		Mend:    "mullion hive repair computes the field."})
	ruleLongestValueName = rules.Add(finding.Rule{ID: "longest-value-name", Severity: finding.Warning,
		Meaning: "A program that sizes its buffer by this field gets ERROR_MORE_DATA.",
		Mend:    "mullion hive repair computes the field."})
	ruleNameOdd = rules.Add(finding.Rule{ID: "name-odd", Severity: finding.Error,
		Meaning: "A UTF-16 name has half a unit at its end, which Windows cannot compare.",
		Mend:    "mullion hive repair drops the odd byte."})
	ruleNk = rules.Add(finding.Rule{ID: "nk", Severity: finding.Error,
		Meaning: "Windows cannot read the key record and loses the key with everything below it.",
		Mend:    "mullion hive repair keeps the subkeys that their parent pointers lead to."})
	ruleNkCycle = rules.Add(finding.Rule{ID: "nk-cycle", Severity: finding.Error,
		Meaning: "A key is its own ancestor; a program that walks the tree does not end.",
		Mend:    "mullion hive repair keeps the key once."})
	ruleNkDuplicate = rules.Add(finding.Rule{ID: "nk-duplicate", Severity: finding.Error,
		Meaning: "Windows finds one of two keys of the same name and hides the other.",
		Mend:    "mullion hive repair gives the second one another name."})
	ruleNkLost = rules.Add(finding.Rule{ID: "nk-lost", Severity: finding.Error,
		Meaning: "No list names the subkey, so that Windows does not show it.",
		Mend:    "mullion hive repair enters it in the list."})
	ruleNkName = rules.Add(finding.Rule{ID: "nk-name", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows cannot open a key that has no name, a backslash in its name, or a name that is too long.",
		Mend:    "mullion hive repair gives the key another name."})
	ruleNkParent = rules.Add(finding.Rule{ID: "nk-parent", Severity: finding.Error, Least: finding.Warning,
		Meaning: "The parent pointer leads elsewhere; Windows computes wrong paths and security for the key.",
		Mend:    "mullion hive repair computes the pointer."})
	ruleNkTwice = rules.Add(finding.Rule{ID: "nk-twice", Severity: finding.Error,
		Meaning: "Two lists name one key; deleting one frees the key under the other.",
		Mend:    "mullion hive repair keeps it where its parent pointer leads."})
	ruleRead = rules.Add(finding.Rule{ID: "read", Severity: finding.Error,
		Meaning: "The structure cannot be read at all.",
		Mend:    "mullion hive repair leaves it out."})
	ruleRootKey = rules.Add(finding.Rule{ID: "root-key", Severity: finding.Error,
		Meaning: "The base block does not lead to a root key; Windows does not load the hive.",
		Mend:    "mullion hive repair finds the root key."})
	ruleSk = rules.Add(finding.Rule{ID: "sk", Severity: finding.Error,
		Meaning: "Windows cannot read the security record and takes the key as corrupt.",
		Mend:    "mullion hive repair gives the key the descriptor of its parent."})
	ruleSkDescriptor = rules.Add(finding.Rule{ID: "sk-descriptor", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows refuses access to a key whose descriptor is not valid.",
		Mend:    "mullion hive repair gives the key the descriptor of its parent."})
	ruleSkRefs = rules.Add(finding.Rule{ID: "sk-refs", Severity: finding.Warning,
		Meaning: "The count of keys that use the descriptor is wrong; a count that is too small frees it while it is in use.",
		Mend:    "mullion hive repair counts the keys."})
	ruleSkRing = rules.Add(finding.Rule{ID: "sk-ring", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows walks the ring of descriptors when it loads the hive and takes a broken ring as corrupt.",
		Mend:    "mullion hive repair writes the ring anew."})
	ruleSkSize = rules.Add(finding.Rule{ID: "sk-size", Severity: finding.Error,
		Meaning: "The descriptor is longer than its cell; Windows takes the key as corrupt.",
		Mend:    "mullion hive repair gives the key the descriptor of its parent."})
	ruleSubkeyCount = rules.Add(finding.Rule{ID: "subkey-count", Severity: finding.Error, Least: finding.Warning,
		Meaning: "The key declares another number of subkeys than its list has; Windows enumerates too few or fails.",
		Mend:    "mullion hive repair counts the subkeys."})
	ruleSymlinkValue = rules.Add(finding.Rule{ID: "symlink-value", Severity: finding.Error,
		Meaning: "The Offline Registry Library deletes values of a symbolic link that are not its target.",
		Mend:    "Delete the values with mullion hive delete."})
	ruleTail = rules.Add(finding.Rule{ID: "tail", Severity: finding.Info,
		Meaning: "Windows ignores data behind the bins.",
		Mend:    "Nothing needs to be mended; mullion hive repair leaves it out."})
	ruleValueCount = rules.Add(finding.Rule{ID: "value-count", Severity: finding.Error,
		Meaning: "The list of values is shorter than the key declares; Windows loses values.",
		Mend:    "mullion hive repair keeps the values that can be read."})
	ruleValueListShared = rules.Add(finding.Rule{ID: "value-list-shared", Severity: finding.Error,
		Meaning: "Two keys use one list of values; a change of one changes the other.",
		Mend:    "mullion hive repair gives each key its own list."})
	ruleVk = rules.Add(finding.Rule{ID: "vk", Severity: finding.Error,
		Meaning: "Windows cannot read the value record and loses the value.",
		Mend:    "mullion hive repair leaves the value out."})
	ruleVkDuplicate = rules.Add(finding.Rule{ID: "vk-duplicate", Severity: finding.Error,
		Meaning: "Windows finds one of two values of the same name and hides the other.",
		Mend:    "mullion hive repair gives the second one another name, or drops it if it is equal."})
	ruleVkName = rules.Add(finding.Rule{ID: "vk-name", Severity: finding.Error,
		Meaning: "The name goes past the end of the record; Windows cannot read the value.",
		Mend:    "mullion hive repair keeps the part that is stored."})
	ruleVkTwice = rules.Add(finding.Rule{ID: "vk-twice", Severity: finding.Error,
		Meaning: "Two lists name one value; deleting one frees the value under the other.",
		Mend:    "mullion hive repair keeps a copy in each."})
)
