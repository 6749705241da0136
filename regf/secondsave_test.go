package regf

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// The result of a compacting save of a damaged hive is a sound hive, and saving that
// changes nothing.
func TestSecondSave(t *testing.T) {
	made := func() (b []byte, key func(path string) []byte) {
		h := New(&Options{Clock: func() winfs.Filetime { return 1 }})
		for i, p := range []string{"a", "b", "c"} {
			k, err := h.CreatePath(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.SetSecurity([]byte(testDescriptors[i])); err != nil {
				t.Fatal(err)
			}
			if err := k.SetValue("v", RegBinary, []byte("some data")); err != nil {
				t.Fatal(err)
			}
		}
		b, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := OpenBytes(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b, func(path string) []byte {
			k, err := r.Key(path)
			if err != nil {
				t.Fatal(err)
			}
			return b[baseSize+k.off+4:]
		}
	}
	cell := func(b []byte, off uint32) []byte { return b[baseSize+off+4:] }
	for _, tc := range []struct {
		name   string
		damage func(b []byte, key func(string) []byte)
	}{
		{"a key without descriptor, and a descriptor without key", func(_ []byte, key func(string) []byte) {
			put32(key("b")[nkSecurity:], nilCell)
		}},
		{"the root's descriptor is missing", func(_ []byte, key func(string) []byte) {
			put32(key("")[nkSecurity:], nilCell)
		}},
		{"the root's descriptor is too long for its cell", func(b []byte, key func(string) []byte) {
			put32(cell(b, u32(key("")[nkSecurity:]))[skLen:], 1<<20)
		}},
		{"no descriptor can be read", func(_ []byte, key func(string) []byte) {
			for _, k := range []string{"", "a", "b", "c"} {
				put32(key(k)[nkSecurity:], 0x28)
			}
		}},
		{"the ring bites its tail", func(b []byte, key func(string) []byte) {
			put32(cell(b, u32(key("c")[nkSecurity:]))[skFlink:], u32(key("b")[nkSecurity:]))
		}},
		{"dirty, of a created hive", func(b []byte, _ func(string) []byte) {
			put32(b[hdrSecondary:], 7)
		}},
		{"two keys of one name", func(_ []byte, key func(string) []byte) {
			copy(key("b")[nkNameAt:], "a")
		}},
		{"keys out of order", func(_ []byte, key func(string) []byte) {
			copy(key("b")[nkNameAt:], "z")
		}},
		{"a list that lies", func(_ []byte, key func(string) []byte) {
			put32(key("")[nkSubkeys:], 9)
		}},
		{"a key that lists itself", func(b []byte, key func(string) []byte) {
			put32(cell(b, u32(key("")[nkList:]))[4:], binHeader)
		}},
		{"values that share a cell", func(_ []byte, key func(string) []byte) {
			put32(key("b")[nkValueList:], u32(key("a")[nkValueList:]))
		}},
		{"data longer than its cell", func(b []byte, key func(string) []byte) {
			put32(cell(b, u32(cell(b, u32(key("a")[nkValueList:]))))[vkDataSize:], 20000)
		}},
		{"data of a size that no field holds", func(b []byte, key func(string) []byte) {
			put32(cell(b, u32(cell(b, u32(key("a")[nkValueList:]))))[vkDataSize:], 77|inlineBit)
		}},
		{"a class that is too long", func(_ []byte, key func(string) []byte) {
			put32(key("a")[nkClass:], u32(key("a")[nkValueList:]))
			put16(key("a")[nkClassLen:], 999)
		}},
		{"a name that is too long", func(_ []byte, key func(string) []byte) {
			put16(key("a")[nkNameLen:], 999)
		}},
	} {
		b, key := made()
		tc.damage(b, key)
		put32(b[hdrChecksum:], HeaderChecksum(b))
		exercise(t, b, tc.name)
	}
}

// Cells inside each other must not make a large hive of a small one.
func TestNestedCellsDoNotMultiply(t *testing.T) {
	h := New(&Options{Clock: func() winfs.Filetime { return 1 }})
	big := bytes.Repeat([]byte{0xF0, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, 2000) // cells of 16 bytes
	k := h.Root()
	if err := k.SetValue("room", RegBinary, big); err != nil {
		t.Fatal(err)
	}
	room, err := k.Value("room")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := h.vk(room.off)
	if err != nil {
		t.Fatal(err)
	}
	first := u32(c[vkData:])
	for i := range 1500 {
		if err := k.SetValue(string(rune(0x4E00+i)), RegBinary, []byte("12345")); err != nil {
			t.Fatal(err)
		}
	}
	data := first
	for v, err := range k.Values() {
		if err != nil {
			t.Fatal(err)
		}
		if v.off == room.off {
			continue
		}
		data += 8
		left := (uint32(len(big)) - (data - first)) &^ 7
		put32(h.bins[data:], -left) // a cell that reaches to the end of the room
		c, _, err := h.vk(v.off)
		if err != nil {
			t.Fatal(err)
		}
		put32(c[vkData:], data)
		put32(c[vkDataSize:], left-4)
	}
	img, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{Strict, Report} {
		r, err := OpenBytes(img, &Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Compact(nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%v: Compact: %v", mode, err)
		}
		if _, err := Merge(t.Context(), []*Hive{r, New(nil)}, nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%v: Merge: %v", mode, err)
		}
	}
}

// Of values with one name in a damaged layer the first counts, with any layers over or
// under it.
func TestMergeOfDuplicateValues(t *testing.T) {
	// layer makes a hive whose root has these values, in this order. All names have
	// one character; a name in upper case becomes that in lower case afterwards, and
	// data "-" makes a tombstone.
	layer := func(minor int, values ...string) *Hive {
		h := New(&Options{Clock: func() winfs.Filetime { return 1 }})
		if minor == 6 {
			if err := h.SetLayered(true); err != nil {
				t.Fatal(err)
			}
		}
		for i, v := range values {
			var err error
			if v[1:] == "-" {
				err = h.Root().SetValueTombstone(string(rune('0' + i)))
			} else {
				err = h.Root().SetValue(string(rune('0'+i)), RegBinary, []byte(v[1:]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		i := 0
		for v := range h.Root().Values() {
			_, name, err := h.vk(v.off)
			if err != nil {
				t.Fatal(err)
			}
			name[0] = values[i][0]
			i++
		}
		return h
	}
	show := func(h *Hive) string {
		s := ""
		for v, err := range h.Root().Values() {
			if err != nil {
				t.Fatal(err)
			}
			data, err := v.Data()
			if err != nil {
				t.Fatal(err)
			}
			s += v.Name() + string(data) + " "
		}
		return s
	}
	long := []string{"d1", "e1", "f1", "g1", "h1", "i1", "j1", "k1", "l1"}
	for _, tc := range []struct {
		name  string
		lower []string
		upper []string
		want  string
	}{
		{"in the lower layer", []string{"a1", "b1", "a2"}, []string{"c3"}, "c3 a1 b1 "},
		{"in the lower layer, replaced", []string{"a1", "b1", "a2"}, []string{"a3"}, "a3 b1 "},
		{"in the lower layer, deleted", []string{"a1", "b1", "a2"}, []string{"a-"}, "b1 "},
		{"in the upper layer", []string{"a1", "b1"}, []string{"b3", "b4", "c5", "c6"}, "b3 c5 a1 "},
		{"deleted, then set", []string{"a1", "b1"}, []string{"a-", "a2"}, "b1 "},
		{"set, then deleted", []string{"a1", "b1"}, []string{"a2", "a-"}, "a2 b1 "},
		{"many in the lower layer", append([]string{"a1", "A2"}, long...), []string{"a-"}, "d1 e1 f1 g1 h1 i1 j1 k1 l1 "},
		{"many in the upper layer", []string{"a1"}, append([]string{"A2", "a3"}, long...), "A2 d1 e1 f1 g1 h1 i1 j1 k1 l1 "},
	} {
		h, err := Merge(t.Context(), []*Hive{layer(5, tc.lower...), layer(6, tc.upper...)}, nil)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got := show(h); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	alone, err := Merge(t.Context(), []*Hive{New(nil), layer(6, "a-", "a1", "b1")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := show(alone); got != "b1 " {
		t.Errorf("a layer alone: %s", got)
	}

	// A difference between damaged hives leads from one to the other, as far as a merged
	// hive has the values of one name.
	for _, tc := range [][2][]string{
		{{"a1", "b1", "a2"}, {"a1", "b1"}},
		{{"a1", "b1", "a2"}, {"b1"}},
		{{"a1", "b1"}, {"a1", "b1", "a2"}},
		{append([]string{"a1", "A2"}, long...), long},
	} {
		was, is := layer(5, tc[0]...), layer(5, tc[1]...)
		d, err := Diff(was, is, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := Merge(t.Context(), []*Hive{was, d}, nil)
		if err != nil {
			t.Fatal(err)
		}
		once, err := Merge(t.Context(), []*Hive{is, New(nil)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if show(h) != show(once) {
			t.Errorf("%v to %v: %s", tc[0], tc[1], show(h))
		}
		for x, err := range Compare(is, is, CompareOptions{}) {
			t.Errorf("a hive with duplicates differs from itself: %v %q, %v", x.Kind, x.Name, err)
		}
	}
}

func TestSaveLeavesOutWhatIsTooDeep(t *testing.T) {
	h := New(&Options{Clock: func() winfs.Filetime { return 1 }})
	chain := func(name string) (top, last Key) {
		for k := h.Root(); ; last = k {
			next, _, err := k.Create(name)
			if errors.Is(err, ErrInvalid) {
				return top, last
			}
			if err != nil {
				t.Fatal(err)
			}
			if k.IsRoot() {
				top = next
			}
			k = next
		}
	}
	_, last := chain("a")
	top, _ := chain("b")
	// The list below b is hung below the last a.
	from, err := top.node()
	if err != nil {
		t.Fatal(err)
	}
	to, err := last.node()
	if err != nil {
		t.Fatal(err)
	}
	put32(to[nkList:], u32(from[nkList:]))
	put32(to[nkSubkeys:], 1)
	put32(from[nkList:], nilCell)
	put32(from[nkSubkeys:], 0)
	img, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	exercise(t, img, "too deep")
	strict, err := OpenBytes(img, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strict.Compact(nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("strict: %v", err)
	}
	r, err := OpenBytes(img, &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := r.Repair(t.Context(), &RepairOptions{AllowLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	deepest := 0
	for k, err := range fixed.Hive.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		deepest = max(deepest, k.Level())
	}
	if deepest != MaxDepth {
		t.Errorf("%d levels, want %d", deepest, MaxDepth)
	}
	if m, err := Merge(t.Context(), []*Hive{r, New(nil)}, nil); err != nil {
		t.Errorf("merge: %v", err)
	} else if f := serious(checked(m)); len(f) > 0 {
		t.Errorf("merge: %v", f)
	}
}

func TestSaveKeepsLayers(t *testing.T) {
	h := New(nil)
	if err := h.SetLayered(true); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Compact(&CompactOptions{Minor: 5}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a layered hive saved without layers: %v", err)
	}
	if _, err := h.Compact(nil); err != nil {
		t.Error(err)
	}
}

func TestRepairOfClusteringFactor(t *testing.T) {
	b := small(t, 5)
	put32(b[hdrCluster:], 2)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Repair(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}
