package winsec

import "strconv"

// Bits of an access mask (MS-DTYP 2.4.3; MS-FSCC; registry).
const (
	GenericRead    uint32 = 0x80000000
	GenericWrite   uint32 = 0x40000000
	GenericExecute uint32 = 0x20000000
	GenericAll     uint32 = 0x10000000

	FileAllAccess   uint32 = 0x001F01FF
	FileReadExecute uint32 = 0x001200A9
	KeyAllAccess    uint32 = 0x000F003F
	KeyRead         uint32 = 0x00020019
)

// wholeRights are the SDDL names of sets of rights, those of files and of registry keys.
// KX, key execute, is another name of KR.
var wholeRights = []rightName{
	{"FA", FileAllAccess}, {"FR", 0x120089}, {"FW", 0x120116}, {"FX", 0x1200A0},
	{"KA", KeyAllAccess}, {"KR", KeyRead}, {"KW", 0x20006}, {"KX", 0x20019},
}

// singleRights are the names of single bits in ascending order, the order in
// which Windows writes them.
var singleRights = []rightName{
	{"CC", 0x1}, {"DC", 0x2}, {"LC", 0x4}, {"SW", 0x8}, {"RP", 0x10}, {"WP", 0x20}, {"DT", 0x40}, {"LO", 0x80}, {"CR", 0x100},
	{"SD", 0x10000}, {"RC", 0x20000}, {"WD", 0x40000}, {"WO", 0x80000},
	{"GA", GenericAll}, {"GX", GenericExecute}, {"GW", GenericWrite}, {"GR", GenericRead},
}

// labelRights are the rights of mandatory labels.
var labelRights = []rightName{{"NW", 0x1}, {"NR", 0x2}, {"NX", 0x4}}

type rightName struct {
	name string
	mask uint32
}

// appendRights writes a mask: the name of a whole set, else the names of its
// bits, else hexadecimal. An empty mask is empty text.
func appendRights(b []byte, typ ACEType, mask uint32) []byte {
	names := singleRights
	if typ == ACEMandatoryLabel {
		names = labelRights
	} else {
		for _, r := range wholeRights {
			if r.mask == mask {
				return append(b, r.name...)
			}
		}
	}
	start, left := len(b), mask
	for _, r := range names {
		if mask&r.mask != 0 {
			b = append(b, r.name...)
			left &^= r.mask
		}
	}
	if left != 0 {
		return strconv.AppendUint(append(b[:start], "0x"...), uint64(mask), 16)
	}
	return b
}

// rights parses a mask up to the next semicolon.
func (p *sddlParser) rights(typ ACEType) (uint32, error) {
	if p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
		v, err := p.unsigned(32)
		return uint32(v), err
	}
	var mask uint32
next:
	for {
		p.space()
		if p.pos == len(p.text) || p.text[p.pos] == ';' {
			return mask, nil
		}
		if typ == ACEMandatoryLabel {
			for _, r := range labelRights {
				if p.takeFold(r.name) {
					mask |= r.mask
					continue next
				}
			}
		}
		for _, names := range [][]rightName{wholeRights, singleRights} {
			for _, r := range names {
				if p.takeFold(r.name) {
					mask |= r.mask
					continue next
				}
			}
		}
		return 0, p.fail(ErrSDDL, "expected access rights")
	}
}
