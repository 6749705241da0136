package winsec

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/mullion/mullion/winfs"
)

// ClaimType is the type of the values of a claim (MS-DTYP 2.4.10.1).
type ClaimType uint16

// The types, with their names in SDDL.
const (
	ClaimInt64   ClaimType = 0x0001 // TI
	ClaimUint64  ClaimType = 0x0002 // TU
	ClaimString  ClaimType = 0x0003 // TS
	ClaimSID     ClaimType = 0x0005 // TD
	ClaimBoolean ClaimType = 0x0006 // TB
	ClaimOctets  ClaimType = 0x0010 // TX
)

var claimTypes = map[ClaimType]string{
	ClaimInt64: "TI", ClaimUint64: "TU", ClaimString: "TS", ClaimSID: "TD", ClaimBoolean: "TB", ClaimOctets: "TX",
}

// Claim is a named attribute of a resource with its values, as a resource
// attribute entry in a SACL carries it. Conditions refer to it as @Resource.Name.
type Claim struct {
	Name   string // WTF-8
	Type   ClaimType
	Flags  uint32
	Values []ClaimValue
}

// ClaimValue is one value; Claim.Type selects the field.
type ClaimValue struct {
	Number uint64 // integers, two's complement where negative; 0 or 1 for booleans
	Text   string // strings, WTF-8; octets, raw
	SID    SID
}

// Layout of CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1 (MS-DTYP 2.4.10.1). Offsets count from its
// start. Numbers are u64, strings UTF-16 with a NUL; SIDs and octets are preceded by a u32
// length.
const (
	claimNameAt   = 0x00 // u32 offset
	claimTypeAt   = 0x04 // u16
	claimFlagsAt  = 0x08 // u32
	claimCountAt  = 0x0C // u32 values
	claimValuesAt = 0x10 // u32 offset of each value
)

// DecodeClaim reads [ACE.Data] of a resource attribute entry. The error is an [Error]
// around [ErrBadClaim]. Overlapping values are refused, since they would let a small buffer
// decode to a large claim.
func DecodeClaim(b []byte) (*Claim, error) {
	bad := func(at int, format string, args ...any) (*Claim, error) {
		return nil, &Error{"parse claim", at, fmt.Sprintf(format, args...), ErrBadClaim}
	}
	if len(b) < claimValuesAt {
		return bad(0, "%d bytes", len(b))
	}
	c := &Claim{
		Type:  ClaimType(binary.LittleEndian.Uint16(b[claimTypeAt:])),
		Flags: binary.LittleEndian.Uint32(b[claimFlagsAt:]),
	}
	if claimTypes[c.Type] == "" {
		return bad(claimTypeAt, "unknown type %#x", uint16(c.Type))
	}
	count := binary.LittleEndian.Uint32(b[claimCountAt:])
	if uint64(count) > uint64(len(b)-claimValuesAt)/4 {
		return bad(claimCountAt, "%d values in %d bytes", count, len(b))
	}
	left := len(b) // bytes that the values may use together
	var ok bool
	nameAt := binary.LittleEndian.Uint32(b[claimNameAt:])
	if c.Name, ok = claimText(b, nameAt, &left); !ok {
		return bad(claimNameAt, "name at %#x", nameAt)
	}
	for i := range int(count) {
		field := claimValuesAt + 4*i
		off := binary.LittleEndian.Uint32(b[field:])
		v, ok := c.readValue(b, off, &left)
		if !ok || left < 0 {
			return bad(field, "value %d at %#x", i+1, off)
		}
		c.Values = append(c.Values, v)
	}
	return c, nil
}

func (c *Claim) readValue(b []byte, off uint32, left *int) (v ClaimValue, ok bool) {
	switch c.Type {
	case ClaimString:
		v.Text, ok = claimText(b, off, left)
		return v, ok
	case ClaimSID, ClaimOctets:
		if uint64(off)+4 > uint64(len(b)) {
			return v, false
		}
		size := binary.LittleEndian.Uint32(b[off:])
		body := b[off+4:]
		if uint64(size) > uint64(len(body)) {
			return v, false
		}
		*left -= 4 + int(size)
		if c.Type == ClaimOctets {
			v.Text = string(body[:size])
			return v, true
		}
		sid, err := readSID(body[:size])
		v.SID = sid
		return v, err == nil && sid.Len() == int(size)
	}
	if uint64(off)+8 > uint64(len(b)) {
		return v, false
	}
	*left -= 8
	v.Number = binary.LittleEndian.Uint64(b[off:])
	return v, true
}

// claimText reads UTF-16 up to its NUL.
func claimText(b []byte, off uint32, left *int) (string, bool) {
	if uint64(off) > uint64(len(b)) {
		return "", false
	}
	b = b[off:]
	for n := 0; n+1 < len(b) && n+2 <= *left; n += 2 {
		if b[n] == 0 && b[n+1] == 0 {
			*left -= n + 2
			return winfs.DecodeUTF16LE(b[:n]), true
		}
	}
	return "", false
}

// Bytes returns the binary form as Windows packs it: offsets, name and values
// without gaps, then zeros up to a multiple of four.
func (c *Claim) Bytes() ([]byte, error) {
	if claimTypes[c.Type] == "" {
		return nil, fmt.Errorf("%w: unknown type %#x", ErrBadClaim, uint16(c.Type))
	}
	b := make([]byte, claimValuesAt+4*len(c.Values))
	binary.LittleEndian.PutUint16(b[claimTypeAt:], uint16(c.Type))
	binary.LittleEndian.PutUint32(b[claimFlagsAt:], c.Flags)
	binary.LittleEndian.PutUint32(b[claimCountAt:], uint32(len(c.Values)))
	text := func(s string) error {
		if !winfs.ValidWTF8(s) || len(s) > 0xFFFF {
			return fmt.Errorf("%w: text %.40q", ErrBadClaim, s)
		}
		for i := range len(s) {
			if s[i] == 0 {
				return fmt.Errorf("%w: NUL in text", ErrBadClaim)
			}
		}
		b = append(winfs.AppendUTF16LE(b, s), 0, 0)
		return nil
	}
	binary.LittleEndian.PutUint32(b[claimNameAt:], uint32(len(b)))
	if err := text(c.Name); err != nil {
		return nil, err
	}
	for i, v := range c.Values {
		binary.LittleEndian.PutUint32(b[claimValuesAt+4*i:], uint32(len(b)))
		switch c.Type {
		case ClaimString:
			if err := text(v.Text); err != nil {
				return nil, err
			}
		case ClaimSID:
			if !v.SID.IsValid() {
				return nil, fmt.Errorf("%w: %w", ErrBadClaim, ErrBadSID)
			}
			b = binary.LittleEndian.AppendUint32(b, uint32(v.SID.Len()))
			b = v.SID.Append(b)
		case ClaimOctets:
			b = binary.LittleEndian.AppendUint32(b, uint32(len(v.Text)))
			b = append(b, v.Text...)
		default:
			b = binary.LittleEndian.AppendUint64(b, v.Number)
		}
		if len(b) > 0xFFFF {
			return nil, fmt.Errorf("%w: claim of more than 65535 bytes", ErrTooLarge)
		}
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b, nil
}

// String returns the claim as SDDL, ("Project",TS,0x0,"Windows","SQL").
func (c *Claim) String() string { return string(c.appendText(nil, SID{})) }

func (c *Claim) appendText(b []byte, domain SID) []byte {
	b = fmt.Appendf(b, `("%s",%s,0x%x`, c.Name, claimTypes[c.Type], c.Flags)
	for _, v := range c.Values {
		b = append(b, ',')
		switch c.Type {
		case ClaimInt64:
			b = strconv.AppendInt(b, int64(v.Number), 10)
		case ClaimString:
			b = append(append(append(b, '"'), v.Text...), '"')
		case ClaimSID:
			b = appendSIDText(b, v.SID, domain)
		case ClaimOctets:
			b = hex.AppendEncode(append(b, '#'), []byte(v.Text))
		default:
			b = strconv.AppendUint(b, v.Number, 10)
		}
	}
	return append(b, ')')
}

// claim parses a claim with its parentheses.
func (p *sddlParser) claim() (*Claim, error) {
	c := &Claim{}
	var err error
	expect := func(s string) {
		p.space()
		if err == nil && !p.take(s) {
			err = p.fail(ErrBadClaim, "expected "+s)
		}
		p.space()
	}
	expect("(")
	if err == nil {
		c.Name, err = p.quoted()
	}
	expect(",")
	for typ, name := range claimTypes { // at most one matches
		if err == nil && p.takeFold(name) {
			c.Type = typ
		}
	}
	if err == nil && c.Type == 0 {
		err = p.fail(ErrBadClaim, "expected TI, TU, TS, TD, TB or TX")
	}
	expect(",")
	if err == nil {
		var flags uint64
		flags, err = p.unsigned(32)
		c.Flags = uint32(flags)
	}
	for err == nil {
		p.space()
		if p.take(")") {
			return c, nil
		}
		expect(",")
		if err == nil {
			var v ClaimValue
			v, err = p.claimValue(c.Type)
			c.Values = append(c.Values, v)
		}
	}
	return nil, err
}

func (p *sddlParser) claimValue(typ ClaimType) (v ClaimValue, err error) {
	switch typ {
	case ClaimString:
		v.Text, err = p.quoted()
	case ClaimSID:
		if p.takeFold("SID(") {
			v.SID, err = p.sidInParens(ErrBadClaim)
		} else {
			v.SID, err = p.sid()
		}
	case ClaimOctets:
		// Documents show the number sign; Windows accepts the digits without it too.
		p.take("#")
		var b []byte
		b, err = p.hex()
		v.Text = string(b)
	case ClaimInt64:
		var t *term
		if t, err = p.number(); err == nil {
			v.Number = uint64(t.number)
		}
	default:
		v.Number, err = p.unsigned(64)
		if err == nil && typ == ClaimBoolean && v.Number > 1 {
			err = p.fail(ErrBadClaim, "expected 0 or 1")
		}
	}
	return v, err
}
