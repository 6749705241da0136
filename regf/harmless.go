package regf

// harmless are the rules whose breach cannot change an answer: which keys and values
// there are, where they are, what they hold, and who may have them. Lists, their
// counts and the pointers upwards can be computed from the rest of the hive; what a
// list names is read in any order; the fields about longest names, reference counts
// and the ring of descriptors serve only those who write. Windows loads hives with
// such faults too, and mends them.
//
// Rules that are not here can hide or change something: a list or a record that
// cannot be read, two keys of one name, data in the wrong form.
//
// This is the one place that decides what [Options.AllowHarmless] passes over.
var harmless = map[string]bool{
	"format": true, "clustering": true, "tail": true, "bin-header": true, "free-unmerged": true, "cell-leak": true,
	"list-order": true, "list-hash": true, "list-hint": true, "list-empty": true, "subkey-count": true, "nk-parent": true,
	"longest-subkey": true, "longest-class": true, "longest-value-name": true, "longest-value-data": true,
	"sk-refs": true, "sk-ring": true,
}

// Harmless reports whether the breach of a rule, as [finding.Finding.Rule] names it, cannot
// change what is read from a hive.
func Harmless(rule string) bool { return harmless[rule] }
