package winsec

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
)

// Control are the control bits of a descriptor.
type Control uint16

// The control bits (MS-DTYP 2.4.6).
const (
	OwnerDefaulted     Control = 0x0001
	GroupDefaulted     Control = 0x0002
	DACLPresent        Control = 0x0004
	DACLDefaulted      Control = 0x0008
	SACLPresent        Control = 0x0010
	SACLDefaulted      Control = 0x0020
	DACLTrusted        Control = 0x0040
	ServerSecurity     Control = 0x0080
	DACLAutoInheritReq Control = 0x0100
	SACLAutoInheritReq Control = 0x0200
	DACLAutoInherited  Control = 0x0400
	SACLAutoInherited  Control = 0x0800
	DACLProtected      Control = 0x1000
	SACLProtected      Control = 0x2000
	RMControlValid     Control = 0x4000
	SelfRelative       Control = 0x8000
)

// Descriptor is a security descriptor: the owner of an object, the access to it (the DACL),
// and the accesses to be audited (the SACL, which also carries labels and resource
// attributes).
type Descriptor struct {
	Control Control
	// Sbz1 is reserved, or the resource manager's byte with RMControlValid.
	Sbz1 byte
	// Owner and Group are nil if the descriptor has none.
	Owner, Group *SID
	// DACL is nil without DACLPresent in Control, which leaves access to the system's
	// default, and nil with it for a NULL DACL, which grants everything to everyone.
	DACL *ACL
	// SACL is nil without SACLPresent, or for a NULL SACL, which audits nothing.
	SACL *ACL

	layout Layout
	raw    []byte // the parsed bytes; Bytes returns them while the meaning is the same
}

// Layout is the order of the parts in a descriptor. It has no meaning to Windows; it
// matters where bytes are compared.
type Layout [4]Part

// Part is a part of a descriptor.
type Part uint8

// The parts.
const (
	PartOwner Part = iota
	PartGroup
	PartSACL
	PartDACL
)

// ACLFirst is the layout of descriptors that Windows makes, also from SDDL; all but one of
// two thousand in genuine hives have it. It is the layout of a Descriptor made by hand,
// too. OwnerFirst is the layout of go-winio's constants, and thus of layers that were built
// on other systems, and of Wine.
var (
	OwnerFirst = Layout{PartOwner, PartGroup, PartSACL, PartDACL}
	ACLFirst   = Layout{PartSACL, PartDACL, PartOwner, PartGroup}
)

// Layout of a self-relative SECURITY_DESCRIPTOR (MS-DTYP 2.4.6). Offset 0 means
// that the part is absent.
const (
	sdRevisionAt = 0x00 // u8, 1
	sdSbz1At     = 0x01 // u8
	sdControlAt  = 0x02 // u16
	sdOwnerAt    = 0x04 // u32 offsets from the start
	sdGroupAt    = 0x08
	sdSACLAt     = 0x0C
	sdDACLAt     = 0x10
	sdHeader     = 0x14

	sdRevision = 1
)

var partFields = [4]int{PartOwner: sdOwnerAt, PartGroup: sdGroupAt, PartSACL: sdSACLAt, PartDACL: sdDACLAt}

// Parse reads a self-relative descriptor. It aliases nothing: b may change later. For any
// layout, [Descriptor.Bytes] returns b again unless a field was changed. The error is an
// [Error]; [Check] finds more than Parse refuses.
func Parse(b []byte) (*Descriptor, error) {
	d, err := parse(bytes.Clone(b))
	if err != nil {
		return nil, err
	}
	return d, nil
}

func parse(b []byte) (*Descriptor, error) {
	const op = "parse descriptor"
	if len(b) < sdHeader {
		return nil, &Error{op, 0, fmt.Sprintf("%d bytes", len(b)), ErrTruncated}
	}
	if b[sdRevisionAt] != sdRevision {
		return nil, &Error{op, sdRevisionAt, fmt.Sprint(b[sdRevisionAt]), ErrRevision}
	}
	d := &Descriptor{Control: Control(binary.LittleEndian.Uint16(b[sdControlAt:])), Sbz1: b[sdSbz1At], raw: b}
	if d.Control&SelfRelative == 0 {
		return nil, &Error{op, sdControlAt, "", ErrNotSelfRelative}
	}
	offsets, err := d.offsets(b)
	if err != nil {
		return nil, err
	}
	for part, off := range offsets {
		if off == 0 {
			continue
		}
		switch Part(part) {
		case PartOwner, PartGroup:
			sid, err := readSID(b[off:])
			if err != nil {
				return nil, &Error{"parse " + Part(part).String(), off, "", err}
			}
			if Part(part) == PartOwner {
				d.Owner = &sid
			} else {
				d.Group = &sid
			}
		default:
			l, at, err := readACL(b[off:])
			if err != nil {
				return nil, &Error{"parse " + Part(part).String(), off + at, "", err}
			}
			if Part(part) == PartDACL {
				d.DACL = l
			} else {
				d.SACL = l
			}
		}
	}
	d.layout = ACLFirst // of absent parts; one that is added goes first
	slices.SortStableFunc(d.layout[:], func(x, y Part) int { return cmp.Compare(offsets[x], offsets[y]) })
	return d, nil
}

// offsets reads the offsets of the parts and checks that they are in bounds; 0 is an absent
// part. The offset of a list is ignored unless Control marks the list as present.
func (d *Descriptor) offsets(b []byte) (offsets [4]int, err error) {
	for part, field := range partFields {
		off := binary.LittleEndian.Uint32(b[field:])
		if off == 0 || Part(part) == PartDACL && d.Control&DACLPresent == 0 ||
			Part(part) == PartSACL && d.Control&SACLPresent == 0 {
			continue
		}
		if off < sdHeader || uint64(off) > uint64(len(b)) {
			return offsets, &Error{"parse descriptor", field,
				fmt.Sprintf("%s at %#x of %d bytes", Part(part), off, len(b)), ErrTruncated}
		}
		offsets[part] = int(off)
	}
	return offsets, nil
}

// String returns owner, group, SACL or DACL.
func (p Part) String() string { return [...]string{"owner", "group", "SACL", "DACL"}[p&3] }

// SetLayout makes Bytes write the parts in the order l, usually OwnerFirst or ACLFirst, and
// discards the layout in which the descriptor was parsed.
func (d *Descriptor) SetLayout(l Layout) { d.layout, d.raw = l, nil }

// Bytes returns the self-relative form. For a descriptor that came from [Parse] and still
// means the same, the result is the parsed bytes, gaps and unused bytes included. Otherwise
// the parts follow one another in their former order, or in that of ACLFirst if the
// descriptor was not parsed. SelfRelative is always set; DACLPresent and SACLPresent are
// set where there is a list.
func (d *Descriptor) Bytes() ([]byte, error) {
	if d.raw != nil {
		was, err := parse(d.raw)
		if err == nil && d.equal(was) {
			return bytes.Clone(d.raw), nil
		}
	}
	control := d.Control | SelfRelative
	if d.DACL != nil {
		control |= DACLPresent
	}
	if d.SACL != nil {
		control |= SACLPresent
	}
	b := make([]byte, sdHeader, 256)
	b[sdRevisionAt], b[sdSbz1At] = sdRevision, d.Sbz1
	binary.LittleEndian.PutUint16(b[sdControlAt:], uint16(control))
	layout := d.layout
	if layout == (Layout{}) {
		layout = ACLFirst
	}
	for _, part := range layout {
		at := len(b)
		var err error
		switch {
		case part == PartOwner && d.Owner != nil:
			b, err = appendSID(b, *d.Owner)
		case part == PartGroup && d.Group != nil:
			b, err = appendSID(b, *d.Group)
		case part == PartSACL && d.SACL != nil:
			b, err = d.SACL.append(b)
		case part == PartDACL && d.DACL != nil:
			b, err = d.DACL.append(b)
		default:
			continue
		}
		if err != nil {
			return nil, &Error{"write " + part.String(), at, "", err}
		}
		binary.LittleEndian.PutUint32(b[partFields[part]:], uint32(at))
		for len(b)%4 != 0 { // only lists with odd slack or data need it
			b = append(b, 0)
		}
	}
	return b, nil
}

func appendSID(b []byte, s SID) ([]byte, error) {
	if !s.IsValid() {
		return b, ErrBadSID
	}
	return s.Append(b), nil
}

// equal reports whether all exported fields are equal.
func (d *Descriptor) equal(o *Descriptor) bool {
	x, y := *d, *o
	x.raw, y.raw, x.layout, y.layout = nil, nil, Layout{}, Layout{}
	return reflect.DeepEqual(x, y)
}
