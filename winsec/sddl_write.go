package winsec

import (
	"encoding/hex"
	"strconv"
)

var aceTypeNames = map[ACEType]string{
	ACEAllowed: "A", ACEDenied: "D", ACEAudit: "AU", ACEAlarm: "AL",
	ACEAllowedObject: "OA", ACEDeniedObject: "OD", ACEAuditObject: "OU", ACEAlarmObject: "OL",
	ACEAllowedCallback: "XA", ACEDeniedCallback: "XD", ACEAllowedCallbackObject: "ZA", ACEAuditCallback: "XU",
	ACEMandatoryLabel: "ML", ACEResourceAttribute: "RA", ACEScopedPolicy: "SP",
	ACEProcessTrustLabel: "TL", ACEAccessFilter: "FL",
}

var aceFlagNames = []struct {
	flag ACEFlags
	name string
}{
	{ObjectInherit, "OI"}, {ContainerInherit, "CI"}, {NoPropagate, "NP"}, {InheritOnly, "IO"},
	{Inherited, "ID"}, {Critical, "CR"}, {SuccessfulAccess, "SA"}, {FailedAccess, "FA"},
}

// noAccessControl is the SDDL text of a list that is present and NULL.
const noAccessControl = "NO_ACCESS_CONTROL"

// SDDL returns the descriptor in the Security Descriptor Definition Language
// (MS-DTYP 2.5.1). SIDs of domains are written as numbers.
//
// Text does not carry layout, reserved fields, ACL revisions, unused bytes in lists, or
// control bits other than P, AR and AI. Parts that SDDL cannot express are written in a
// form of our own that [ParseSDDL] reads and Windows refuses: entry types as numbers, and
// data as # and hexadecimal digits.
func (d *Descriptor) SDDL() string { return d.SDDLWithDomain(SID{}) }

// SDDLWithDomain is [Descriptor.SDDL] with aliases for the accounts of a domain.
func (d *Descriptor) SDDLWithDomain(domain SID) string {
	b := make([]byte, 0, 256)
	if d.Owner != nil {
		b = appendSIDText(append(b, "O:"...), *d.Owner, domain)
	}
	if d.Group != nil {
		b = appendSIDText(append(b, "G:"...), *d.Group, domain)
	}
	list := func(name string, l *ACL, present, protected, request, inherited Control) {
		if l == nil && d.Control&present == 0 {
			return
		}
		b = append(b, name...)
		for _, f := range []struct {
			bit  Control
			text string
		}{{protected, "P"}, {request, "AR"}, {inherited, "AI"}} {
			if d.Control&f.bit != 0 {
				b = append(b, f.text...)
			}
		}
		if l == nil {
			b = append(b, noAccessControl...)
			return
		}
		for i := range l.ACEs {
			b = l.ACEs[i].appendText(b, domain)
		}
	}
	list("D:", d.DACL, DACLPresent, DACLProtected, DACLAutoInheritReq, DACLAutoInherited)
	list("S:", d.SACL, SACLPresent, SACLProtected, SACLAutoInheritReq, SACLAutoInherited)
	return string(b)
}

func appendSIDText(b []byte, s SID, domain SID) []byte {
	if a := s.Alias(domain); a != "" {
		return append(b, a...)
	}
	return append(b, s.String()...)
}

// SDDL returns the entry as SDDL with its parentheses.
func (a *ACE) SDDL() string { return string(a.appendText(nil, SID{})) }

func (a *ACE) appendText(b []byte, domain SID) []byte {
	b = append(b, '(')
	if name, ok := aceTypeNames[a.Type]; ok {
		b = append(b, name...)
	} else {
		b = strconv.AppendUint(append(b, "0x"...), uint64(a.Type), 16)
	}
	b = append(b, ';')
	for _, f := range aceFlagNames {
		switch {
		case a.Flags&f.flag == 0:
		case f.flag == SuccessfulAccess && a.Type == ACEAccessFilter:
			b = append(b, "TP"...)
		default:
			b = append(b, f.name...)
		}
	}
	b = append(b, ';')
	if a.Type.isRaw() {
		b = hex.AppendEncode(append(b, '#'), a.Data)
		return append(b, ')')
	}
	b = append(appendRights(b, a.Type, a.Mask), ';')
	if a.ObjectType != nil {
		b = append(b, a.ObjectType.String()...)
	}
	b = append(b, ';')
	if a.InheritedObjectType != nil {
		b = append(b, a.InheritedObjectType.String()...)
	}
	b = appendSIDText(append(b, ';'), a.SID, domain)
	if len(a.Data) > 0 {
		b = a.appendData(append(b, ';'), domain)
	}
	return append(b, ')')
}

// appendData writes a condition or claim as text if that text means the same, and as digits
// otherwise: names and strings may hold characters that text cannot express.
func (a *ACE) appendData(b []byte, domain SID) []byte {
	start := len(b)
	switch {
	case a.Type.isCallback() && IsCondition(a.Data):
		if c, err := DecodeCondition(a.Data); err == nil {
			b = c.appendText(b, domain)
			back, err := ParseCondition(string(b[start:]), WithDomain(domain))
			if err == nil && sameTerm(c.root, back.root) {
				return b
			}
		}
	case a.Type == ACEResourceAttribute:
		if c, err := DecodeClaim(a.Data); err == nil {
			b = c.appendText(b, domain)
			back, err := parseClaim(string(b[start:]), WithDomain(domain))
			if err == nil && sameClaim(c, back) {
				return b
			}
		}
	}
	return hex.AppendEncode(append(b[:start], '#'), a.Data)
}

func sameClaim(x, y *Claim) bool {
	if x.Name != y.Name || x.Type != y.Type || x.Flags != y.Flags || len(x.Values) != len(y.Values) {
		return false
	}
	for i := range x.Values {
		if x.Values[i] != y.Values[i] {
			return false
		}
	}
	return true
}
