package winfs

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// The vector of docs/spec/layers.md, "Vectors".
const eaVector = `10000000 | 00 03 0300 | 666f6f 00 | 626172 00
	00000000 | 00 04 0400 | 66697a7a 00 | 62757a7a | 000000`

func TestEAVector(t *testing.T) {
	raw := testenv.Hex(t, strings.ReplaceAll(eaVector, "\t", ""))
	list := []EA{{Name: "foo", Value: []byte("bar")}, {Name: "fizz", Value: []byte("buzz")}}
	got, err := EncodeEAs(list)
	if err != nil || !bytes.Equal(got, raw) {
		t.Fatalf("encoded % x, %v", got, err)
	}
	back, err := DecodeEAs(raw)
	if err != nil || !reflect.DeepEqual(back, list) {
		t.Fatalf("decoded %v, %v", back, err)
	}
	if back, err = DecodeEAs(raw[:len(raw)-3]); err != nil || !reflect.DeepEqual(back, list) {
		t.Fatalf("without last padding: %v, %v", back, err)
	}
	for n := 1; n < len(raw)-3; n++ {
		if back, err := DecodeEAs(raw[:n]); !errors.Is(err, ErrBadEA) {
			t.Errorf("cut to %d bytes: %v, %v", n, back, err)
		}
	}
	if b, err := EncodeEAs(nil); b != nil || err != nil {
		t.Errorf("EncodeEAs(nil) = %v, %v", b, err)
	}
	if l, err := DecodeEAs(nil); l != nil || err != nil {
		t.Errorf("DecodeEAs(nil) = %v, %v", l, err)
	}
	if n := PackedEASize(list); n != 5+6+5+8 {
		t.Errorf("packed size %d", n)
	}
}

func TestEADamage(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"next inside record":  func(b []byte) []byte { b[0] = 8; return b },
		"next not aligned":    func(b []byte) []byte { b[0] = 0x11; return b },
		"next past end":       func(b []byte) []byte { b[3] = 0x7f; return b },
		"next negative":       func(b []byte) []byte { copy(b, "\xff\xff\xff\xff"); return b },
		"gap":                 func(b []byte) []byte { b[0] = 0x14; return append(b[:16], append(make([]byte, 4), b[16:]...)...) },
		"stops early":         func(b []byte) []byte { b[0] = 0; return b },
		"no next":             func(b []byte) []byte { return b[:16] },
		"empty name":          func(b []byte) []byte { b[5] = 0; return b },
		"no NUL":              func(b []byte) []byte { b[11] = 'x'; return b },
		"NUL in name":         func(b []byte) []byte { b[9] = 0; return b },
		"value past end":      func(b []byte) []byte { b[23] = 0xff; return b },
		"data after the last": func(b []byte) []byte { return append(b, 0, 0, 0, 0) },
	} {
		raw := damage(testenv.Hex(t, strings.ReplaceAll(eaVector, "\t", "")))
		var fe *FormatError
		if l, err := DecodeEAs(raw); !errors.Is(err, ErrBadEA) || !errors.As(err, &fe) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

func TestEALimits(t *testing.T) {
	long := strings.Repeat("n", 255)
	list := []EA{{Name: long, Flags: EANeed, Value: make([]byte, 65535)}, {Name: "E"}}
	b, err := EncodeEAs(list)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeEAs(b)
	if err != nil || len(back) != 2 || back[0].Name != long || back[0].Flags != EANeed ||
		len(back[0].Value) != 65535 || len(back[1].Value) != 0 {
		t.Fatalf("largest record does not round-trip: %v", err)
	}
	for _, c := range []struct {
		ea  EA
		err error
	}{
		{EA{Name: long + "n"}, ErrEATooLarge},
		{EA{Name: "n", Value: make([]byte, 65536)}, ErrEATooLarge},
		{EA{Name: ""}, ErrEAName},
		{EA{Name: "a\x00b"}, ErrEAName},
	} {
		if _, err := EncodeEAs([]EA{c.ea}); !errors.Is(err, c.err) {
			t.Errorf("%.10q: %v, want %v", c.ea.Name, err, c.err)
		}
	}
}

func TestSortEAs(t *testing.T) {
	list := []EA{{Name: "b"}, {Name: "A", Flags: 1}, {Name: "a", Flags: 2}, {Name: "_"}, {Name: "\xe4"}, {Name: "$K"}}
	SortEAs(list)
	var got []string
	for _, ea := range list {
		got = append(got, ea.Name)
	}
	if want := []string{"$K", "A", "a", "b", "_", "\xe4"}; !reflect.DeepEqual(got, want) || list[1].Flags != 1 {
		t.Errorf("order %q", got)
	}
}
