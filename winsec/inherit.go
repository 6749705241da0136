package winsec

// ObjectRights maps generic rights to those of a kind of object.
type ObjectRights struct{ Read, Write, Execute, All uint32 }

// KeyRights are the rights of registry keys that generic rights stand for: KR, KW, KX
// and KA of SDDL.
var KeyRights = ObjectRights{Read: KeyRead, Write: 0x00020006, Execute: KeyRead, All: KeyAllAccess}

// mapped replaces generic rights.
func (r ObjectRights) mapped(mask uint32) uint32 {
	for _, g := range [...]struct{ generic, own uint32 }{
		{GenericRead, r.Read}, {GenericWrite, r.Write}, {GenericExecute, r.Execute}, {GenericAll, r.All},
	} {
		if mask&g.generic != 0 {
			mask = mask&^g.generic | g.own
		}
	}
	return mask
}

// inheritanceFlags are the flags that say how an entry is passed on.
const inheritanceFlags = ObjectInherit | ContainerInherit | NoPropagate | InheritOnly

// The SIDs that an inherited entry replaces by those of the new object.
var (
	creatorOwner = MakeSID(3, 0)
	creatorGroup = MakeSID(3, 1)
)

// Inherit returns the descriptor of a new container in a container, a key below a key,
// as CreatePrivateObjectSecurityWithMultipleInheritance is documented to make it
// without a token and with the flags 0x1078, those of the Offline Registry Library
// (docs/spec/registry.md, "Security"; MS-DTYP 2.5.3.4): owner and group of the creator,
// else of the parent; each list of the creator where it has one, else the entries of
// the parent's that containers inherit. Nothing is marked as inherited. The parts stand
// in the order ACLFirst.
//
// parent and creator are self-relative descriptors; creator may be nil. Generic rights of
// entries that take effect become those of rights.
//
// Where the parent's DACL has nothing to inherit Windows takes that of a token; a new
// object without one would be open to everybody. It gets the parent's list as it is.
//
// The error is that of [Parse] or [Descriptor.Bytes].
func Inherit(parent, creator []byte, rights ObjectRights) ([]byte, error) {
	p, err := Parse(parent)
	if err != nil {
		return nil, err
	}
	c := &Descriptor{}
	if creator != nil {
		if c, err = Parse(creator); err != nil {
			return nil, err
		}
	}
	d := &Descriptor{Owner: c.Owner, Group: c.Group, Control: c.Control & (OwnerDefaulted | GroupDefaulted), layout: ACLFirst}
	if d.Owner == nil {
		d.Owner = p.Owner
	}
	if d.Group == nil {
		d.Group = p.Group
	}
	if c.Control&DACLPresent != 0 {
		d.DACL = d.effective(c.DACL, rights)
		d.Control |= c.Control & (DACLPresent | DACLDefaulted | DACLProtected)
	} else if l := d.inherited(p.DACL, rights); l != nil {
		d.DACL = l
	} else {
		d.DACL = p.DACL
		d.Control |= p.Control & DACLPresent
	}
	if c.Control&SACLPresent != 0 {
		d.SACL = d.effective(c.SACL, rights)
		d.Control |= c.Control & (SACLPresent | SACLDefaulted | SACLProtected)
	} else {
		d.SACL = d.inherited(p.SACL, rights)
	}
	return d.Bytes()
}

// inherited returns what a container gets of its parent's list, nil for nothing.
func (d *Descriptor) inherited(from *ACL, rights ObjectRights) *ACL {
	if from == nil {
		return nil
	}
	l := &ACL{Revision: from.Revision}
	for _, a := range from.ACEs {
		a.Flags &^= Inherited
		switch {
		case a.Flags&ContainerInherit != 0:
			a.Flags &^= InheritOnly
			if a.Flags&NoPropagate != 0 {
				a.Flags &^= inheritanceFlags
			}
			l.ACEs = d.split(l.ACEs, a, rights)
		case a.Flags&ObjectInherit != 0 && a.Flags&NoPropagate == 0:
			// For objects further down: it passes through containers.
			a.Flags |= InheritOnly
			l.ACEs = append(l.ACEs, a)
		}
	}
	if len(l.ACEs) == 0 {
		return nil
	}
	return l
}

// effective returns a creator's list with generic rights and creator SIDs replaced.
func (d *Descriptor) effective(from *ACL, rights ObjectRights) *ACL {
	if from == nil {
		return nil
	}
	l := &ACL{Revision: from.Revision, Sbz1: from.Sbz1, Sbz2: from.Sbz2}
	for _, a := range from.ACEs {
		if a.Flags&InheritOnly != 0 {
			l.ACEs = append(l.ACEs, a)
			continue
		}
		l.ACEs = d.split(l.ACEs, a, rights)
	}
	return l
}

// split appends an entry that takes effect here. One that means something else below, for
// it names its creator or has generic rights, becomes two: what it is here, and what it
// was, for what is below.
func (d *Descriptor) split(list []ACE, a ACE, rights ObjectRights) []ACE {
	here := a
	if !a.Type.isRaw() {
		if a.Type != ACEMandatoryLabel {
			here.Mask = rights.mapped(a.Mask)
		}
		switch {
		case a.SID == creatorOwner && d.Owner != nil:
			here.SID = *d.Owner
		case a.SID == creatorGroup && d.Group != nil:
			here.SID = *d.Group
		}
	}
	if here.Mask == a.Mask && here.SID == a.SID || a.Flags&(ContainerInherit|ObjectInherit) == 0 {
		return append(list, here)
	}
	here.Flags &^= inheritanceFlags
	a.Flags |= InheritOnly
	return append(list, here, a)
}
