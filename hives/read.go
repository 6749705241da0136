package hives

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mullion/mullion/regf"
)

// stringOf reads a REG_SZ or REG_EXPAND_SZ value up to its terminator. An absent value is
// regf.ErrNotFound, one of another type regf.ErrType.
func stringOf(k regf.Key, name string) (string, error) {
	v, err := typedValue(k, name, regf.RegSZ, regf.RegExpandSZ)
	if err != nil {
		return "", err
	}
	return v.AsString()
}

// dwordOf reads a REG_DWORD value. An absent value gives regf.ErrNotFound, another type
// or size regf.ErrType.
func dwordOf(k regf.Key, name string) (uint32, error) {
	v, err := typedValue(k, name, regf.RegDword)
	if err != nil {
		return 0, err
	}
	return v.AsUint32()
}

// typedValue returns a value that has one of the types. They are fewer than the methods
// of regf.Value convert: Windows reads neither a link nor a big-endian number here.
func typedValue(k regf.Key, name string, types ...regf.Type) (regf.Value, error) {
	v, err := k.Value(name)
	if err == nil && !slices.Contains(types, v.Type()) {
		err = fmt.Errorf("value %q of key %q is %v, not %v: %w", name, k.Path(), v.Type(), types[0], regf.ErrType)
	}
	return v, err
}

// optional turns the absence of a value into its zero value.
func optional[T any](v T, err error) (T, error) {
	if errors.Is(err, regf.ErrNotFound) {
		var zero T
		return zero, nil
	}
	return v, err
}
