package cli

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// jsonKey is a registry key in all documents but those of "hive dump", whose form is
// fixed. Key is the path below the root of the hive, without the root's name.
type jsonKey struct {
	Key      string
	Class    string
	Modified winfs.Filetime
	Security []byte // self-relative descriptor, nil if there is none
	// Delta is the meaning of the key in a differencing hive: merge, tombstone,
	// supersede-local or supersede-tree; "" in others.
	Delta        string
	InheritClass bool
	Values       []jsonValue
}

// jsonValue is a registry value.
type jsonValue struct {
	Name      string // "" is the default value
	Type      regf.Type
	Data      []byte
	Tombstone bool // hides a value of the layer below
}

// keyOf reads a key with its values. Damage in a class name, descriptor or the data of a
// value is an error only if the hive was opened in mode Strict.
func keyOf(k regf.Key, path string) (*jsonKey, error) {
	strict := k.Hive().Mode() == regf.Strict
	out := &jsonKey{Key: path, Modified: k.LastWrite(), InheritClass: k.InheritClass()}
	var err error
	if out.Class, err = k.Class(); err != nil && strict {
		return nil, err
	}
	if out.Security, err = k.Security(); err != nil && strict {
		return nil, err
	}
	if k.Hive().Layered() {
		out.Delta = k.Layer().String()
	}
	for v, err := range k.Values() {
		if err != nil {
			return nil, err
		}
		value, err := valueOf(v)
		if err != nil && strict {
			return nil, err
		}
		out.Values = append(out.Values, value)
	}
	return out, nil
}

// valueOf reads a value. The error is that of its data.
func valueOf(v regf.Value) (jsonValue, error) {
	data, err := v.Data()
	return jsonValue{v.Name(), v.Type(), data, v.Tombstone()}, err
}

// MarshalJSON implements json.Marshaler.
func (k *jsonKey) MarshalJSON() ([]byte, error) { return k.append(nil), nil }

// append appends the key as JSON. It does not use encoding/json, because a hive has
// hundreds of thousands of keys.
func (k *jsonKey) append(b []byte) []byte {
	b = appendJSON(append(b, `{"key":`...), []byte(k.Key))
	if k.Class != "" {
		b = appendJSON(append(b, `,"class":`...), []byte(k.Class))
	}
	if k.Modified != 0 {
		b = append(append(append(b, `,"modified":"`...), k.Modified.String()...), '"')
	}
	if _, sddl := securityOf(k.Security); sddl != "" {
		b = appendJSON(append(b, `,"security":`...), []byte(sddl))
	}
	if k.Delta != "" {
		b = append(append(append(b, `,"delta":"`...), k.Delta...), '"')
	}
	if k.InheritClass {
		b = append(b, `,"inheritClass":true`...)
	}
	b = append(b, `,"values":[`...)
	for i, v := range k.Values {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.append(b)
	}
	return append(b, "]}"...)
}

// MarshalJSON implements json.Marshaler.
func (v jsonValue) MarshalJSON() ([]byte, error) { return v.append(nil), nil }

func (v jsonValue) append(b []byte) []byte { return append(v.appendFields(append(b, '{')), '}') }

// appendFields appends the fields of the value without the braces.
func (v jsonValue) appendFields(b []byte) []byte {
	b = appendJSON(append(b, `"name":`...), []byte(v.Name))
	b = appendData(append(b, ','), v.Type, v.Data)
	if v.Tombstone {
		b = append(b, `,"tombstone":true`...)
	}
	return b
}

// jsonData is the type and the data of a value without its name, for both sides of a
// comparison.
type jsonData struct {
	Type regf.Type
	Data []byte
}

// MarshalJSON implements json.Marshaler.
func (d jsonData) MarshalJSON() ([]byte, error) {
	return append(appendData([]byte{'{'}, d.Type, d.Data), '}'), nil
}

// appendData appends the fields type, data and decoded.
func appendData(b []byte, t regf.Type, data []byte) []byte {
	b = appendUint(append(b, `"type":{"value":`...), uint32(t))
	b = append(append(append(b, `,"name":"`...), t.String()...), `"}`...)
	b = append(hex.AppendEncode(append(b, `,"data":"`...), data), '"')
	return appendDecoded(b, t, data)
}

// appendDecoded appends the field decoded: a string for a text, an array of strings for a
// list, a number for an integer. It appends nothing for other types, and for data that
// does not have the form of its type. A text with a lone surrogate is such data: jq and
// others refuse the escape, and with it the whole line.
func appendDecoded(b []byte, t regf.Type, data []byte) []byte {
	const field = `,"decoded":`
	switch t {
	case regf.RegSZ, regf.RegExpandSZ, regf.RegLink:
		if len(data)%2 == 0 {
			text := winfs.DecodeUTF16LE(data)
			if t != regf.RegLink {
				text = strings.TrimSuffix(text, "\x00")
			}
			if utf8.ValidString(text) {
				return appendJSON(append(b, field...), []byte(text))
			}
		}
	case regf.RegMultiSZ:
		if len(data)%2 == 0 {
			list := multiStrings(data)
			if slices.ContainsFunc(list, func(s string) bool { return !utf8.ValidString(s) }) {
				return b
			}
			b = append(append(b, field...), '[')
			for i, s := range list {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendJSON(b, []byte(s))
			}
			return append(b, ']')
		}
	case regf.RegDword:
		if len(data) == 4 {
			return appendUint(append(b, field...), binary.LittleEndian.Uint32(data))
		}
	case regf.RegDwordBigEndian:
		if len(data) == 4 {
			return appendUint(append(b, field...), binary.BigEndian.Uint32(data))
		}
	case regf.RegQword:
		if len(data) == 8 {
			return strconv.AppendUint(append(b, field...), binary.LittleEndian.Uint64(data), 10)
		}
	}
	return b
}

// multiStrings returns the texts of a REG_MULTI_SZ without the empty one that ends it.
func multiStrings(data []byte) []string {
	list := strings.Split(winfs.DecodeUTF16LE(data), "\x00")
	for range 2 { // after the zero of the last text, and after the zero of the list
		if n := len(list); n > 0 && list[n-1] == "" {
			list = list[:n-1]
		}
	}
	return slices.Clip(list)
}
