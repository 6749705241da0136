package winsec

import "slices"

// Grant lets sid have the rights in mask. An explicit entry that already allows
// sid something with the same inheritance gets the rights added; otherwise a new
// entry goes before the first inherited one, which keeps the order that Windows
// expects: explicit before inherited, and denials before what they limit. It
// reports whether the descriptor changed.
//
// A descriptor without a DACL, or with a NULL DACL, allows everything as it is. A
// list would take that away, so Grant leaves it alone.
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
	d.DACL.Slack = nil // the unused room was for this
	return true
}

// GrantVMGroup returns the descriptor with read access for the group of all virtual
// machines, as a base layer and its disks need it (docs/spec/layers.md, "Security
// descriptors"): inherited by everything below if the descriptor is that of a
// directory.
//
// hcsshim asks for GENERIC_READ. Windows maps the generic rights of a list that is
// set on a file or directory, so that none is stored; so does GrantVMGroup.
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
