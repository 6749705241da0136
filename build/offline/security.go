package offline

import (
	"bytes"
	"fmt"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

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

// parent returns the descriptor of the directory that an item is in.
func (s *session) parent(it *item) (*winsec.Descriptor, error) {
	dir, _ := winfs.SplitPath(it.Path)
	if it.Path == root {
		return &winsec.Descriptor{}, nil // the root of the volume has no parent
	}
	p, err := s.find(dir)
	if err != nil {
		return nil, err
	}
	return s.descriptor(p)
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
		if !d.ReinheritFile(parent, it.dir()) {
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
