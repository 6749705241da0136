package inventory

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/mullion/mullion/regf"
)

// microsoft is the publisher of Windows.
const microsoft = "Microsoft Corporation"

// A place is a key with its path below the root of the hive.
type place struct {
	regf.Key
	path string
}

// subkeys yields the keys below one that need not exist. The loop may go on after an error.
func subkeys(h *regf.Hive, path string) iter.Seq2[place, error] {
	return func(yield func(place, error) bool) {
		top, err := h.Key(path)
		if errors.Is(err, regf.ErrNotFound) {
			return
		}
		if err != nil {
			yield(place{path: path}, err)
			return
		}
		for k, err := range top.Subkeys() {
			at := place{k, path}
			if err == nil {
				at.path += `\` + k.Name()
			}
			if !yield(at, err) {
				return
			}
		}
	}
}

// maxValueText is the size in bytes of a value whose text is read: the longest path that
// Windows has. Many keys can share one value, which would come back once for each of them.
const maxValueText = 64 << 10

// checkText returns an error for a value that is too large for a text.
func checkText(v regf.Value) error {
	if n := v.Size(); n > maxValueText {
		return fmt.Errorf("the value %.80q has %d bytes: %w", v.Name(), n, errTooLarge)
	}
	return nil
}

// text reads a value of text without the space at its ends, "" if there is none or it
// has another type.
func text(k regf.Key, name string) (string, error) {
	v, err := k.Value(name)
	if err != nil || v.Type() == regf.RegLink {
		return "", lenient(err)
	}
	if t := v.Type(); t == regf.RegSZ || t == regf.RegExpandSZ {
		if err := checkText(v); err != nil {
			return "", err
		}
	}
	s, err := v.AsString()
	return strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")), lenient(err)
}

// number reads a DWORD, 0 if there is none or the value has another type.
func number(k regf.Key, name string) (uint32, error) {
	v, err := k.Value(name)
	if err != nil || v.Type() != regf.RegDword {
		return 0, lenient(err)
	}
	n, err := v.AsUint32()
	return n, lenient(err)
}

// lenient passes over values that are absent or have another type.
func lenient(err error) error {
	if errors.Is(err, regf.ErrNotFound) || errors.Is(err, regf.ErrType) {
		return nil
	}
	return err
}

// values reads values of one key and keeps the first error.
type values struct {
	key regf.Key
	err error
}

func (v *values) text(name string) string {
	s, err := text(v.key, name)
	v.err = errors.Join(v.err, err)
	return s
}

func (v *values) number(name string) uint32 {
	n, err := number(v.key, name)
	v.err = errors.Join(v.err, err)
	return n
}
