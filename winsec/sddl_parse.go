package winsec

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// SDDLOption is an option of the SDDL parsers.
type SDDLOption func(*sddlParser)

// WithDomain sets the domain for aliases such as DA. It is also the machine for LA and LG
// unless [WithMachine] sets another.
func WithDomain(domain SID) SDDLOption { return func(p *sddlParser) { p.domain = domain } }

// WithMachine sets the machine for its accounts LA and LG.
func WithMachine(machine SID) SDDLOption { return func(p *sddlParser) { p.machine = machine } }

// maxSDDL bounds the text: four times the largest list in digits.
const maxSDDL = 1 << 20

// ParseSDDL reads a descriptor in the Security Descriptor Definition Language. It accepts
// the output of [Descriptor.SDDL]; decimal, octal and hexadecimal rights and
// subauthorities; spaces between the parts; and lower case wherever Windows accepts it:
// everywhere but in the letters of the sections and their flags. The layout of the result
// is that of Windows, [ACLFirst].
//
// Errors are an [SDDLError] with the position. An alias such as DU or LA whose domain or
// machine is not set by an option is an [AliasError], and [ErrNeedDomain], in it.
func ParseSDDL(text string, opts ...SDDLOption) (*Descriptor, error) {
	p := newSDDLParser(text, opts)
	if len(text) > maxSDDL {
		return nil, p.fail(ErrSDDL, fmt.Sprintf("%d bytes", len(text)))
	}
	d, err := p.descriptor()
	if err != nil {
		return nil, err
	}
	if _, err := d.Bytes(); err != nil { // lists that are too large
		return nil, p.fail(err, "")
	}
	return d, nil
}

type sddlParser struct {
	text            string
	pos             int
	domain, machine SID
}

func newSDDLParser(text string, opts []SDDLOption) *sddlParser {
	p := &sddlParser{text: text}
	for _, o := range opts {
		o(p)
	}
	return p
}

func (p *sddlParser) fail(err error, detail string) error {
	return &SDDLError{p.text, p.pos, detail, err}
}

func (p *sddlParser) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] >= '\t' && p.text[p.pos] <= '\r') {
		p.pos++
	}
}

// take skips s if it comes next.
func (p *sddlParser) take(s string) bool {
	if !strings.HasPrefix(p.text[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// takeFold is take without regard to case; s is ASCII.
func (p *sddlParser) takeFold(s string) bool {
	if n := p.pos + len(s); n <= len(p.text) && strings.EqualFold(p.text[p.pos:n], s) {
		p.pos = n
		return true
	}
	return false
}

func (p *sddlParser) descriptor() (*Descriptor, error) {
	d := &Descriptor{Control: SelfRelative}
	seen := map[byte]bool{}
	for p.space(); p.pos < len(p.text); p.space() {
		if len(p.text)-p.pos < 2 || p.text[p.pos+1] != ':' || strings.IndexByte("OGDS", p.text[p.pos]) < 0 {
			return nil, p.fail(ErrSDDL, "expected O:, G:, D: or S:")
		}
		section := p.text[p.pos]
		if seen[section] {
			return nil, p.fail(ErrSDDL, "section comes twice")
		}
		seen[section] = true
		p.pos += 2
		p.space()
		var err error
		switch section {
		case 'O', 'G':
			var sid SID
			sid, err = p.sid()
			if section == 'O' {
				d.Owner = &sid
			} else {
				d.Group = &sid
			}
		case 'D':
			d.DACL, err = p.acl(d, DACLPresent, DACLProtected, DACLAutoInheritReq, DACLAutoInherited)
		case 'S':
			d.SACL, err = p.acl(d, SACLPresent, SACLProtected, SACLAutoInheritReq, SACLAutoInherited)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (p *sddlParser) sid() (SID, error) {
	rest := p.text[p.pos:]
	if sid, n := scanSID(rest); n > 0 {
		p.pos += n
		return sid, nil
	}
	if len(rest) < 2 {
		return SID{}, p.fail(ErrBadSID, "expected a SID or alias")
	}
	alias, domain := strings.ToUpper(rest[:2]), p.domain
	if ofMachine(alias) && p.machine.IsValid() {
		domain = p.machine
	}
	sid, err := ParseSIDAlias(alias, domain)
	if err != nil {
		return SID{}, p.fail(err, "")
	}
	p.pos += 2
	return sid, nil
}

// sidInParens parses the rest of SID(…).
func (p *sddlParser) sidInParens(kind error) (SID, error) {
	p.space()
	sid, err := p.sid()
	p.space()
	if err == nil && !p.take(")") {
		err = p.fail(kind, "expected )")
	}
	return sid, err
}

func (p *sddlParser) acl(d *Descriptor, present, protected, request, inherited Control) (*ACL, error) {
	d.Control |= present
	isNull := false
	for more := true; more; {
		switch {
		case p.take(noAccessControl):
			isNull = true
		case p.take("AR"):
			d.Control |= request
		case p.take("AI"):
			d.Control |= inherited
		case p.take("P"):
			d.Control |= protected
		default:
			more = false
		}
	}
	l := &ACL{Revision: aclRevision}
	for p.space(); p.take("("); p.space() {
		if isNull {
			return nil, p.fail(ErrSDDL, "entry in a NULL list")
		}
		a, err := p.ace()
		if err != nil {
			return nil, err
		}
		if a.Type.hasObject() {
			l.Revision = aclRevisionDS
		}
		l.ACEs = append(l.ACEs, a)
	}
	if isNull {
		return nil, nil
	}
	return l, nil
}

// ace parses an entry after its opening parenthesis.
func (p *sddlParser) ace() (a ACE, err error) {
	semicolon := func() {
		p.space()
		if err == nil && !p.take(";") {
			err = p.fail(ErrSDDL, "expected ;")
		}
		p.space()
	}
	p.space()
	if a.Type, err = p.aceType(); err != nil {
		return a, err
	}
	semicolon()
	if err == nil {
		a.Flags, err = p.aceFlags(a.Type)
	}
	semicolon()
	if err != nil {
		return a, err
	}
	if a.Type.isRaw() {
		if !p.take("#") {
			return a, p.fail(ErrSDDL, "expected # and the bytes of an unknown entry")
		}
		a.Data, err = p.hex()
		return a, p.end(err)
	}
	if a.Mask, err = p.rights(a.Type); err != nil {
		return a, err
	}
	for _, dst := range []**winfs.GUID{&a.ObjectType, &a.InheritedObjectType} {
		semicolon()
		if err == nil {
			*dst, err = p.guid()
		}
		if err == nil && *dst != nil && !a.Type.hasObject() {
			err = p.fail(ErrSDDL, "GUID in an entry that is not for objects")
		}
	}
	semicolon()
	if err != nil {
		return a, err
	}
	if a.SID, err = p.sid(); err != nil {
		return a, err
	}
	p.space()
	if p.take(";") {
		p.space()
		a.Data, err = p.data(a.Type)
	}
	return a, p.end(err)
}

func (p *sddlParser) end(err error) error {
	p.space()
	if err == nil && !p.take(")") {
		err = p.fail(ErrSDDL, "expected )")
	}
	return err
}

func (p *sddlParser) aceType() (ACEType, error) {
	if p.pos < len(p.text) && p.text[p.pos] == '0' {
		v, err := p.unsigned(8)
		return ACEType(v), err
	}
	n := strings.IndexAny(p.text[p.pos:], "; ")
	if n > 0 {
		for typ, name := range aceTypeNames { // at most one matches
			if strings.EqualFold(p.text[p.pos:p.pos+n], name) {
				p.pos += n
				return typ, nil
			}
		}
	}
	return 0, p.fail(ErrSDDL, "expected the type of an entry")
}

func (p *sddlParser) aceFlags(typ ACEType) (flags ACEFlags, err error) {
next:
	for {
		p.space()
		if p.pos == len(p.text) || p.text[p.pos] == ';' {
			return flags, nil
		}
		if typ == ACEAccessFilter && p.takeFold("TP") {
			flags |= SuccessfulAccess
			continue
		}
		for _, f := range aceFlagNames {
			if p.takeFold(f.name) {
				flags |= f.flag
				continue next
			}
		}
		return 0, p.fail(ErrSDDL, "expected flags of an entry")
	}
}

func (p *sddlParser) guid() (*winfs.GUID, error) {
	n := strings.IndexByte(p.text[p.pos:], ';')
	if n <= 0 {
		return nil, nil
	}
	g, err := winfs.ParseGUID(strings.TrimSpace(p.text[p.pos : p.pos+n]))
	if err != nil {
		return nil, p.fail(ErrSDDL, "expected a GUID")
	}
	p.pos += n
	return &g, nil
}

// data parses the part after the SID: digits, a condition or a claim.
func (p *sddlParser) data(typ ACEType) ([]byte, error) {
	switch {
	case p.take("#"):
		return p.hex()
	case typ.isCallback():
		c, err := p.condition()
		if err != nil {
			return nil, err
		}
		return c.Bytes(), nil
	case typ == ACEResourceAttribute:
		c, err := p.claim()
		if err != nil {
			return nil, err
		}
		b, err := c.Bytes()
		if err != nil {
			return nil, p.fail(err, "")
		}
		return b, nil
	}
	return nil, p.fail(ErrSDDL, "entry of this type has no data")
}

func parseClaim(text string, opts ...SDDLOption) (*Claim, error) {
	p := newSDDLParser(text, opts)
	c, err := p.claim()
	if err == nil && p.pos != len(text) {
		err = p.fail(ErrBadClaim, "text after the claim")
	}
	return c, err
}

// hex parses an even number of hexadecimal digits.
func (p *sddlParser) hex() ([]byte, error) {
	n := 0
	for p.pos+n < len(p.text) && strings.IndexByte("0123456789abcdefABCDEF", p.text[p.pos+n]) >= 0 {
		n++
	}
	b, err := hex.DecodeString(p.text[p.pos : p.pos+n])
	if err != nil {
		return nil, p.fail(ErrSDDL, "expected pairs of hexadecimal digits")
	}
	p.pos += n
	if len(b) == 0 {
		return nil, nil
	}
	return b, nil
}

// unsigned parses a decimal, octal (0) or hexadecimal (0x) number.
func (p *sddlParser) unsigned(bits int) (uint64, error) {
	n, base, skip := 0, 10, 0
	rest := p.text[p.pos:]
	switch {
	case strings.HasPrefix(rest, "0x") || strings.HasPrefix(rest, "0X"):
		base, skip = 16, 2
	case len(rest) > 1 && rest[0] == '0' && rest[1] >= '0' && rest[1] <= '7':
		base, skip = 8, 1
	}
	for n = skip; n < len(rest); n++ {
		if c := rest[n]; c < '0' || c > '9' && (base != 16 || c|0x20 < 'a' || c|0x20 > 'f') {
			break
		}
	}
	v, err := strconv.ParseUint(rest[skip:n], base, bits)
	if err != nil {
		return 0, p.fail(ErrSDDL, fmt.Sprintf("expected a number of %d bits", bits))
	}
	p.pos += n
	return v, nil
}

// quoted parses a text in double quotes, which has no escapes.
func (p *sddlParser) quoted() (string, error) {
	if !p.take(`"`) {
		return "", p.fail(ErrSDDL, "expected a text in quotes")
	}
	n := strings.IndexByte(p.text[p.pos:], '"')
	if n < 0 {
		return "", p.fail(ErrSDDL, "quote is not closed")
	}
	s := p.text[p.pos : p.pos+n]
	if !winfs.ValidWTF8(s) {
		return "", p.fail(ErrSDDL, "text is not valid UTF-8")
	}
	p.pos += n + 1
	return s, nil
}
