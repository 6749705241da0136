package winsec

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/mullion/mullion/finding"
)

// Check yields the faults and peculiarities of a self-relative descriptor, in order of
// their offsets in b. Errors are the ones for which Windows refuses the descriptor; one
// without findings is accepted by Windows and says who owns the object and who may use
// it. The only error is that of ctx.
func Check(ctx context.Context, b []byte) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		for _, f := range check(b) {
			if err := ctx.Err(); err != nil {
				yield(finding.Finding{}, err)
				return
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

func check(b []byte) []finding.Finding {
	c := checker{b: b}
	c.descriptor()
	slices.SortStableFunc(c.findings, func(x, y finding.Finding) int { return cmp.Compare(x.Offset, y.Offset) })
	return c.findings
}

type checker struct {
	b        []byte
	findings []finding.Finding
	spans    []span
}

// span is the position of a part of a descriptor.
type span struct {
	start, end int
	part       Part
}

func (c *checker) add(at int, rule *finding.Rule, format string, args ...any) {
	c.findings = append(c.findings, rule.At("", int64(at), format, args...))
}

func (c *checker) descriptor() {
	b := c.b
	if len(b) < sdHeader {
		c.add(0, ruleSdTruncated, "%d bytes are less than the header of a descriptor", len(b))
		return
	}
	if b[sdRevisionAt] != sdRevision {
		c.add(sdRevisionAt, ruleSdRevision, "revision is %d, not %d", b[sdRevisionAt], sdRevision)
		return
	}
	control := Control(binary.LittleEndian.Uint16(b[sdControlAt:]))
	if control&SelfRelative == 0 {
		c.add(sdControlAt, ruleSdNotSelfRelative, "control %#x has no SE_SELF_RELATIVE", uint16(control))
		return
	}
	for part, field := range partFields {
		c.part(Part(part), field, control)
	}
	c.layout()
}

func (c *checker) part(part Part, field int, control Control) {
	off := binary.LittleEndian.Uint32(c.b[field:])
	present := Control(0)
	switch part {
	case PartDACL:
		present = DACLPresent
	case PartSACL:
		present = SACLPresent
	}
	switch {
	case present != 0 && control&present == 0:
		if off != 0 {
			c.add(field, ruleSdUnusedOffset, "the %s has an offset, but control %#x says that there is none", part, uint16(control))
		}
		if part == PartDACL {
			c.add(sdControlAt, ruleSdNoDacl, "there is no DACL, so the system's default decides on access")
		}
		return
	case off == 0:
		switch part {
		case PartOwner:
			c.add(field, ruleSdNoOwner, "there is no owner")
		case PartGroup:
			c.add(field, ruleSdNoGroup, "there is no group")
		case PartDACL:
			c.add(sdDACLAt, ruleSdNullDacl, "the DACL is NULL, which grants everything to everyone")
		}
		return
	case off < sdHeader || uint64(off) >= uint64(len(c.b)):
		c.add(field, ruleSdOffset, "the %s would be at %#x of %#x bytes", part, off, len(c.b))
		return
	}
	at := int(off)
	if at%4 != 0 {
		c.add(field, ruleSdUnaligned, "the %s is at %#x, which is no multiple of four", part, at)
	}
	if part == PartOwner || part == PartGroup {
		sid, err := readSID(c.b[at:])
		if err != nil {
			c.add(at, ruleSid, "the %s is not a SID: %v", part, err)
			return
		}
		c.spans = append(c.spans, span{at, at + sid.Len(), part})
		return
	}
	l, where, err := readACL(c.b[at:])
	if err != nil {
		rule := ruleAcl
		if errors.Is(err, ErrBadACE) {
			rule = ruleAce
		}
		c.add(at+where, rule, "the %s is malformed: %v", part, err)
		return
	}
	c.acl(part, at, l)
}

func (c *checker) acl(part Part, start int, l *ACL) {
	at := start + aclHeader
	inherited, allowed := false, false
	for i := range l.ACEs {
		a := &l.ACEs[i]
		c.ace(part, at, a)
		if a.Type.hasObject() && l.Revision < aclRevisionDS {
			c.add(start, ruleAclRevision, "the %s has revision %d, but entry %d is an object entry, which needs 4", part, l.Revision, i+1)
		}
		if part == PartDACL && !a.Type.isRaw() {
			denies := a.Type == ACEDenied || a.Type == ACEDeniedObject || a.Type == ACEDeniedCallback || a.Type == ACEDeniedCallbackObject
			switch {
			case a.Flags&Inherited != 0:
				inherited = true
			case inherited:
				c.add(at, ruleAclOrder, "entry %d is explicit but follows an inherited one", i+1)
			case denies && allowed:
				c.add(at, ruleAclOrder, "entry %d denies but follows one that allows", i+1)
			default:
				allowed = allowed || !denies
			}
		}
		at += a.size()
	}
	if len(l.Slack) > 0 {
		c.add(at, ruleAclSlack, "the %s has %d unused bytes after its last entry", part, len(l.Slack))
	}
	c.spans = append(c.spans, span{start, at + len(l.Slack), part})
}

func (c *checker) ace(part Part, at int, a *ACE) {
	if a.size()%4 != 0 {
		c.add(at+aceSizeAt, ruleAceUnaligned, "the entry has %d bytes, which is no multiple of four", a.size())
	}
	if a.Type.isRaw() {
		c.add(at, ruleAceUnknownType, "the entry has the unknown type %#x", byte(a.Type))
		return
	}
	forSACL := true
	switch a.Type {
	case ACEAllowed, ACEDenied, ACEAllowedObject, ACEDeniedObject, ACEAllowedCallback, ACEDeniedCallback,
		ACEAllowedCallbackObject, ACEDeniedCallbackObject:
		forSACL = false
	}
	if forSACL != (part == PartSACL) {
		c.add(at, ruleAceWrongList, "an entry of type %#x has no effect in a %s", byte(a.Type), part)
	}
	var err error
	switch {
	case a.Type == ACEResourceAttribute:
		if _, err = DecodeClaim(a.Data); err != nil {
			c.add(at, ruleAceClaim, "the resource attribute is malformed: %v", err)
		}
	case a.Type.isCallback():
		if IsCondition(a.Data) {
			if _, err = DecodeCondition(a.Data); err != nil {
				c.add(at, ruleAceCondition, "the condition is malformed: %v", err)
			}
		}
	case len(a.Data) > 0:
		c.add(at, ruleAceTrailingData, "the entry has %d bytes after its SID", len(a.Data))
	}
}

// layout looks at how the parts lie.
func (c *checker) layout() {
	slices.SortStableFunc(c.spans, func(x, y span) int { return x.start - y.start })
	end := sdHeader
	for i, s := range c.spans {
		shared := i > 0 && s.start == c.spans[i-1].start && s.end == c.spans[i-1].end
		switch {
		case shared: // owner and group may be one SID
		case s.start < end:
			c.add(s.start, ruleSdOverlap, "the %s begins inside the %s", s.part, c.spans[max(i-1, 0)].part)
		case s.start-end >= 4:
			c.add(end, ruleSdGap, "%d bytes belong to nothing", s.start-end)
		}
		end = max(end, s.end)
	}
	for _, f := range c.findings {
		if f.Severity == finding.Error {
			return // what follows may belong to the part that could not be read
		}
	}
	if len(c.b)-end >= 4 {
		c.add(end, ruleSdGap, "%d bytes belong to nothing", len(c.b)-end)
	}
}
