package winsec

import "slices"

// Grant allows sid the rights in mask. If an explicit entry already allows sid some rights
// with the same inheritance, the rights are added to it; otherwise a new entry is inserted
// before the first inherited one, which keeps the order that Windows expects: explicit
// before inherited, and denials before the entries that they limit. Grant reports whether
// the descriptor changed.
//
// A descriptor without a DACL, or with a NULL DACL, already allows everything. A list would
// take that away, so Grant does not change it.
func (d *Descriptor) Grant(sid SID, mask uint32, inherit ACEFlags) bool {
	if d.DACL == nil || !sid.IsValid() {
		return false
	}
	for i := range d.DACL.ACEs {
		a := &d.DACL.ACEs[i]
		if a.Type == ACEAllowed && a.Flags == inherit && a.SID == sid && len(a.Data) == 0 {
			changed := a.Mask&mask != mask
			a.Mask |= mask
			return changed
		}
	}
	at := slices.IndexFunc(d.DACL.ACEs, func(a ACE) bool { return a.Flags&Inherited != 0 })
	if at < 0 {
		at = len(d.DACL.ACEs)
	}
	d.DACL.ACEs = slices.Insert(d.DACL.ACEs, at, ACE{Type: ACEAllowed, Flags: inherit, Mask: mask, SID: sid})
	d.DACL.Slack = nil // the room was reserved for new entries
	return true
}

// GrantVMGroup returns the descriptor with read access for the group of all virtual
// machines, which a base layer and its disks need (docs/spec/layers.md, "Security
// descriptors"). For a directory, everything below inherits the access.
//
// hcsshim asks for GENERIC_READ. Windows maps the generic rights of a list that is set on a
// file or directory, so that no generic right is stored; GrantVMGroup does the same.
func GrantVMGroup(descriptor []byte, directory bool) ([]byte, error) {
	d, err := Parse(descriptor)
	if err != nil {
		return nil, err
	}
	var inherit ACEFlags
	if directory {
		inherit = ObjectInherit | ContainerInherit
	}
	d.Grant(VirtualMachines, GenericRead, inherit)
	d.DACL.mapGeneric(FileRights)
	return d.Bytes()
}
