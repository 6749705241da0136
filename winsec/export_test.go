package winsec

// InheritedEntries returns what a container inherits from a list, for another kind of object
// than files.
func InheritedEntries(from *ACL, owner, group *SID, rights ObjectRights) []ACE {
	d := &Descriptor{Owner: owner, Group: group}
	if l := d.inheritedFrom(from, true, rights); l != nil {
		return l.ACEs
	}
	return nil
}

// SameACE reports whether two entries are the same.
func SameACE(a, b ACE) bool { return sameACE(a, b) }
