package winsec

import (
	"encoding/binary"
	"fmt"

	"github.com/mullion/mullion/winfs"
)

// ACEType is the kind of an access control entry (MS-DTYP 2.4.4.1).
type ACEType uint8

// The kinds of entry.
const (
	ACEAllowed               ACEType = 0x00
	ACEDenied                ACEType = 0x01
	ACEAudit                 ACEType = 0x02
	ACEAlarm                 ACEType = 0x03 // reserved
	ACEAllowedCompound       ACEType = 0x04 // reserved; kept raw
	ACEAllowedObject         ACEType = 0x05
	ACEDeniedObject          ACEType = 0x06
	ACEAuditObject           ACEType = 0x07
	ACEAlarmObject           ACEType = 0x08 // reserved
	ACEAllowedCallback       ACEType = 0x09
	ACEDeniedCallback        ACEType = 0x0A
	ACEAllowedCallbackObject ACEType = 0x0B
	ACEDeniedCallbackObject  ACEType = 0x0C
	ACEAuditCallback         ACEType = 0x0D
	ACEAlarmCallback         ACEType = 0x0E // reserved
	ACEAuditCallbackObject   ACEType = 0x0F
	ACEAlarmCallbackObject   ACEType = 0x10 // reserved
	ACEMandatoryLabel        ACEType = 0x11
	ACEResourceAttribute     ACEType = 0x12
	ACEScopedPolicy          ACEType = 0x13
	ACEProcessTrustLabel     ACEType = 0x14
	ACEAccessFilter          ACEType = 0x15
	lastKnownACE                     = ACEAccessFilter
)

// hasObject reports whether entries of the type carry GUIDs.
func (t ACEType) hasObject() bool {
	return t >= ACEAllowedObject && t <= ACEAlarmObject || t == ACEAllowedCallbackObject ||
		t == ACEDeniedCallbackObject || t == ACEAuditCallbackObject || t == ACEAlarmCallbackObject
}

// isCallback reports whether the data of such entries may be a condition.
func (t ACEType) isCallback() bool {
	return t >= ACEAllowedCallback && t <= ACEAlarmCallbackObject || t == ACEAccessFilter
}

// allows and denies report what the type does in a DACL.
func (t ACEType) allows() bool {
	switch t {
	case ACEAllowed, ACEAllowedObject, ACEAllowedCallback, ACEAllowedCallbackObject:
		return true
	}
	return false
}

func (t ACEType) denies() bool {
	switch t {
	case ACEDenied, ACEDeniedObject, ACEDeniedCallback, ACEDeniedCallbackObject:
		return true
	}
	return false
}

// isRaw reports whether the package does not know the layout of the type.
func (t ACEType) isRaw() bool { return t == ACEAllowedCompound || t > lastKnownACE }

// ACEFlags control inheritance and auditing.
type ACEFlags uint8

// The flags (MS-DTYP 2.4.4.1).
const (
	ObjectInherit    ACEFlags = 0x01
	ContainerInherit ACEFlags = 0x02
	NoPropagate      ACEFlags = 0x04
	InheritOnly      ACEFlags = 0x08
	Inherited        ACEFlags = 0x10
	Critical         ACEFlags = 0x20
	SuccessfulAccess ACEFlags = 0x40 // in an access filter: trust protected
	FailedAccess     ACEFlags = 0x80
)

// ACE is one entry of an access control list.
type ACE struct {
	Type  ACEType
	Flags ACEFlags
	Mask  uint32 // access rights
	SID   SID    // the account that it applies to

	// ObjectType and InheritedObjectType are GUIDs of object entries, nil if absent.
	ObjectType, InheritedObjectType *winfs.GUID
	// ObjectFlags are the flags of object entries, without the two that record the presence
	// of the GUIDs; zero in genuine entries.
	ObjectFlags uint32

	// Data is the part after the SID: the condition of callback entries
	// ([DecodeCondition]), the claim of resource attributes ([DecodeClaim]), otherwise
	// nothing. For a type with an unknown layout it is the whole body, and Mask and SID are
	// zero.
	Data []byte
}

// Layout of an ACE (MS-DTYP 2.4.4). The size is that of the whole entry.
const (
	aceTypeAt   = 0x00 // u8
	aceFlagsAt  = 0x01 // u8
	aceSizeAt   = 0x02 // u16
	aceHeader   = 0x04
	aceMaskAt   = 0x04 // u32
	aceSIDAt    = 0x08 // in object entries u32 flags precede it, then the GUIDs
	aceObjectAt = 0x0C

	objectTypePresent          = 0x1
	inheritedObjectTypePresent = 0x2
)

// readACE reads the entry that fills b exactly.
func readACE(b []byte) (ACE, error) {
	a := ACE{Type: ACEType(b[aceTypeAt]), Flags: ACEFlags(b[aceFlagsAt])}
	if a.Type.isRaw() {
		a.Data = b[aceHeader:len(b):len(b)]
		return a, nil
	}
	at := aceSIDAt
	if len(b) < at {
		return a, fmt.Errorf("%w: %d bytes for type %#x", ErrBadACE, len(b), byte(a.Type))
	}
	a.Mask = binary.LittleEndian.Uint32(b[aceMaskAt:])
	if a.Type.hasObject() {
		if len(b) < aceObjectAt {
			return a, fmt.Errorf("%w: object entry of %d bytes", ErrBadACE, len(b))
		}
		flags := binary.LittleEndian.Uint32(b[aceSIDAt:])
		at = aceObjectAt
		for _, g := range []struct {
			bit uint32
			dst **winfs.GUID
		}{{objectTypePresent, &a.ObjectType}, {inheritedObjectTypePresent, &a.InheritedObjectType}} {
			if flags&g.bit == 0 {
				continue
			}
			if len(b) < at+16 {
				return a, fmt.Errorf("%w: GUID is cut off", ErrBadACE)
			}
			v := winfs.GUIDFromWindows([16]byte(b[at : at+16]))
			*g.dst = &v
			at += 16
		}
		a.ObjectFlags = flags &^ (objectTypePresent | inheritedObjectTypePresent)
	}
	sid, err := readSID(b[at:])
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrBadACE, err)
	}
	a.SID = sid
	if at += sid.Len(); at < len(b) {
		a.Data = b[at:len(b):len(b)]
	}
	return a, nil
}

// size returns the encoded size.
func (a *ACE) size() int {
	if a.Type.isRaw() {
		return aceHeader + len(a.Data)
	}
	n := aceSIDAt + a.SID.Len() + len(a.Data)
	if a.Type.hasObject() {
		n += 4
		if a.ObjectType != nil {
			n += 16
		}
		if a.InheritedObjectType != nil {
			n += 16
		}
	}
	return n
}

// append appends the encoded entry.
func (a *ACE) append(dst []byte) ([]byte, error) {
	n := a.size()
	if n > 0xFFFF {
		return dst, fmt.Errorf("%w: entry of %d bytes", ErrTooLarge, n)
	}
	if !a.Type.isRaw() && !a.SID.IsValid() {
		return dst, fmt.Errorf("%w: entry without SID", ErrBadACE)
	}
	dst = append(dst, byte(a.Type), byte(a.Flags), byte(n), byte(n>>8))
	if a.Type.isRaw() {
		return append(dst, a.Data...), nil
	}
	dst = binary.LittleEndian.AppendUint32(dst, a.Mask)
	if a.Type.hasObject() {
		flags := a.ObjectFlags &^ (objectTypePresent | inheritedObjectTypePresent)
		if a.ObjectType != nil {
			flags |= objectTypePresent
		}
		if a.InheritedObjectType != nil {
			flags |= inheritedObjectTypePresent
		}
		dst = binary.LittleEndian.AppendUint32(dst, flags)
		for _, g := range []*winfs.GUID{a.ObjectType, a.InheritedObjectType} {
			if g != nil {
				w := g.Windows()
				dst = append(dst, w[:]...)
			}
		}
	}
	dst = a.SID.Append(dst)
	return append(dst, a.Data...), nil
}
