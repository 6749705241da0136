package offline

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

var containerAdministrator = winsec.ContainerAdministrator

// descriptor returns the descriptor of a file or directory. One without is an error: what
// Windows gave it when its layer was unpacked is not known.
func (s *session) descriptor(it *item) (*winsec.Descriptor, error) {
	if it.Security == nil {
		return nil, fmt.Errorf("%w: the image has no security descriptor for %s", ErrNotOffline, winPath(it.Path))
	}
	d, err := winsec.Parse(it.Security)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", winPath(it.Path), err)
	}
	return d, nil
}

// setDescriptor stores a changed descriptor.
func (s *session) setDescriptor(it *item, d *winsec.Descriptor) error {
	if err := guard(it.Path); err != nil {
		return err
	}
	b, err := d.Bytes()
	if err != nil {
		return fmt.Errorf("%s: %w", winPath(it.Path), err)
	}
	if len(b) > maxDescriptor {
		return fmt.Errorf("%w of a descriptor, %d bytes: %s", ErrLimit, maxDescriptor, winPath(it.Path))
	}
	if bytes.Equal(b, it.Security) {
		return nil
	}
	it.Security = b
	return s.c.Files.Set(it.Path, func(e *layer.Entry) error { e.Security = b; return nil })
}

// maxDescriptor is what lists and SIDs of a descriptor can come to.
const maxDescriptor = 2 * 65535

func (s *session) setOwner(it *item, owner winsec.SID) error {
	d, err := s.descriptor(it)
	if err != nil {
		return err
	}
	d.Owner = &owner
	d.Control &^= winsec.OwnerDefaulted
	return s.setDescriptor(it, d)
}

// inherits are the flags with which a list passes an entry on.
const inherits = winsec.ObjectInherit | winsec.ContainerInherit | winsec.NoPropagate | winsec.InheritOnly

// inheritedEntries returns what an object inherits from the list of its parent, by the rules
// of MS-DTYP 2.5.3.4.4 to 2.5.3.4.6 for automatic inheritance.
func inheritedEntries(parent *winsec.ACL, dir bool, owner, group *winsec.SID) []winsec.ACE {
	if parent == nil {
		return nil
	}
	var out []winsec.ACE
	for _, a := range parent.ACEs {
		pass := dir && a.Flags&winsec.NoPropagate == 0
		var effective bool
		if dir {
			effective = a.Flags&winsec.ContainerInherit != 0
			pass = pass && a.Flags&(winsec.ContainerInherit|winsec.ObjectInherit) != 0
		} else {
			effective = a.Flags&winsec.ObjectInherit != 0
		}
		if !effective && !pass {
			continue
		}
		flags := a.Flags &^ (inherits | winsec.Inherited)
		onward := a.Flags & (winsec.ObjectInherit | winsec.ContainerInherit)
		if !effective {
			b := a
			b.Flags = flags | onward | winsec.InheritOnly | winsec.Inherited
			out = append(out, b)
			continue
		}
		here := a
		here.Flags = flags | winsec.Inherited
		d := winsec.Descriptor{DACL: &winsec.ACL{ACEs: []winsec.ACE{here}}}
		d.MapGeneric(winsec.FileRights)
		here = d.DACL.ACEs[0]
		switch {
		case here.SID == winsec.CreatorOwner && owner != nil:
			here.SID = *owner
		case here.SID == winsec.CreatorGroup && group != nil:
			here.SID = *group
		}
		if !pass {
			out = append(out, here)
			continue
		}
		if here.SID == a.SID && here.Mask == a.Mask {
			here.Flags |= onward
			out = append(out, here)
			continue
		}
		// What takes effect here differs from what is passed on.
		b := a
		b.Flags = flags | onward | winsec.InheritOnly | winsec.Inherited
		out = append(out, here, b)
	}
	return out
}

// explicit returns the entries that an object does not inherit.
func explicit(l *winsec.ACL) []winsec.ACE {
	if l == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(l.ACEs), func(a winsec.ACE) bool { return a.Flags&winsec.Inherited != 0 })
}

// reinherit gives a list the inherited entries of the parent's in place of its own, after
// the explicit ones.
func reinherit(d *winsec.Descriptor, parent *winsec.ACL, dir bool, keep []winsec.ACE) {
	l := &winsec.ACL{ACEs: append(keep, inheritedEntries(parent, dir, d.Owner, d.Group)...)}
	d.DACL = l
	d.Control |= winsec.DACLPresent | winsec.DACLAutoInherited
	d.Control &^= winsec.DACLDefaulted
}

// parentList returns the list of the directory that an item is in.
func (s *session) parentList(it *item) (*winsec.ACL, error) {
	dir, _ := winfs.SplitPath(it.Path)
	if it.Path == root {
		return nil, nil // the root of the volume has no parent
	}
	p, err := s.find(dir)
	if err != nil {
		return nil, err
	}
	d, err := s.descriptor(p)
	if err != nil {
		return nil, err
	}
	return d.DACL, nil
}

// propagate gives everything below a directory the entries that it inherits now, as
// SetNamedSecurityInfo does. Objects that are protected keep their list, and what is below
// them too.
func (s *session) propagate(dir *item, level int) error {
	if level > maxTree {
		return fmt.Errorf("%w of %d directories in a path", ErrLimit, maxTree)
	}
	parent, err := s.descriptor(dir)
	if err != nil {
		return err
	}
	list, err := s.children(dir.Path)
	if err != nil {
		return err
	}
	for _, it := range list {
		if it.Security == nil || hivesFile(it.Path) {
			continue
		}
		d, err := s.descriptor(it)
		if err != nil {
			return err
		}
		if d.Control&winsec.DACLProtected != 0 || d.DACL == nil {
			continue
		}
		before := slices.Clone(d.DACL.ACEs)
		reinherit(d, parent.DACL, it.dir(), explicit(d.DACL))
		if slices.EqualFunc(before, d.DACL.ACEs, sameACE) {
			continue // nothing changes for it, nor for what is below
		}
		if err := s.setDescriptor(it, d); err != nil {
			return err
		}
		if it.dir() && !it.reparse() {
			if err := s.propagate(it, level+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func hivesFile(p string) bool { return guard(p) != nil }

func sameACE(a, b winsec.ACE) bool {
	return a.Type == b.Type && a.Flags == b.Flags && a.Mask == b.Mask && a.SID == b.SID && bytes.Equal(a.Data, b.Data) &&
		a.ObjectFlags == b.ObjectFlags && sameGUID(a.ObjectType, b.ObjectType) && sameGUID(a.InheritedObjectType, b.InheritedObjectType)
}

func sameGUID(a, b *winfs.GUID) bool { return a == b || a != nil && b != nil && *a == *b }
