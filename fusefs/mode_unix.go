//go:build linux || darwin

package fusefs

import (
	"sync"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// Rights of files that concern POSIX (MS-DTYP 2.4.3, MS-FSCC). For a directory the first is
// the right to list it.
const (
	rightRead           = 0x1
	rightExecute        = 0x20
	rightGenericAll     = 0x10000000
	rightGenericExecute = 0x20000000
	rightGenericRead    = 0x80000000
)

// modes computes permissions from security descriptors and caches some: an image has few
// different ones.
type modes struct {
	mu   sync.Mutex
	seen map[string]uint32 // by descriptor: the bits that it removes
}

const maxModes = 4096

// mask returns the permission bits that the descriptor of a file removes from group and
// others. POSIX knows one group of them; it gets the rights of Everyone and of all users.
// Traversing a directory is a privilege of every user on Windows.
func (m *modes) mask(sd []byte, dir bool) uint32 {
	if len(sd) == 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	bits, ok := m.seen[string(sd)]
	if !ok {
		bits = denied(sd)
		if m.seen == nil || len(m.seen) >= maxModes {
			m.seen = map[string]uint32{}
		}
		m.seen[string(sd)] = bits
	}
	if dir {
		bits &^= 0o011
	}
	return bits
}

func denied(sd []byte) uint32 {
	d, err := winsec.Parse(sd)
	if err != nil {
		return 0o077 // its meaning is unknown
	}
	if d.Control&winsec.DACLPresent == 0 || d.DACL == nil {
		return 0
	}
	var allowed, refused uint32
	for _, e := range d.DACL.ACEs {
		if e.Flags&winsec.InheritOnly != 0 || e.SID != winsec.Everyone && e.SID != winsec.AuthenticatedUsers && e.SID != winsec.BuiltinUsers {
			continue
		}
		rights := e.Mask
		if rights&(rightGenericRead|rightGenericAll) != 0 {
			rights |= rightRead
		}
		if rights&(rightGenericExecute|rightGenericAll) != 0 {
			rights |= rightExecute
		}
		switch e.Type {
		case winsec.ACEAllowed:
			allowed |= rights &^ refused
		case winsec.ACEDenied:
			refused |= rights &^ allowed
		}
	}
	var bits uint32 = 0o022
	if allowed&rightRead == 0 {
		bits |= 0o044
	}
	if allowed&rightExecute == 0 {
		bits |= 0o011
	}
	return bits
}

// of returns the permissions of a file: those that a POSIX program has stored with it;
// otherwise those of its descriptor, as far as POSIX can express them. A hive is accessible
// to its owner only, under any descriptor: a merged hive has none, and nothing here
// enforces the descriptors of its keys.
func (m *modes) of(stored uint32, sd []byte, dir, hive bool) uint32 {
	switch {
	case hive:
		return stored &^ 0o177
	case stored != overlay.DefaultPOSIX.Mode:
		return stored
	}
	return stored &^ m.mask(sd, dir)
}

// mode returns the permissions of a file of an image.
func (v *readonly) mode(f File, stored uint32, hive bool) (uint32, error) {
	if hive || stored != overlay.DefaultPOSIX.Mode {
		return v.modes.of(stored, nil, f.IsDir(), hive), nil
	}
	sd, err := f.Security()
	if err != nil {
		return 0, err
	}
	return v.modes.of(stored, sd, f.IsDir(), false), nil
}

// isHive reports whether a file is part of the registry, under any of the names by which it
// was found.
func (v *readonly) isHive(id, dir uint64, name string) bool {
	if dir != 0 && hives.Private(winfs.JoinPath(v.path(dir), name)) {
		v.setPlace(id, dir, name)
		return true
	}
	return hives.Private(v.path(id))
}
