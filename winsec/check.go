package winsec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Problem is one thing that [Check] has to say about a descriptor.
type Problem struct {
	// Offset is where in the descriptor it is, in bytes.
	Offset int
	// Rule names the kind of problem: "sd-no-owner". Rules are stable.
	Rule string
	// Fatal problems are those that Windows refuses the descriptor for.
	Fatal   bool
	Message string // one sentence
}

// String formats as "error sd-offset at 0x4: message".
func (p Problem) String() string {
	severity := "warning"
	if p.Fatal {
		severity = "error"
	}
	return fmt.Sprintf("%s %s at %#x: %s", severity, p.Rule, p.Offset, p.Message)
}

// Check returns all that is wrong with, or remarkable about, a self-relative
// descriptor, in order of offset. It never fails; an empty result means that
// Windows takes the descriptor and that it says who owns the object and who may
// use it.
//
// Fatal rules: sd-truncated, sd-revision, sd-not-self-relative, sd-offset, sid,
// acl, ace. Others: sd-no-owner, sd-no-group, sd-no-dacl, sd-null-dacl,
// sd-unaligned, sd-overlap, sd-gap, sd-unused-offset, acl-revision, acl-slack,
// acl-order, ace-unknown-type, ace-wrong-list, ace-unaligned, ace-trailing-data,
// ace-condition, ace-claim.
func Check(b []byte) []Problem {
	c := checker{b: b}
	c.descriptor()
	slices.SortStableFunc(c.problems, func(x, y Problem) int { return x.Offset - y.Offset })
	return c.problems
}

type checker struct {
	b        []byte
	problems []Problem
	spans    []span
}

// span is where a part stands.
type span struct {
	start, end int
	part       Part
}

func (c *checker) add(at int, rule string, fatal bool, format string, args ...any) {
	c.problems = append(c.problems, Problem{at, rule, fatal, fmt.Sprintf(format, args...)})
}

func (c *checker) descriptor() {
	b := c.b
	if len(b) < sdHeader {
		c.add(0, "sd-truncated", true, "%d bytes are less than the header of a descriptor.", len(b))
		return
	}
	if b[sdRevisionAt] != sdRevision {
		c.add(sdRevisionAt, "sd-revision", true, "Revision is %d, not %d.", b[sdRevisionAt], sdRevision)
		return
	}
	control := Control(binary.LittleEndian.Uint16(b[sdControlAt:]))
	if control&SelfRelative == 0 {
		c.add(sdControlAt, "sd-not-self-relative", true, "Control %#x has no SE_SELF_RELATIVE.", uint16(control))
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
			c.add(field, "sd-unused-offset", false, "The %s has an offset, but control %#x says that there is none.", part, uint16(control))
		}
		if part == PartDACL {
			c.add(sdControlAt, "sd-no-dacl", false, "There is no DACL, so the system's default decides on access.")
		}
		return
	case off == 0:
		switch part {
		case PartOwner:
			c.add(field, "sd-no-owner", false, "There is no owner.")
		case PartGroup:
			c.add(field, "sd-no-group", false, "There is no group.")
		case PartDACL:
			c.add(sdDACLAt, "sd-null-dacl", false, "The DACL is NULL, which grants everything to everyone.")
		}
		return
	case off < sdHeader || uint64(off) >= uint64(len(c.b)):
		c.add(field, "sd-offset", true, "The %s would be at %#x of %#x bytes.", part, off, len(c.b))
		return
	}
	at := int(off)
	if at%4 != 0 {
		c.add(field, "sd-unaligned", false, "The %s is at %#x, which is no multiple of four.", part, at)
	}
	if part == PartOwner || part == PartGroup {
		sid, err := readSID(c.b[at:])
		if err != nil {
			c.add(at, "sid", true, "The %s is not a SID: %v.", part, err)
			return
		}
		c.spans = append(c.spans, span{at, at + sid.Len(), part})
		return
	}
	l, where, err := readACL(c.b[at:])
	if err != nil {
		rule := "acl"
		if errors.Is(err, ErrBadACE) {
			rule = "ace"
		}
		c.add(at+where, rule, true, "The %s is malformed: %v.", part, err)
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
			c.add(start, "acl-revision", false, "The %s has revision %d, but entry %d is an object entry, which needs 4.", part, l.Revision, i+1)
		}
		if part == PartDACL && !a.Type.isRaw() {
			denies := a.Type == ACEDenied || a.Type == ACEDeniedObject || a.Type == ACEDeniedCallback || a.Type == ACEDeniedCallbackObject
			switch {
			case a.Flags&Inherited != 0:
				inherited = true
			case inherited:
				c.add(at, "acl-order", false, "Entry %d is explicit but stands after an inherited one.", i+1)
			case denies && allowed:
				c.add(at, "acl-order", false, "Entry %d denies but stands after one that allows.", i+1)
			default:
				allowed = allowed || !denies
			}
		}
		at += a.size()
	}
	if len(l.Slack) > 0 {
		c.add(at, "acl-slack", false, "The %s has %d unused bytes after its last entry.", part, len(l.Slack))
	}
	c.spans = append(c.spans, span{start, at + len(l.Slack), part})
}

func (c *checker) ace(part Part, at int, a *ACE) {
	if a.size()%4 != 0 {
		c.add(at+aceSizeAt, "ace-unaligned", false, "The entry has %d bytes, which is no multiple of four.", a.size())
	}
	if a.Type.isRaw() {
		c.add(at, "ace-unknown-type", false, "The entry has the unknown type %#x.", byte(a.Type))
		return
	}
	forSACL := true
	switch a.Type {
	case ACEAllowed, ACEDenied, ACEAllowedObject, ACEDeniedObject, ACEAllowedCallback, ACEDeniedCallback,
		ACEAllowedCallbackObject, ACEDeniedCallbackObject:
		forSACL = false
	}
	if forSACL != (part == PartSACL) {
		c.add(at, "ace-wrong-list", false, "An entry of type %#x has no effect in a %s.", byte(a.Type), part)
	}
	var err error
	switch {
	case a.Type == ACEResourceAttribute:
		if _, err = DecodeClaim(a.Data); err != nil {
			c.add(at, "ace-claim", false, "The resource attribute is malformed: %v.", err)
		}
	case a.Type.isCallback():
		if IsCondition(a.Data) {
			if _, err = DecodeCondition(a.Data); err != nil {
				c.add(at, "ace-condition", false, "The condition is malformed: %v.", err)
			}
		}
	case len(a.Data) > 0:
		c.add(at, "ace-trailing-data", false, "The entry has %d bytes after its SID.", len(a.Data))
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
			c.add(s.start, "sd-overlap", false, "The %s begins inside the %s.", s.part, c.spans[max(i-1, 0)].part)
		case s.start-end >= 4:
			c.add(end, "sd-gap", false, "%d bytes belong to nothing.", s.start-end)
		}
		end = max(end, s.end)
	}
	for _, p := range c.problems {
		if p.Fatal {
			return // what follows may belong to the part that could not be read
		}
	}
	if len(c.b)-end >= 4 {
		c.add(end, "sd-gap", false, "%d bytes belong to nothing.", len(c.b)-end)
	}
}
