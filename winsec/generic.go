package winsec

// FileRights maps the generic rights to those of files and directories: FR, FW, FX and FA
// of SDDL.
var FileRights = ObjectRights{Read: 0x00120089, Write: 0x00120116, Execute: 0x001200A0, All: FileAllAccess}

// MapGeneric replaces generic rights by those of an object, as Windows does when a
// descriptor is set on an existing object: in entries that take effect there, not in
// inherit-only entries, which may apply to another kind of object. SDDL text and
// descriptors in CIM images keep generic rights; Windows maps neither.
func (d *Descriptor) MapGeneric(rights ObjectRights) {
	d.DACL.mapGeneric(rights)
	d.SACL.mapGeneric(rights)
}

func (l *ACL) mapGeneric(rights ObjectRights) {
	if l == nil {
		return
	}
	for i := range l.ACEs {
		// The masks of other types are not rights of the object.
		switch a := &l.ACEs[i]; {
		case a.Type.isRaw(), a.Flags&InheritOnly != 0:
		case a.Type == ACEMandatoryLabel, a.Type == ACEResourceAttribute, a.Type == ACEScopedPolicy, a.Type == ACEProcessTrustLabel:
		default:
			a.Mask = rights.mapped(a.Mask)
		}
	}
}
