package regf

import (
	"bytes"
	"iter"
)

// DifferenceKind is the kind of a difference between two hives.
type DifferenceKind uint8

// The kinds of differences. The first is also used for values.
const (
	Added   DifferenceKind = iota + 1 // only the second hive has it
	Removed                           // only the first hive has it
	Changed                           // both have it, with different content
)

// String returns added, removed or changed.
func (k DifferenceKind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	}
	return "invalid kind"
}

// Difference is one difference between two hives. A and B are the keys with Path in the two
// hives; one of them is invalid if the key was added or removed. ValueA and ValueB are the
// two values, invalid unless Field is FieldValue.
type Difference struct {
	Kind           DifferenceKind
	Path           string // below the root, as the second hive spells it if it has the key
	Field          Field
	Name           string // of the value
	A, B           Key
	ValueA, ValueB Value
}

// Field is the part of a key that differs.
type Field uint8

// The parts of a key.
const (
	FieldKey      Field = iota // the key itself: added or removed with all below it
	FieldValue                 // a value: its type, its data, or that it exists
	FieldClass                 // the class name
	FieldSecurity              // the descriptor
	FieldFlags                 // flags, without those for Windows' bookkeeping, and virtualisation
	FieldLayer                 // layer semantics
	FieldTime                  // time of the last change, if CompareOptions.Times is set
)

var fieldNames = [...]string{"key", "value", "class", "security", "flags", "layer", "time"}

// String returns a lower-case word.
func (f Field) String() string {
	if int(f) < len(fieldNames) {
		return fieldNames[f]
	}
	return "invalid field"
}

// CompareOptions select the differences that count.
type CompareOptions struct {
	// Times counts the times of keys.
	Times bool
}

// bookkeeping are the flags that record how a name is stored and whether Windows has loaded
// or held the hive. A key is the same with and without them; a merged hive has none.
const bookkeeping = KeyCompressed | KeyVolatile | KeyHiveExit | KeyHiveEntry | KeyNoDelete

// Compare yields the differences between two hives, in the order of keys. A key that only
// one of them has is yielded once, without the keys and values below it. The order of
// values and the spelling of names do not count. A read error ends the sequence.
//
// Of two hives with one Options.Content, of which each may be the base of a view
// ([MergeView]), the keys that both have from there are not read: neither faults in them are
// found, nor what merging sets right in them.
func Compare(a, b *Hive, opt CompareOptions) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		for _, h := range []*Hive{a, b} {
			if !h.Root().Valid() {
				yield(Difference{}, h.opError("compare", "", -1, ErrNotFound))
				return
			}
		}
		c := &comparer{opt: opt, yield: yield, alike: a.content != "" && a.content == b.content}
		c.keys(a.Root().Traverse(), b.Root().Traverse(), "")
	}
}

// CompareKeys yields the differences between two keys and what is below them, as Compare
// does. Path is that of the keys, with which the paths of the differences begin.
func CompareKeys(a, b Key, path string, opt CompareOptions) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		c := &comparer{opt: opt, yield: yield, alike: a.Valid() && b.Valid() && a.h.content != "" && a.h.content == b.h.content}
		c.keys(a.Traverse(), b.Traverse(), path)
	}
}

type comparer struct {
	opt   CompareOptions
	yield func(Difference, error) bool
	alike bool // the hives, or the bases that they are views of, have the same bytes
}

// fromFile reports whether a key and all below it are as in the file with Options.Content: a
// view has written anew what the layers above its base change.
func (k Key) fromFile() bool {
	return k.h.edit == nil && (k.h.view == nil || k.off < k.h.view.written)
}

// keys compares two keys and reports whether to continue.
func (c *comparer) keys(a, b Key, path string) bool {
	if c.alike && a.off == b.off && a.fromFile() && b.fromFile() {
		return true
	}
	tell := func(f Field, differs bool) bool {
		return !differs || c.yield(Difference{Kind: Changed, Path: path, Field: f, A: a, B: b}, nil)
	}
	classA, errA := a.ClassBytes()
	classB, errB := b.ClassBytes()
	if !c.readable(a, errA) || !c.readable(b, errB) {
		return false
	}
	sdA, errA := a.Security()
	sdB, errB := b.Security()
	if !c.readable(a, errA) || !c.readable(b, errB) {
		return false
	}
	if !tell(FieldClass, !bytes.Equal(classA, classB)) || !tell(FieldSecurity, !bytes.Equal(sdA, sdB)) ||
		!tell(FieldFlags, a.Flags()&^bookkeeping != b.Flags()&^bookkeeping || a.virtual() != b.virtual()) ||
		!tell(FieldLayer, a.Layer() != b.Layer() || a.InheritClass() != b.InheritClass()) ||
		!tell(FieldTime, c.opt.Times && a.LastWrite() != b.LastWrite()) {
		return false
	}
	return c.values(a, b, path) && c.subkeys(a, b, path)
}

// readable ends the comparison with an error if a strict hive returns one.
func (c *comparer) readable(k Key, err error) bool {
	if err != nil && k.h.mode == Strict {
		c.yield(Difference{}, err)
		return false
	}
	return true
}

func (c *comparer) values(a, b Key, path string) bool {
	var was []outValue
	for v, err := range a.Values() {
		if err != nil {
			c.yield(Difference{}, err)
			return false
		}
		was = append(was, outValue{Value: v})
	}
	var index valueIndex
	seen := make([]bool, len(was))
	var added []Value
	for v, err := range b.Values() {
		if err != nil {
			c.yield(Difference{}, err)
			return false
		}
		i := index.take(was, v, seen)
		if i < 0 {
			added = append(added, v)
			continue
		}
		same, err := sameData(was[i].Value, v)
		if err != nil {
			c.yield(Difference{}, err)
			return false
		}
		if !same && !c.yield(Difference{Kind: Changed, Path: path, Field: FieldValue, Name: v.Name(), A: a, B: b, ValueA: was[i].Value, ValueB: v}, nil) {
			return false
		}
	}
	for i, v := range was {
		if !seen[i] && !c.yield(Difference{Kind: Removed, Path: path, Field: FieldValue, Name: v.Name(), A: a, B: b, ValueA: v.Value}, nil) {
			return false
		}
	}
	for _, v := range added {
		if !c.yield(Difference{Kind: Added, Path: path, Field: FieldValue, Name: v.Name(), A: a, B: b, ValueB: v}, nil) {
			return false
		}
	}
	return true
}

// sameData compares the types and data of two values, and whether they are tombstones.
func sameData(a, b Value) (bool, error) {
	if a.Type() != b.Type() || a.Size() != b.Size() || a.Tombstone() != b.Tombstone() {
		return false, nil
	}
	dataA, err := a.Data()
	if err != nil && a.h.mode == Strict {
		return false, err
	}
	dataB, err := b.Data()
	if err != nil && b.h.mode == Strict {
		return false, err
	}
	return bytes.Equal(dataA, dataB), nil
}

func (c *comparer) subkeys(a, b Key, path string) bool {
	lists := make([][]Key, 2)
	for i, k := range []Key{a, b} {
		var err error
		if lists[i], err = k.sortedSubkeys(nil); err != nil {
			c.yield(Difference{}, err)
			return false
		}
	}
	var stack []Key
	for {
		stack = lowestNames(stack[:0], lists)
		if len(stack) == 0 {
			return true
		}
		last := stack[len(stack)-1]
		p := JoinPath(last.Name())
		if path != "" {
			p = path + `\` + p
		}
		d := Difference{Kind: Added, Path: p, Field: FieldKey, B: last}
		switch {
		case len(stack) == 2:
			if !c.keys(stack[0], stack[1], p) {
				return false
			}
			continue
		case last.w == a.w:
			d.Kind, d.A, d.B = Removed, last, Key{}
		}
		if !c.yield(d, nil) {
			return false
		}
	}
}
