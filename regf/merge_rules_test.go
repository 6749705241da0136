package regf

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// kid and val make the trees of the tests below short.
func kid(name string, layer byte, with ...any) *model {
	m := &model{name: name, layer: layer}
	for _, w := range with {
		switch w := w.(type) {
		case modelValue:
			m.values = append(m.values, w)
		case *model:
			m.kids = append(m.kids, w)
		case string:
			m.class = w
		case byte:
			m.sd = w
		}
	}
	return m
}

func val(name, data string) modelValue { return modelValue{name, 1, data, false} }

func gone(name string) modelValue { return modelValue{name, 0, "", true} }

const (
	tomb  = byte(LayerTombstone)
	local = byte(LayerSupersedeLocal)
	tree  = byte(LayerSupersedeTree)
	ic    = byte(inheritClass)
)

// The rules of ORMergeHives, each with an input of its own (golden corpus, registry
// part; the numbers are those of its list).
func TestMergeRules(t *testing.T) {
	root := func(kids ...any) *model { return kid("ROOT", 0, kids...) }
	for name, c := range map[string]struct {
		layers []*model
		want   *model
	}{
		"1 a tombstone hides a key and all below": {
			[]*model{root(kid("a", 0, val("v", "1"), kid("b", 0)), kid("c", 0)), root(kid("A", tomb))},
			root(kid("c", 0)),
		},
		"1 a tombstone over nothing": {
			[]*model{root(), root(kid("a", tomb))},
			root(),
		},
		"1 keys below a tombstone do not exist": {
			[]*model{root(kid("a", 0)), root(kid("a", tomb, val("v", "1"), kid("b", 0)))},
			root(),
		},
		"1 deleted in the middle, made again on top": {
			[]*model{root(kid("a", 0, val("v", "1"), kid("b", 0))), root(kid("a", tomb)), root(kid("a", 0, val("w", "2")))},
			root(kid("a", 0, val("w", "2"))),
		},
		"1 supersede-tree": {
			[]*model{root(kid("a", 0, val("v", "1"), kid("b", 0), kid("c", 0, val("x", "1")))), root(kid("a", tree, kid("c", tree)))},
			root(kid("a", 0, kid("c", 0))),
		},
		"1 a merge node below supersede-tree hides what is below it": {
			[]*model{root(kid("a", 0, kid("c", 0, val("x", "1"), kid("d", 0)))), root(kid("a", tree, kid("c", 0)))},
			root(kid("a", 0, kid("c", 0))),
		},
		"1 below supersede-tree a node that inherits has its own class": {
			[]*model{root(kid("a", 0, kid("c", 0, "base"))), root(kid("a", tree, kid("c", ic, "own", kid("d", ic, "deep"))))},
			root(kid("a", 0, kid("c", 0, "own", kid("d", 0, "deep")))),
		},
		"1 below supersede-local it takes that of the base": {
			[]*model{root(kid("a", 0, kid("c", 0, "base"))), root(kid("a", local, kid("c", ic, "own")))},
			root(kid("a", 0, kid("c", 0, "base"))),
		},
		"1 a tombstone as root supersedes the tree": {
			[]*model{root(val("v", "1"), kid("a", 0)), kid("ROOT", tomb, val("w", "2"), kid("b", 0))},
			root(val("w", "2"), kid("b", 0)),
		},
		"1 supersede-tree as root": {
			[]*model{root(val("v", "1"), kid("a", 0)), kid("ROOT", tree, kid("b", tree))},
			root(kid("b", 0)),
		},
		"2 values of the top come first, each in its own order": {
			[]*model{root(val("a", "1"), val("b", "1"), val("c", "1")), root(val("d", "2"), val("B", "2")), root(val("e", "3"), val("c", "3"))},
			root(val("e", "3"), val("c", "3"), val("d", "2"), val("B", "2"), val("a", "1")),
		},
		"2 supersede-local hides the values below": {
			[]*model{root(kid("a", 0, val("v", "1"))), root(kid("a", local, val("w", "2"))), root(kid("a", 0, val("x", "3")))},
			root(kid("a", 0, val("x", "3"), val("w", "2"))),
		},
		"2 a tombstone hides the value below": {
			[]*model{root(val("a", "1"), val("b", "1")), root(gone("A"), gone("none"))},
			root(val("b", "1")),
		},
		"2 deleted in the middle, set again on top": {
			[]*model{root(val("a", "1"), val("b", "1")), root(gone("a")), root(val("a", "3"))},
			root(val("a", "3"), val("b", "1")),
		},
		"2 a tombstone with a type or data is none": {
			[]*model{root(val("a", "1"), val("b", "1")), root(modelValue{"a", 1, "", true}, modelValue{"b", 0, "long data", true})},
			root(val("a", "1"), val("b", "1")),
		},
		"2 such a tombstone makes way for a value beside it": {
			[]*model{root(val("a", "1")), root(modelValue{"a", 1, "", true}, val("a", "2"))},
			root(val("a", "2")),
		},
		"2 the first of one name in a node wins": {
			[]*model{root(kid("a", 0, val("v", "1"), val("V", "2")), val("w", "1")), root(val("w", "2"), val("w", "3"), gone("x"), val("x", "4"), val("y", "5"), gone("y"))},
			root(val("w", "2"), val("y", "5"), kid("a", 0, val("v", "1"))),
		},
		"3 supersede-local gives the names, all layers what is below them": {
			[]*model{root(kid("a", 0, kid("b", 0, val("v", "1"), kid("c", 0)), kid("d", 0))), root(kid("a", local, kid("b", 0, val("w", "2"))))},
			root(kid("a", 0, kid("b", 0, val("w", "2"), val("v", "1"), kid("c", 0)))),
		},
		"3 a name from above it unites with the base": {
			[]*model{root(kid("a", 0, kid("b", 0, val("v", "1")))), root(kid("a", local)), root(kid("a", 0, kid("b", 0, val("w", "3"))))},
			root(kid("a", 0, kid("b", 0, val("w", "3"), val("v", "1")))),
		},
		"4 the class of the topmost that does not inherit": {
			[]*model{root(kid("a", 0, "base"), kid("b", 0, "base"), kid("c", 0, "base")), root(kid("a", ic, "x"), kid("b", 0, "mid"), kid("c", 0)), root(kid("a", ic), kid("b", ic), kid("c", ic, "y"))},
			root(kid("a", 0, "base"), kid("b", 0, "mid"), kid("c", 0)),
		},
		"4 a node that supersedes has its own class": {
			[]*model{root(kid("a", 0, "base"), kid("b", 0, "base")), root(kid("a", local|ic, "own"), kid("b", tree|ic, "own"))},
			root(kid("a", 0, "own"), kid("b", 0, "own")),
		},
		"4 none left": {
			[]*model{root(), root(kid("a", ic, "x"))},
			root(kid("a", 0)),
		},
		"4 the bit counts in a base too": {
			[]*model{root(kid("a", ic, "x")), root(kid("b", 0))},
			root(kid("a", 0), kid("b", 0)),
		},
		"4 the root has none": {
			[]*model{root("base"), root("delta")},
			root(),
		},
		"5 the descriptor of the lowest": {
			[]*model{root(byte(1), kid("a", 0, byte(1))), root(byte(2), kid("a", 0, byte(2))), root(byte(3), kid("a", 0, byte(3)), kid("b", 0, byte(3)))},
			root(byte(1), kid("a", 0, byte(1)), kid("b", 0, byte(3))),
		},
		"5 of those whose values show": {
			[]*model{root(kid("a", 0, byte(1)), kid("b", 0, byte(1))), root(kid("a", local, byte(2)), kid("b", tree, byte(2))), root(kid("a", 0, byte(3)), kid("b", 0, byte(3)))},
			root(kid("a", 0, byte(2)), kid("b", 0, byte(2))),
		},
	} {
		t.Run(name, func(t *testing.T) {
			hives := []*Hive{c.layers[0].open(t, 5, false)}
			for _, m := range c.layers[1:] {
				hives = append(hives, m.open(t, 6, true))
			}
			h := mergedBoth(t, nil, hives...)
			c.want.sortKids()
			if got := modelOf(t, h).String(); got != c.want.String() {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			sound(t, h)
		})
	}
}

// Layer semantics go by the base block alone, at any version from 3 on.
func TestMergeGoesByTheBaseBlock(t *testing.T) {
	base := kid("ROOT", 0, val("v", "1"), kid("a", 0, "base"))
	delta := kid("ROOT", 0, gone("v"), kid("a", tomb), kid("b", ic, "x"))
	for minor := 3; minor <= 6; minor++ {
		if got := modelOf(t, mergedBoth(t, nil, base.open(t, 5, false), delta.open(t, minor, true))).String(); got != kid("ROOT", 0, kid("b", 0)).String() {
			t.Errorf("1.%d with the flag:\n%s", minor, got)
		}
		// Without it the delta is an ordinary hive, whose tombstone is a value without data.
		want := kid("ROOT", 0, modelValue{"v", 0, "", false}, kid("a", 0), kid("b", 0))
		if got := modelOf(t, mergedBoth(t, nil, base.open(t, minor, false), delta.open(t, minor, false))).String(); got != want.String() {
			t.Errorf("1.%d without the flag:\n%s", minor, got)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	base, delta := kid("ROOT", 0), kid("ROOT", 0)
	b, d := base.open(t, 5, false), delta.open(t, 6, true)
	for name, layers := range map[string][]*Hive{
		"no hive":                    nil,
		"one hive":                   {b},
		"a hive twice":               {b, d, d},
		"the base twice":             {b, b},
		"a delta as base":            {d, b},
		"a delta of 1.5 as base":     {delta.open(t, 5, true), b},
		"a hive between that is nil": {b, nil, d},
	} {
		_, err := Merge(t.Context(), layers, nil)
		if want := map[bool]error{true: ErrClosed, false: ErrInvalid}[strings.HasSuffix(name, "nil")]; !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two hives of one file are two hives.
	if _, err := Merge(t.Context(), []*Hive{b, base.open(t, 5, false)}, nil); err != nil {
		t.Error(err)
	}
}

// Rule 7: which bits of a node stay, and rule 8: the base block.
func TestMergeBits(t *testing.T) {
	set := func(flags uint16, virtual, layer byte) func(nk []byte) {
		return func(nk []byte) {
			binary.LittleEndian.PutUint16(nk[2:], binary.LittleEndian.Uint16(nk[2:])|flags)
			nk[12], nk[13], nk[14], nk[15] = 3, nk[13]|layer, 7, 8
			nk[0x36], nk[0x37] = virtual, 9
			binary.LittleEndian.PutUint32(nk[0x44:], 10)
		}
	}
	base := kid("Base", 0, kid("a", 0), kid("b", 0))
	base.patch = set(0xFFFF&^0x40, 0xFF, 0x7C)
	base.kids[0].patch = set(0xFFFF&^0x60, 0xFF, 0x7C)
	base.kids[1].patch = set(0, 0, 0)
	delta := kid("Delta", 0, kid("B", 0))
	delta.patch = base.patch
	delta.kids[0].patch = set(0xFFFF&^0x60, 0xFF, 0x7C)
	h := mergedBoth(t, &MergeOptions{Now: 5}, base.open(t, 5, false), delta.open(t, 6, true))
	for path, want := range map[string]struct {
		name  string
		flags KeyFlags
		bits  [4]byte // access, layer, virtualisation, debug
		spare uint16
		work  uint32
	}{
		"":  {"ROOT", KeyCompressed, [4]byte{}, 0, 0},
		"a": {"a", 0xFC31, [4]byte{0, 0x7C, 0x1F, 9}, 0x0807, 10},
		"b": {"B", 0xFC31, [4]byte{0, 0x7C, 0x1F, 9}, 0x0807, 10},
	} {
		k, err := h.Key(path)
		if err != nil {
			t.Fatal(err)
		}
		bits := [4]byte{k.AccessBits(), k.LayerByte(), k.field8(nkVirtual), k.DebugBits()}
		if k.Name() != want.name || k.Flags() != want.flags || bits != want.bits || k.field16(nkLayer+1) != want.spare || k.field32(nkWorkVar) != want.work {
			t.Errorf("%q: %q %#x %x %#x %d", path, k.Name(), k.Flags(), bits, k.field16(nkLayer+1), k.field32(nkWorkVar))
		}
	}
	hdr := h.Header()
	if hdr.Minor != 5 || hdr.Flags != 0 || hdr.FileName != "" || hdr.LastWritten != 0 || !hdr.OfRg || hdr.Serialized != 5 || hdr.Primary != 1 || hdr.Dirty() {
		t.Errorf("%+v", hdr)
	}
}

// A name in UTF-16 that fits into Latin-1 is written so.
func TestMergeCompressesNames(t *testing.T) {
	base := kid("ROOT", 0, kid("ab", 0))
	wide := func(nk []byte) { // the two bytes of the name are one unit: U+00E9
		nk[2] &^= 0x20
		nk[76], nk[77] = 0xE9, 0
	}
	base.kids[0].patch = wide
	h := mergedBoth(t, nil, base.open(t, 5, false), kid("ROOT", 0).open(t, 6, true))
	if k, err := h.Key("é"); err != nil || k.Flags()&KeyCompressed == 0 {
		t.Errorf("%v, flags %#x", err, k.Flags())
	}
}

// A symbolic link keeps its values only if they are a sound target.
func TestMergeSymbolicLinks(t *testing.T) {
	link := func(nk []byte) { nk[2] |= 0x10 }
	target := modelValue{linkValue, 6, "\\\x00a\x00b\x00", false}
	short, odd, typed, spelled := target, target, target, target
	short.data, odd.data, typed.typ, spelled.name = "\\\x00a\x00", target.data+"x", 1, "symboliclinkvalue"
	for name, c := range map[string]struct {
		values, want []modelValue
	}{
		"sound":          {[]modelValue{target}, []modelValue{target}},
		"none":           {nil, nil},
		"two values":     {[]modelValue{target, val("v", "1")}, nil},
		"other value":    {[]modelValue{val("v", "1")}, nil},
		"two units":      {[]modelValue{short}, nil},
		"odd size":       {[]modelValue{odd}, nil},
		"another type":   {[]modelValue{typed}, nil},
		"other spelling": {[]modelValue{spelled}, nil},
	} {
		a := kid("a", 0)
		a.values, a.patch = c.values, link
		for where, layers := range map[string][]*model{
			"base":  {kid("ROOT", 0, a), kid("ROOT", 0)},
			"delta": {kid("ROOT", 0), kid("ROOT", 0, a)},
		} {
			for _, opt := range []*MergeOptions{nil, {Stepwise: true}} {
				h := mergedBoth(t, opt, layers[0].open(t, 5, false), layers[1].open(t, 6, true), kid("ROOT", 0).open(t, 6, true))
				want := kid("ROOT", 0, kid("a", 0))
				want.kids[0].values = c.want
				if got := modelOf(t, h).String(); got != want.String() {
					t.Errorf("%s in the %s:\n%s", name, where, got)
				}
				if k, err := h.Key("a"); err != nil || !k.Symlink() {
					t.Errorf("%s: no link any more, %v", name, err)
				}
			}
		}
	}
	// One above a sound link.
	base, top := kid("a", 0, target), kid("a", ic, val("v", "1"))
	base.patch = link
	for _, opt := range []*MergeOptions{nil, {Stepwise: true}} {
		h := mergedBoth(t, opt, kid("ROOT", 0, base).open(t, 5, false), kid("ROOT", 0, top).open(t, 6, true))
		if got := modelOf(t, h).String(); got != kid("ROOT", 0, kid("a", 0, val("v", "1"), target)).String() {
			t.Errorf("over a link:\n%s", got)
		}
	}
	// Values that a link of an upper layer adds to those below remain in the result of one
	// merge, and are lost if that result is opened for the next.
	a := kid("a", 0, target)
	a.patch = link
	layers := []*Hive{kid("ROOT", 0, kid("a", 0, val("v", "1"))).open(t, 5, false), kid("ROOT", 0, a).open(t, 6, true), kid("ROOT", 0, kid("a", 0, val("w", "2"))).open(t, 6, true)}
	step := mergedBoth(t, nil, mergedBoth(t, nil, layers[:2]...), layers[2])
	for name, h := range map[string]*Hive{"one after the other": step, "step by step": mergedBoth(t, &MergeOptions{Stepwise: true}, layers...)} {
		if got := modelOf(t, h).String(); got != kid("ROOT", 0, kid("a", 0, val("w", "2"))).String() {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	if got := modelOf(t, mergedBoth(t, nil, layers...)).String(); got != kid("ROOT", 0, kid("a", 0, val("w", "2"), target, val("v", "1"))).String() {
		t.Errorf("at once:\n%s", got)
	}
}
