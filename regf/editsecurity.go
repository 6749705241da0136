package regf

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/winsec"
)

// plausibleDescriptor checks the frame of a self-relative descriptor (MS-DTYP
// 2.4.6): revision, the self-relative bit and offsets inside.
func plausibleDescriptor(sd []byte) bool {
	if len(sd) < 20 || len(sd) > 1<<20 || sd[0] != 1 {
		return false
	}
	control := u16(sd[2:])
	if control&0x8000 == 0 {
		return false
	}
	// An offset counts only if the control word marks its part as present.
	inside := func(at int, present bool) bool {
		off := u32(sd[at:])
		return off == 0 || !present || off >= 20 && uint64(off)+8 <= uint64(len(sd))
	}
	if !inside(4, true) || !inside(8, true) || !inside(12, control&0x10 != 0) || !inside(16, control&4 != 0) {
		return false
	}
	return true
}

// SetSecurity sets the key's self-relative security descriptor. Keys with equal bytes share
// one cell. The frame of the descriptor is checked, its lists are not: see winsec.Check.
func (k Key) SetSecurity(sd []byte) error {
	if !plausibleDescriptor(sd) {
		return k.err("set security", ErrDescriptor)
	}
	return k.err("set security", k.setSecurity(sd))
}

// SecurityInfo selects parts of a descriptor (MS-DTYP 2.4.7).
type SecurityInfo uint32

// The parts of a descriptor.
const (
	SecurityOwner SecurityInfo = 1
	SecurityGroup SecurityInfo = 2
	SecurityDACL  SecurityInfo = 4
	SecuritySACL  SecurityInfo = 8
)

// UpdateSecurity replaces parts of the key's descriptor by those of another one, as
// ORSetKeySecurity does; the other parts are kept, and bits of info other than the
// constants here are ignored. A part that sd lacks is removed. The lists of the result come
// before owner and group, as Windows writes them.
//
// Errors: ErrInvalid if sd is nil, ErrDescriptor if it cannot be parsed.
func (k Key) UpdateSecurity(info SecurityInfo, sd []byte) error {
	return k.err("set security", k.updateSecurity(info, sd))
}

func (k Key) updateSecurity(info SecurityInfo, sd []byte) error {
	if sd == nil {
		return fmt.Errorf("no descriptor: %w", ErrInvalid)
	}
	from, err := winsec.Parse(sd)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDescriptor, err)
	}
	have, err := k.Security()
	if err != nil {
		return err
	}
	to, err := winsec.Parse(have)
	if err != nil {
		return fmt.Errorf("descriptor of the key: %w: %w", ErrDescriptor, err)
	}
	const (
		aboutDACL = winsec.DACLPresent | winsec.DACLDefaulted | winsec.DACLTrusted | winsec.DACLAutoInheritReq |
			winsec.DACLAutoInherited | winsec.DACLProtected | winsec.ServerSecurity
		aboutSACL = winsec.SACLPresent | winsec.SACLDefaulted | winsec.SACLAutoInheritReq | winsec.SACLAutoInherited |
			winsec.SACLProtected
	)
	take := func(bits winsec.Control) { to.Control = to.Control&^bits | from.Control&bits }
	if info&SecurityOwner != 0 {
		to.Owner = from.Owner
		take(winsec.OwnerDefaulted)
	}
	if info&SecurityGroup != 0 {
		to.Group = from.Group
		take(winsec.GroupDefaulted)
	}
	if info&SecurityDACL != 0 {
		to.DACL = from.DACL
		take(aboutDACL)
	}
	if info&SecuritySACL != 0 {
		to.SACL = from.SACL
		take(aboutSACL)
	}
	to.SetLayout(winsec.ACLFirst)
	b, err := to.Bytes()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDescriptor, err)
	}
	return k.setSecurity(b)
}

// descriptorFor returns the descriptor of a new subkey with the given options, or nil for
// that of this key itself.
func (k Key) descriptorFor(opt *CreateOptions) []byte {
	asked := opt.Security
	parent, err := k.Security()
	if err != nil || opt.copy {
		return asked
	}
	e, from := k.h.edit, k.SecurityCell()
	if asked == nil && e.heir != nil && e.heirOf == from {
		return e.heir
	}
	sd, err := winsec.Inherit(parent, asked, winsec.KeyRights)
	if err != nil { // only its frame is valid: it has no parts to merge
		return asked
	}
	if asked == nil {
		e.heir, e.heirOf = sd, from
	}
	return sd
}

// securityFor returns the cell for the descriptor of a new subkey: the key's own if sd is
// nil or the same, which avoids a search in the most frequent case.
func (k Key) securityFor(sd []byte) (uint32, error) {
	own := k.SecurityCell()
	have, err := k.h.sk(own)
	if err != nil {
		return 0, err
	}
	if sd == nil || string(sd) == string(have) {
		return own, nil
	}
	return k.h.intern(sd)
}

// dropUnused frees a descriptor that intern added and that no key uses.
func (h *Hive) dropUnused(off uint32) {
	if c, err := h.skCell(off); err == nil && u32(c[skRefs:]) == 0 {
		h.release(off)
	}
}

func (k Key) setSecurity(sd []byte) error {
	h := k.h
	b, err := k.change()
	if err != nil {
		return err
	}
	old := u32(b[nkSecurity:])
	if have, err := h.sk(old); err == nil && string(have) == string(sd) {
		return nil
	}
	if err := h.countRefs(); err != nil {
		return err
	}
	off, err := h.intern(sd)
	if err != nil {
		return err
	}
	c, err := h.skCell(off)
	if err != nil {
		return err
	}
	put32(c[skRefs:], u32(c[skRefs:])+1)
	if b, err = k.node(); err != nil {
		return err
	}
	put32(b[nkSecurity:], off)
	h.release(old)
	return nil
}

// ringCells returns the cells of the ring, starting with the root's.
func (h *Hive) ringCells() ([]uint32, error) {
	root, _, err := h.nk(h.root)
	if err != nil {
		return nil, err
	}
	first := u32(root[nkSecurity:])
	seen := make(map[uint32]struct{})
	var ring []uint32
	for off, prev := first, uint32(nilCell); ; {
		c, err := h.cell(off)
		if errors.Is(err, ErrDeleted) { // no key uses it, so that prove does not know it
			err = faultf(ruleSkRing, off, "ring leads to a free cell")
		}
		if err != nil {
			return ring, err
		}
		if _, err := h.sk(off); err != nil {
			return ring, err
		}
		if prev != nilCell && u32(c[skBlink:]) != prev {
			return ring, faultf(ruleSkRing, off, "backward link does not lead to %#x", prev)
		}
		if _, ok := seen[off]; ok {
			return ring, faultf(ruleSkRing, off, "ring does not close at the root's descriptor")
		}
		seen[off] = struct{}{}
		ring = append(ring, off)
		prev, off = off, u32(c[skFlink:])
		if off == first {
			if c, err := h.cell(first); err != nil || u32(c[skBlink:]) != prev {
				return ring, faultf(ruleSkRing, first, "backward link does not lead to %#x", prev)
			}
			return ring, nil
		}
	}
}

// intern returns the cell of a descriptor; if there is none, a new one without references.
func (h *Hive) intern(sd []byte) (uint32, error) {
	e := h.edit
	if e.secs == nil {
		ring, err := h.ringCells()
		if err != nil {
			return 0, needsRepair(err)
		}
		e.secs = make(map[string]uint32, len(ring))
		for _, off := range ring {
			have, err := h.sk(off)
			if err != nil {
				return 0, err
			}
			if _, ok := e.secs[string(have)]; !ok {
				e.secs[string(have)] = off
			}
		}
	}
	if off, ok := e.secs[string(sd)]; ok {
		return off, nil
	}
	off, err := h.alloc(skSize + len(sd))
	if err != nil {
		return 0, err
	}
	b := h.bins[off+4:]
	put16(b, sigSK)
	put32(b[skLen:], uint32(len(sd)))
	copy(b[skBytes:], sd)
	root, _, err := h.nk(h.root)
	if err != nil {
		return 0, err
	}
	first := u32(root[nkSecurity:])
	fb, err := h.skCell(first)
	if err != nil {
		return 0, err
	}
	last := u32(fb[skBlink:])
	lb, err := h.skCell(last)
	if err != nil {
		return 0, err
	}
	put32(b[skFlink:], first)
	put32(b[skBlink:], last)
	put32(lb[skFlink:], off)
	put32(fb[skBlink:], off)
	e.secs[string(sd)] = off
	return off, nil
}

// countRefs corrects the reference counts before the first of them is lowered: a count that
// is too small would free a descriptor in use.
func (h *Hive) countRefs() error {
	if h.edit.counted {
		return nil
	}
	ring, err := h.ringCells()
	if err != nil {
		return needsRepair(err)
	}
	refs := make(map[uint32]uint32, len(ring))
	for _, off := range ring {
		refs[off] = 0
	}
	for k, err := range h.Root().Walk() {
		if err != nil {
			return err
		}
		off := k.SecurityCell()
		if _, ok := refs[off]; !ok {
			return needsRepair(faultf(ruleSkRing, off, "descriptor of a key is not in the ring"))
		}
		refs[off]++
	}
	for off, n := range refs {
		c, err := h.skCell(off)
		if err != nil {
			return err
		}
		put32(c[skRefs:], n)
	}
	h.edit.counted = true
	return nil
}

// release drops one reference to a descriptor; the last one frees it.
func (h *Hive) release(off uint32) {
	c, err := h.skCell(off)
	if err != nil {
		return
	}
	if n := u32(c[skRefs:]); n > 1 {
		put32(c[skRefs:], n-1)
		return
	}
	next, prev := u32(c[skFlink:]), u32(c[skBlink:])
	nb, err := h.skCell(next)
	if err != nil {
		return
	}
	pb, err := h.skCell(prev)
	if err != nil {
		return
	}
	put32(nb[skBlink:], prev)
	put32(pb[skFlink:], next)
	if h.edit.heirOf == off {
		h.edit.heir = nil // the cell can become another descriptor's
	}
	if sd, err := h.sk(off); err == nil && h.edit.secs[string(sd)] == off {
		delete(h.edit.secs, string(sd))
	}
	h.free(off)
}
