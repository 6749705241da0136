package regf

import (
	"unicode/utf8"

	"github.com/mullion/mullion/winfs"
)

// appendName appends the WTF-8 form of a stored name.
func appendName(dst, name []byte, latin bool) []byte {
	if latin {
		for i, c := range name {
			if c >= utf8.RuneSelf {
				return appendLatin(dst, name[i:])
			}
			dst = append(dst, c)
		}
		return dst
	}
	return append(dst, winfs.DecodeUTF16LE(name)...)
}

func appendLatin(dst, name []byte) []byte {
	for _, c := range name {
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

func nameString(name []byte, latin bool) string {
	if !latin {
		return winfs.DecodeUTF16LE(name)
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return string(appendLatin(make([]byte, 0, len(name)+8), name))
		}
	}
	return string(name)
}

// target is a name to be found: its units in upper case. Short names, which are nearly all,
// need no allocation; a slice into the same struct would cause one.
type target struct {
	n    int
	hash uint32
	buf  [64]uint16
	long []uint16
}

func (t *target) set(name string) {
	t.hash, t.long = 0, nil
	if t.setASCII(name) {
		return
	}
	if len(name) <= len(t.buf) {
		t.n = len(winfs.AppendUTF16(t.buf[:0], name))
	} else {
		t.long = winfs.AppendUTF16(nil, name)
		t.n = len(t.long)
	}
	for i, u := range t.units() {
		u = winfs.Upcase(u)
		t.units()[i] = u
		t.hash = t.hash*37 + uint32(u)
	}
}

// setASCII is set for a short name in ASCII, as nearly all are, and reports whether the
// name is one.
func (t *target) setASCII(name string) bool {
	if len(name) > len(t.buf) {
		return false
	}
	hash := uint32(0)
	for i := range len(name) {
		c := name[i]
		if c >= utf8.RuneSelf {
			return false
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		t.buf[i] = uint16(c)
		hash = hash*37 + uint32(c)
	}
	t.n, t.hash = len(name), hash
	return true
}

func (t *target) units() []uint16 {
	if t.long != nil {
		return t.long
	}
	return t.buf[:t.n]
}

// compare compares a stored name with the target in the registry's order: -1 if the stored
// name comes first.
func (t *target) compare(name []byte, latin bool) int {
	n := len(name)
	if !latin {
		n /= 2
	}
	up := t.units()
	for i := range min(n, len(up)) {
		var u uint16
		if latin {
			u = uint16(name[i])
		} else {
			u = u16(name[2*i:])
		}
		if u = winfs.Upcase(u); u != up[i] {
			if u < up[i] {
				return -1
			}
			return 1
		}
	}
	switch {
	case n < len(up):
		return -1
	case n > len(up):
		return 1
	}
	return 0
}

func (t *target) equal(name []byte, latin bool) bool {
	n := len(name)
	if !latin {
		n /= 2
	}
	return n == t.n && t.compare(name, latin) == 0
}

// unitsOf returns the number of UTF-16 units of a stored name.
func unitsOf(name []byte, latin bool) int {
	if latin {
		return len(name)
	}
	return len(name) / 2
}

func unitAt(name []byte, latin bool, i int) uint16 {
	if latin {
		return uint16(name[i])
	}
	return u16(name[2*i:])
}

// compareStored orders two stored names.
func compareStored(a []byte, latinA bool, b []byte, latinB bool) int {
	na, nb := unitsOf(a, latinA), unitsOf(b, latinB)
	for i := range min(na, nb) {
		x, y := winfs.Upcase(unitAt(a, latinA, i)), winfs.Upcase(unitAt(b, latinB, i))
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	switch {
	case na < nb:
		return -1
	case na > nb:
		return 1
	}
	return 0
}

// NameHash computes the hash of a name in lh lists (docs/spec/registry.md, "Subkey
// lists").
func NameHash(name string) uint32 {
	var t target
	t.set(name)
	return t.hash
}

// hashStored is NameHash of a stored name.
func hashStored(name []byte, latin bool) uint32 {
	var h uint32
	if latin {
		for _, c := range name {
			h = h*37 + uint32(winfs.Upcase(uint16(c)))
		}
		return h
	}
	for i := 0; i+1 < len(name); i += 2 {
		h = h*37 + uint32(winfs.Upcase(u16(name[i:])))
	}
	return h
}

// hintStored returns the hint for a stored name in lf lists: its first four characters as
// bytes, or nothing if one of them needs two.
func hintStored(name []byte, latin bool) uint32 {
	var h uint32
	for i := range min(4, unitsOf(name, latin)) {
		u := unitAt(name, latin, i)
		if u >= 0x100 {
			return 0
		}
		h |= uint32(u) << (8 * i)
	}
	return h
}

// encodeName returns the stored bytes of a name and whether they are Latin-1, as they are
// whenever that is possible.
func encodeName(name string) (b []byte, latin bool) {
	latin = true
	for i := range len(name) {
		latin = latin && name[i] < utf8.RuneSelf
	}
	if latin {
		return []byte(name), true
	}
	units := winfs.AppendUTF16(make([]uint16, 0, len(name)), name)
	latin = true
	for _, u := range units {
		if u >= 0x100 {
			latin = false
			break
		}
	}
	if latin {
		b = make([]byte, len(units))
		for i, u := range units {
			b[i] = byte(u)
		}
		return b, true
	}
	b = make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = append(b, byte(u), byte(u>>8))
	}
	return b, false
}
