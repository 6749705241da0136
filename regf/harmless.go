package regf

// harmless are the rules whose violation cannot change a result: the keys and values that
// exist, their places, their contents and their permissions. Lists, their counts and the
// pointers to parents can be computed from the rest of the hive; the entries of a list are
// read in any order; the fields about longest names, reference counts and the ring of
// descriptors are used for writing only. Windows loads hives with such faults too, and
// repairs them.
//
// Rules that are not here can hide or change something: a list or a record that cannot be
// read, two keys of one name, data in the wrong form.
//
// Only this map decides which faults [Options.AllowHarmless] tolerates.
var harmless = map[string]bool{
	"format": true, "clustering": true, "tail": true, "bin-header": true, "free-unmerged": true, "cell-leak": true,
	"list-order": true, "list-hash": true, "list-hint": true, "list-empty": true, "subkey-count": true, "nk-parent": true,
	"longest-subkey": true, "longest-class": true, "longest-value-name": true, "longest-value-data": true,
	"sk-refs": true, "sk-ring": true,
}

// Harmless reports whether a violation of a rule, named as in [Finding.Rule], cannot change
// the contents that are read from a hive.
func Harmless(rule string) bool { return harmless[rule] }
