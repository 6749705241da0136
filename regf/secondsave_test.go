package regf

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// What a compacting save makes of a damaged hive is a sound hive, and saving that
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
		if _, err := Merge([]*Hive{r}, nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%v: Merge: %v", mode, err)
		}
	}
}
