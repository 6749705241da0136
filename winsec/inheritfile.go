package winsec

import (
	"bytes"
	"slices"
)

// ownDefault is the default DACL in the token of an administrator with all rights, which a
// new file gets where its directory has nothing to inherit.
var ownDefault = []ACE{
	{Type: ACEAllowed, Mask: FileAllAccess, SID: BuiltinAdministrators},
	{Type: ACEAllowed, Mask: FileAllAccess, SID: LocalSystem},
}

// InheritFile returns the descriptor that Windows gives a new file, or with dir a new
// directory, in a directory with the descriptor parent, when CreateFile is not passed one
// (MS-DTYP 2.5.3.4.1 to 2.5.3.4.6 with DACL_AUTO_INHERIT and SACL_AUTO_INHERIT; Windows
// "ACE Inheritance Rules"). The layout is ACLFirst. The parent is self-relative.
//
// Of both lists of the parent, a file inherits the entries with ObjectInherit, which take
// effect there and go no further; a directory inherits those with ContainerInherit, which
// take effect, and, for the files in it, those with ObjectInherit alone, as inherit-only
// entries. NoPropagate ends the inheritance at the new object. An entry that takes effect
// has the generic rights replaced by those of files, and the creator owner and creator group
// by owner and group; where that makes it differ from what is to be inherited below, a
// directory gets two entries, the effective one first. Mandatory labels and resource
// attributes keep their masks, which are no rights. An entry for objects of another type is
// passed on by directories and takes no effect. All inherited entries are marked with
// [Inherited], and the descriptor with DACLAutoInherited or SACLAutoInherited. An inherited
// entry that equals one before it is left out, as in the pair of [BuilderDirectory] and
// [BuilderFile], which was recorded on Windows Server: the file has one entry for the
// administrators where its directory hands down two.
//
// A protected list of the parent hands its entries down like any other: protection concerns
// what the parent itself inherits.
//
// The zero owner is [BuiltinAdministrators], the owner of what administrators and services
// create, and the zero group [LocalSystem], the primary group of the services that unpack
// and build images on Windows.
//
// Where the parent's DACL has nothing to inherit, which an empty and a NULL DACL have not,
// Windows takes the default DACL of the token of the process. That of an elevated
// administrator allows everything to the administrators and to the system, and so does the
// result; its entries are not marked as inherited. That is inferred: tokens are not part of
// layers, and other accounts have other lists.
//
// The error is that of [Parse] or [Descriptor.Bytes].
func InheritFile(parent []byte, owner, group SID, dir bool) ([]byte, error) {
	p, err := Parse(parent)
	if err != nil {
		return nil, err
	}
	if !owner.IsValid() {
		owner = BuiltinAdministrators
	}
	if !group.IsValid() {
		group = LocalSystem
	}
	d := &Descriptor{Owner: &owner, Group: &group, layout: ACLFirst}
	if l := d.fromDirectory(p.DACL, dir); l != nil {
		d.DACL = l
		d.Control |= DACLPresent | DACLAutoInherited
	} else {
		d.DACL = &ACL{ACEs: slices.Clone(ownDefault)}
		d.Control |= DACLPresent
	}
	if l := d.fromDirectory(p.SACL, dir); l != nil {
		d.SACL = l
		d.Control |= SACLPresent | SACLAutoInherited
	}
	return d.Bytes()
}

// ReinheritFile replaces the inherited entries in the DACL of a file or directory by those
// that it inherits from the DACL of its directory now, which is what setting a DACL without
// protection does and what "icacls /reset" and "/inheritance:e" mean by inheriting. The
// explicit entries stay and come first, in their order. A DACL that is protected is not
// changed, nor is a NULL DACL; [Descriptor.Protect] and [Descriptor.Unprotect] decide.
// Without anything to inherit, the explicit entries are all that is left, even none: an
// existing object never gets a default DACL. ReinheritFile reports whether the DACL changed.
//
// parent is not changed. The owner and group of d stand for the creators.
func (d *Descriptor) ReinheritFile(parent *Descriptor, dir bool) bool {
	if d.Control&DACLProtected != 0 || d.DACL == nil {
		return false
	}
	list := d.DACL.explicit()
	if l := d.fromDirectory(parent.DACL, dir); l != nil {
		list = append(list, l.ACEs...)
	}
	was := d.Control
	d.Control |= DACLPresent | DACLAutoInherited
	d.Control &^= DACLDefaulted
	if slices.EqualFunc(list, d.DACL.ACEs, sameACE) {
		return d.Control != was
	}
	d.DACL = &ACL{ACEs: list}
	return true
}

// Protect ends the inheritance of the DACL. With keep the inherited entries become explicit
// ones (icacls /inheritance:d), else they are removed (/inheritance:r).
func (d *Descriptor) Protect(keep bool) {
	if d.DACL == nil {
		return
	}
	if keep {
		for i := range d.DACL.ACEs {
			d.DACL.ACEs[i].Flags &^= Inherited
		}
	} else {
		d.DACL.ACEs = d.DACL.explicit()
	}
	d.DACL.Slack = nil
	d.Control |= DACLProtected
}

// Unprotect lets the DACL inherit again. It gets its inherited entries from
// [Descriptor.ReinheritFile].
func (d *Descriptor) Unprotect() { d.Control &^= DACLProtected }

// Deny denies sid the rights in mask: they are added to an explicit denial of sid with the
// same inheritance, or to a new entry behind the explicit denials at the start of the list,
// before everything that it limits. Explicit entries that allow sid the rights stay, without
// effect. Deny reports whether the descriptor changed; it changes no NULL DACL, which would
// begin to deny everything else.
func (d *Descriptor) Deny(sid SID, mask uint32, inherit ACEFlags) bool {
	if d.DACL == nil || !sid.IsValid() {
		return false
	}
	at := 0
	for i := range d.DACL.ACEs {
		a := &d.DACL.ACEs[i]
		if !a.Type.denies() || a.Flags&Inherited != 0 {
			break
		}
		if a.Type == ACEDenied && a.Flags == inherit && a.SID == sid {
			changed := a.Mask&mask != mask
			a.Mask |= mask
			return changed
		}
		at = i + 1
	}
	d.DACL.ACEs = slices.Insert(d.DACL.ACEs, at, ACE{Type: ACEDenied, Flags: inherit, Mask: mask, SID: sid})
	d.DACL.Slack = nil
	return true
}

// Remove removes the explicit entries of sid from the DACL, of those that allow and those
// that deny as chosen, and returns their number.
func (d *Descriptor) Remove(sid SID, allowed, denied bool) int {
	if d.DACL == nil {
		return 0
	}
	before := len(d.DACL.ACEs)
	d.DACL.ACEs = slices.DeleteFunc(d.DACL.ACEs, func(a ACE) bool {
		return a.Flags&Inherited == 0 && !a.Type.isRaw() && a.SID == sid && (allowed && a.Type.allows() || denied && a.Type.denies())
	})
	if len(d.DACL.ACEs) != before {
		d.DACL.Slack = nil
	}
	return before - len(d.DACL.ACEs)
}

// Canonicalize puts the DACL into the order that Windows expects, explicit denials, explicit
// grants, then the inherited entries, without changing the order within the groups. It
// reports whether the list changed.
func (d *Descriptor) Canonicalize() bool {
	if d.DACL == nil {
		return false
	}
	rank := func(a ACE) int {
		switch {
		case a.Flags&Inherited != 0:
			return 2
		case a.Type.denies():
			return 0
		}
		return 1
	}
	order := func(a, b ACE) int { return rank(a) - rank(b) }
	if slices.IsSortedFunc(d.DACL.ACEs, order) {
		return false
	}
	slices.SortStableFunc(d.DACL.ACEs, order)
	return true
}

// fromDirectory returns the entries of a directory's list that a new file or directory
// inherits, nil if there are none.
func (d *Descriptor) fromDirectory(from *ACL, dir bool) *ACL {
	if from == nil {
		return nil
	}
	l := &ACL{}
	seen := map[string]bool{}
	add := func(a ACE) {
		key, err := a.append(nil)
		if err != nil || !seen[string(key)] { // an entry that cannot be written is an error later
			seen[string(key)] = err == nil
			l.ACEs = append(l.ACEs, a)
		}
	}
	for _, a := range from.ACEs {
		inherits := a.Flags & (ObjectInherit | ContainerInherit)
		if inherits == 0 {
			continue
		}
		passes := dir && a.Flags&NoPropagate == 0
		effective := a.Flags&ObjectInherit != 0 && !dir || a.Flags&ContainerInherit != 0 && dir
		effective = effective && a.InheritedObjectType == nil
		a.Flags = a.Flags&^inheritanceFlags | Inherited
		below := a
		below.Flags |= inherits | InheritOnly
		switch {
		case !effective && !passes:
		case !effective:
			add(below)
		default:
			here := d.takeEffect(a)
			if !passes {
				add(here)
			} else if here.Mask == a.Mask && here.SID == a.SID {
				here.Flags |= inherits
				add(here)
			} else {
				add(here)
				add(below)
			}
		}
	}
	if len(l.ACEs) == 0 {
		return nil
	}
	return l
}

// takeEffect returns an entry with its generic rights and creator SIDs replaced.
func (d *Descriptor) takeEffect(a ACE) ACE {
	one := ACL{ACEs: []ACE{a}}
	one.mapGeneric(FileRights)
	a = one.ACEs[0]
	switch {
	case a.Type.isRaw():
	case a.SID == creatorOwner && d.Owner != nil:
		a.SID = *d.Owner
	case a.SID == creatorGroup && d.Group != nil:
		a.SID = *d.Group
	}
	return a
}

// explicit returns a copy of the entries that are not inherited.
func (l *ACL) explicit() []ACE {
	return slices.DeleteFunc(slices.Clone(l.ACEs), func(a ACE) bool { return a.Flags&Inherited != 0 })
}

func sameACE(a, b ACE) bool {
	return a.Type == b.Type && a.Flags == b.Flags && a.Mask == b.Mask && a.SID == b.SID && a.ObjectFlags == b.ObjectFlags &&
		bytes.Equal(a.Data, b.Data) && sameValue(a.ObjectType, b.ObjectType) && sameValue(a.InheritedObjectType, b.InheritedObjectType)
}

func sameValue[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
