package regf

import (
	"encoding/binary"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// String returns the name of a predefined type, or its number in hexadecimal.
func (t Type) String() string {
	names := [...]string{
		"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK",
		"REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
	}
	if int64(t) < int64(len(names)) {
		return names[t]
	}
	const hex = "0123456789abcdef"
	b := []byte("0x00000000")
	for i := 9; i > 1; i, t = i-1, t>>4 {
		b[i] = hex[t&15]
	}
	return string(b)
}

// typed returns the data of a value that has one of the types.
func (v Value) typed(types ...Type) ([]byte, error) {
	if !v.Valid() {
		return nil, v.err(ErrDeleted)
	}
	t := v.Type()
	for _, want := range types {
		if t == want {
			return v.Data()
		}
	}
	return nil, v.err(ErrType)
}

// AsString returns the text of a REG_SZ, REG_EXPAND_SZ or REG_LINK value up to the first
// NUL. Stored text may lack the NUL, hold more after it, or have an odd last byte, which is
// omitted; Data returns all bytes. For another type the error is ErrType.
func (v Value) AsString() (string, error) {
	b, err := v.typed(RegSZ, RegExpandSZ, RegLink)
	if err != nil {
		return "", err
	}
	return untilNUL(b), nil
}

// AsStrings returns the texts of a REG_MULTI_SZ value: those between NULs, up to the first
// empty one. For another type the error is ErrType.
func (v Value) AsStrings() ([]string, error) {
	b, err := v.typed(RegMultiSZ)
	if err != nil {
		return nil, err
	}
	var list []string
	for len(b) >= 2 {
		n := indexNUL(b)
		if n == 0 {
			break
		}
		list = append(list, winfs.DecodeUTF16LE(b[:n]))
		b = b[min(n+2, len(b)):]
	}
	return list, nil
}

// AsUint32 returns the number of a REG_DWORD or REG_DWORD_BIG_ENDIAN value of 4 bytes. For
// another type or size the error is ErrType.
func (v Value) AsUint32() (uint32, error) {
	b, err := v.typed(RegDword, RegDwordBigEndian)
	if err != nil {
		return 0, err
	}
	if len(b) != 4 {
		return 0, v.err(ErrType)
	}
	if v.Type() == RegDwordBigEndian {
		return binary.BigEndian.Uint32(b), nil
	}
	return u32(b), nil
}

// AsUint64 returns the number of a REG_QWORD value of 8 bytes, or of a value that AsUint32
// accepts.
func (v Value) AsUint64() (uint64, error) {
	if v.Type() != RegQword {
		n, err := v.AsUint32()
		return uint64(n), err
	}
	b, err := v.typed(RegQword)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, v.err(ErrType)
	}
	return u64(b), nil
}

// Expand returns the text of a REG_SZ or REG_EXPAND_SZ value; in the latter %NAME% is
// replaced by env(NAME). A name that env does not know is kept, percent signs and all, as
// in ExpandEnvironmentStrings. env decides how names compare; Windows ignores case.
func (v Value) Expand(env func(name string) (string, bool)) (string, error) {
	b, err := v.typed(RegSZ, RegExpandSZ)
	if err != nil {
		return "", err
	}
	s := untilNUL(b)
	if v.Type() == RegSZ {
		return s, nil
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "%")
		out.WriteString(before)
		if !ok {
			return out.String(), nil
		}
		name, after, ok := strings.Cut(rest, "%")
		if !ok {
			out.WriteString("%" + rest)
			return out.String(), nil
		}
		if value, known := env(name); known && name != "" {
			out.WriteString(value)
			s = after
			continue
		}
		out.WriteString("%" + name) // the second sign may start another name
		s = rest[len(name):]
	}
}

func untilNUL(b []byte) string { return winfs.DecodeUTF16LE(b[:indexNUL(b)]) }

// indexNUL returns the index of the first NUL unit, or the length without an odd byte.
func indexNUL(b []byte) int {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return i
		}
	}
	return len(b) &^ 1
}

// StringData returns the bytes of a REG_SZ, REG_EXPAND_SZ or REG_LINK value: UTF-16
// with a NUL at the end.
func StringData(s string) []byte { return append(winfs.AppendUTF16LE(nil, s), 0, 0) }

// Uint32Data returns the bytes of a REG_DWORD value.
func Uint32Data(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// StringsData returns the bytes of a REG_MULTI_SZ value. An empty text among them would end
// the list early for every reader and is ErrInvalid.
func StringsData(list []string) ([]byte, error) {
	var b []byte
	for _, s := range list {
		if s == "" || strings.Contains(s, "\x00") {
			return nil, &Error{Op: "encode strings", Offset: -1, Err: ErrInvalid}
		}
		b = append(winfs.AppendUTF16LE(b, s), 0, 0)
	}
	return append(b, 0, 0), nil
}

// TerminateText returns data with a NUL appended if its type is a text, REG_SZ,
// REG_EXPAND_SZ or REG_MULTI_SZ, and it has whole UTF-16 units and does not end with a NUL;
// otherwise it returns data. ORSetValue stores such texts with a NUL if one follows its
// buffer in memory, as it does for a text whose caller counted without it.
func TerminateText(t Type, data []byte) []byte {
	n := len(data)
	if t != RegSZ && t != RegExpandSZ && t != RegMultiSZ || n == 0 || n%2 != 0 || u16(data[n-2:]) == 0 {
		return data
	}
	return append(data[:n:n], 0, 0)
}
