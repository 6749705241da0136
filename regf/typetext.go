package regf

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// namedTypes is the number of types that have a name.
const namedTypes = RegQword + 1

// ParseType reads the name of a type, REG_SZ, in any case, or its number. REG_DWORD and
// REG_QWORD may have the ending _LITTLE_ENDIAN. Any other text is ErrInvalid.
func ParseType(s string) (Type, error) {
	name := strings.TrimSuffix(strings.ToUpper(s), "_LITTLE_ENDIAN")
	var names []string
	for t := range namedTypes {
		if t.String() == name {
			return t, nil
		}
		names = append(names, t.String())
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("not a type: %s, or a number: %w", strings.Join(names, ", "), ErrInvalid)
	}
	return Type(n), nil
}

// ParseData reads the data of a value as reg add takes it: text; decimal or 0x numbers for
// REG_DWORD and REG_QWORD; texts separated by sep for REG_MULTI_SZ, with or without one at
// the end; hexadecimal for all other types. Text that is none of that is ErrInvalid.
func ParseData(t Type, s, sep string) ([]byte, error) {
	number := func(bits int) (uint64, error) {
		n, err := strconv.ParseUint(s, 0, bits)
		if err != nil {
			return 0, fmt.Errorf("not a number of %d bits: %w", bits, ErrInvalid)
		}
		return n, nil
	}
	switch t {
	case RegSZ, RegExpandSZ:
		return StringData(s), nil
	case RegLink:
		return winfs.AppendUTF16LE(nil, s), nil
	case RegMultiSZ:
		var b []byte
		if s != "" {
			for part := range strings.SplitSeq(strings.TrimSuffix(s, sep), sep) {
				if part == "" {
					return nil, fmt.Errorf("a list of texts cannot hold an empty one: %w", ErrInvalid)
				}
				b = append(b, StringData(part)...)
			}
		}
		return append(b, 0, 0), nil
	case RegDword:
		n, err := number(32)
		return binary.LittleEndian.AppendUint32(nil, uint32(n)), err
	case RegDwordBigEndian:
		n, err := number(32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	case RegQword:
		n, err := number(64)
		return binary.LittleEndian.AppendUint64(nil, n), err
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("data of type %s must be hexadecimal: %w", t, ErrInvalid)
	}
	return b, nil
}
