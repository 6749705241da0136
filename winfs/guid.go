package winfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadGUID reports that a text is not a GUID in the 8-4-4-4-12 form.
var ErrBadGUID = errors.New("not a GUID")

// GUID is a GUID in the byte order of its text: the order in which
// xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx is read. On disk Windows stores the first
// three groups little-endian; [GUID.Windows] and [GUIDFromWindows] convert.
type GUID [16]byte

// GUIDFromWindows reads the mixed-endian form of structures on disk.
func GUIDFromWindows(b [16]byte) GUID {
	var g GUID
	binary.BigEndian.PutUint32(g[0:], binary.LittleEndian.Uint32(b[0:]))
	binary.BigEndian.PutUint16(g[4:], binary.LittleEndian.Uint16(b[4:]))
	binary.BigEndian.PutUint16(g[6:], binary.LittleEndian.Uint16(b[6:]))
	copy(g[8:], b[8:])
	return g
}

// Windows returns the mixed-endian form of structures on disk.
func (g GUID) Windows() [16]byte { return GUIDFromWindows(g) } // the swap is its own inverse

// String returns lower-case text without braces.
func (g GUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[0:4], g[4:6], g[6:8], g[8:10], g[10:16])
}

// ParseGUID reads text in either case, with or without braces.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	t := s
	if len(t) == 38 && t[0] == '{' && t[37] == '}' {
		t = t[1:37]
	}
	if len(t) != 36 || t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-' {
		return g, fmt.Errorf("%q: %w", s, ErrBadGUID)
	}
	if _, err := hex.Decode(g[:], []byte(t[0:8]+t[9:13]+t[14:18]+t[19:23]+t[24:36])); err != nil {
		return GUID{}, fmt.Errorf("%q: %w", s, ErrBadGUID)
	}
	return g, nil
}
