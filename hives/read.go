package hives

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// ErrWrongType reports that a registry value does not have the type that it has in Windows.
var ErrWrongType = errors.New("registry value has the wrong type")

// stringOf reads a REG_SZ or REG_EXPAND_SZ value up to its terminator. An absent value is
// regf.ErrNotFound.
func stringOf(k regf.Key, name string) (string, error) {
	v, err := k.Value(name)
	if err != nil {
		return "", err
	}
	if t := v.Type(); t != regf.RegSZ && t != regf.RegExpandSZ {
		return "", fmt.Errorf("value %q of key %q is %v, not a string: %w", name, k.Path(), t, ErrWrongType)
	}
	b, err := v.Data()
	if err != nil {
		return "", err
	}
	s, _, _ := strings.Cut(winfs.DecodeUTF16LE(b), "\x00")
	return s, nil
}

// dwordOf reads a REG_DWORD value.
func dwordOf(k regf.Key, name string) (uint32, error) {
	v, err := k.Value(name)
	if err != nil {
		return 0, err
	}
	b, err := v.Data()
	if err != nil {
		return 0, err
	}
	if v.Type() != regf.RegDword || len(b) != 4 {
		return 0, fmt.Errorf("value %q of key %q is %v of %d bytes, not a DWORD: %w", name, k.Path(), v.Type(), len(b), ErrWrongType)
	}
	return binary.LittleEndian.Uint32(b), nil
}

// optional turns the absence of a value into its zero value.
func optional[T any](v T, err error) (T, error) {
	if errors.Is(err, regf.ErrNotFound) {
		var zero T
		return zero, nil
	}
	return v, err
}
