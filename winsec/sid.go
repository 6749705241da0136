package winsec

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// SID is a security identifier: the name of an account, a group or another trustee. It is a
// comparable value. The zero SID is not valid; see [SID.IsValid].
type SID struct {
	authority uint64 // 48 bits
	count     uint8  // of sub, 0..15
	valid     bool
	sub       [maxSubAuthorities]uint32
}

// Layout of a SID (MS-DTYP 2.4.2.2). The authority is the one big-endian number.
const (
	sidRevisionAt  = 0x00 // u8, 1
	sidCountAt     = 0x01 // u8 sub-authorities
	sidAuthorityAt = 0x02 // u48 big-endian
	sidHeader      = 0x08 // then the sub-authorities, u32 each

	sidRevision       = 1
	maxSubAuthorities = 15
)

// MakeSID returns the SID S-1-authority-sub.... It panics if the authority needs more than
// 48 bits or there are more than 15 sub-authorities, so it is for constants.
func MakeSID(authority uint64, sub ...uint32) SID {
	if authority >= 1<<48 || len(sub) > maxSubAuthorities {
		panic("winsec: MakeSID: not a SID")
	}
	s := SID{authority: authority, count: uint8(len(sub)), valid: true}
	copy(s.sub[:], sub)
	return s
}

// IsValid reports whether s is a SID and not the zero value.
func (s SID) IsValid() bool { return s.valid }

// Authority returns the identifier authority, a number of 48 bits.
func (s SID) Authority() uint64 { return s.authority }

// SubAuthorities returns a copy of the sub-authorities, 0 to 15 of them. The last
// is the relative identifier (RID).
func (s SID) SubAuthorities() []uint32 { return append([]uint32(nil), s.sub[:s.count]...) }

// Child returns s with one more sub-authority, the account with that relative identifier in
// the domain s. It returns the zero SID if s is not valid or full.
func (s SID) Child(rid uint32) SID {
	if !s.valid || s.count == maxSubAuthorities {
		return SID{}
	}
	s.sub[s.count] = rid
	s.count++
	return s
}

// Domain returns s without its last sub-authority and that relative identifier.
func (s SID) Domain() (domain SID, rid uint32, ok bool) {
	if s.count == 0 {
		return SID{}, 0, false
	}
	s.count--
	rid, s.sub[s.count] = s.sub[s.count], 0
	return s, rid, true
}

// Len returns the length in bytes of the binary form.
func (s SID) Len() int { return sidHeader + 4*int(s.count) }

// Append appends the binary form to dst.
func (s SID) Append(dst []byte) []byte {
	a := s.authority
	dst = append(dst, sidRevision, s.count, byte(a>>40), byte(a>>32), byte(a>>24), byte(a>>16), byte(a>>8), byte(a))
	for _, v := range s.sub[:s.count] {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

// Bytes returns the binary form.
func (s SID) Bytes() []byte { return s.Append(make([]byte, 0, s.Len())) }

// SIDFromBytes reads a SID from the start of b, which may be longer; Len returns the number
// of bytes used. The error wraps [ErrTruncated], [ErrRevision] or [ErrBadSID].
func SIDFromBytes(b []byte) (SID, error) {
	s, err := readSID(b)
	if err != nil {
		return SID{}, &Error{"parse SID", 0, "", err}
	}
	return s, nil
}

func readSID(b []byte) (SID, error) {
	if len(b) < sidHeader {
		return SID{}, ErrTruncated
	}
	if b[sidRevisionAt] != sidRevision {
		return SID{}, fmt.Errorf("%w %d of SID", ErrRevision, b[sidRevisionAt])
	}
	n := int(b[sidCountAt])
	if n > maxSubAuthorities {
		return SID{}, fmt.Errorf("%w: %d sub-authorities", ErrBadSID, n)
	}
	if len(b) < sidHeader+4*n {
		return SID{}, ErrTruncated
	}
	s := SID{count: uint8(n), valid: true}
	for _, v := range b[sidAuthorityAt:sidHeader] {
		s.authority = s.authority<<8 | uint64(v)
	}
	for i := range n {
		s.sub[i] = binary.LittleEndian.Uint32(b[sidHeader+4*i:])
	}
	return s, nil
}

// String returns S-1-..., with an authority of 2^32 and above in hexadecimal (MS-DTYP
// 2.4.2.1). The text of the zero SID is "".
func (s SID) String() string {
	if !s.valid {
		return ""
	}
	b := append(make([]byte, 0, 48), "S-1-"...)
	if s.authority >= 1<<32 {
		b = fmt.Appendf(b, "0x%012X", s.authority)
	} else {
		b = strconv.AppendUint(b, s.authority, 10)
	}
	for _, v := range s.sub[:s.count] {
		b = strconv.AppendUint(append(b, '-'), uint64(v), 10)
	}
	return string(b)
}

// ParseSID reads the text form, S-1-5-32-544. The numbers may be decimal or 0x and
// hexadecimal digits, up to twelve in the authority. Aliases such as BA are parsed by
// [ParseSIDAlias]. The error wraps [ErrBadSID].
func ParseSID(text string) (SID, error) {
	s, n := scanSID(text)
	if n == 0 || n != len(text) {
		return SID{}, fmt.Errorf("%w %.200q", ErrBadSID, text)
	}
	return s, nil
}

// scanSID reads the longest SID at the start of text and returns its length, 0 if there is
// none.
func scanSID(text string) (SID, int) {
	if len(text) < 5 || text[0]|0x20 != 's' || text[1:4] != "-1-" {
		return SID{}, 0
	}
	at := 4
	number := func(bits int) (uint64, bool) {
		start, base := at, 10
		most := len(text)
		if rest := text[at:]; strings.HasPrefix(rest, "0x") || strings.HasPrefix(rest, "0X") {
			start, at, base = at+2, at+2, 16
			most = min(most, start+bits/4)
		}
		for at < most && (text[at] >= '0' && text[at] <= '9' ||
			base == 16 && text[at]|0x20 >= 'a' && text[at]|0x20 <= 'f') {
			if text[at]|0x20 == 'd' && at+1 < len(text) && text[at+1] == ':' {
				break // in SDDL the DACL may follow
			}
			at++
		}
		v, err := strconv.ParseUint(text[start:at], base, bits)
		return v, err == nil
	}
	authority, ok := number(48)
	if !ok {
		return SID{}, 0
	}
	s := SID{authority: authority, valid: true}
	for at+1 < len(text) && text[at] == '-' && text[at+1] >= '0' && text[at+1] <= '9' {
		if s.count == maxSubAuthorities {
			return SID{}, 0
		}
		at++
		v, ok := number(32)
		if !ok {
			return SID{}, 0
		}
		s.sub[s.count] = uint32(v)
		s.count++
	}
	return s, at
}
