package bcd

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// The bytes are those of genuine stores.
func TestDevices(t *testing.T) {
	for _, c := range []struct{ text, stored string }{
		{"boot", "0000000000000000000000000000000005000000000000004800000000000000" + strings.Repeat("00", 56)},
		{"locate=custom:12000002", "00000000000000000000000000000000080000000000000" + "01e0000000000000000000000020000120000" + "00000000"},
		{"gpt_partition={20ac3077-f7cd-4c47-95d5-53fbf8b752b5};{85c434af-7860-49b3-85c3-b70316081b7b}",
			"00000000000000000000000000000000060000000000000048000000" + "00000000" +
				"af34c4856078b34985c3b70316081b7b" + "0000000000000000" + "7730ac20cdf7474c95d553fbf8b752b5" + strings.Repeat("00", 16)},
	} {
		d, err := ParseDevice(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(d.Raw); got != c.stored {
			t.Errorf("%s is stored as\n%s, want\n%s", c.text, got, c.stored)
		}
		back, err := decodeDevice(testenv.Hex(t, c.stored))
		if err != nil || !reflect.DeepEqual(back, d) || back.String() != c.text {
			t.Errorf("%s reads as %v, %v", c.text, back, err)
		}
	}
	for _, s := range []string{"", "boot=", "vmbus={c63c9bdf-5fa5-4208-b03f-6b458b365592}", "composite=0,{e1787220-d17f-49e7-977a-d8fe4c8537e2}", "locate=", "partition=C:"} {
		if _, err := ParseDevice(s); !errors.Is(err, ErrDeviceEncoding) {
			t.Errorf("ParseDevice(%q): %v", s, err)
		}
	}
	for n := range deviceMinimum {
		if _, err := decodeDevice(make([]byte, n)); err == nil {
			t.Errorf("a device of %d bytes was read", n)
		}
	}
}

func TestValues(t *testing.T) {
	g := func(s string) winfs.GUID {
		v, err := winfs.ParseGUID(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	bootmgr := g("9dea862c-5cdd-4e70-acc1-f32b344d4795")
	other := g("d65367c7-3fb7-11ec-8288-eab76d76405a")
	for _, c := range []struct {
		t    ElementType
		typ  uint32
		v    Value
		text string
		data string
	}{
		{Description, regSZ, TextValue("a"), "a", "61000000"},
		{RestartOnFailure, regBinary, BoolValue(true), "Yes", "01"},
		{RestartOnFailure, regBinary, BoolValue(false), "No", "00"},
		{BootMgrTimeout, regBinary, IntegerValue(30), "30", "1e00000000000000"},
		{BootMgrDefaultObject, regSZ, ObjectValue(bootmgr), "{bootmgr}", hex.EncodeToString(append(winfs.AppendUTF16LE(nil, "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"), 0, 0))},
		{Inherit, regMultiSZ, ObjectListValue(bootmgr, other), "{bootmgr} {d65367c7-3fb7-11ec-8288-eab76d76405a}",
			hex.EncodeToString(append(winfs.AppendUTF16LE(nil, "{9dea862c-5cdd-4e70-acc1-f32b344d4795}\x00{d65367c7-3fb7-11ec-8288-eab76d76405a}\x00"), 0, 0))},
		{0x17000077, regBinary, Value{Format: FormatIntegerList, Integers: []uint64{1, 0x15000013}}, "1 352321555", "0100000000000000" + "1300001500000000"},
	} {
		typ, data, err := encodeValue(c.v)
		if err != nil || typ != c.typ || hex.EncodeToString(data) != c.data {
			t.Errorf("%v is stored as type %d, %x, %v; want %d, %s", c.v, typ, data, err, c.typ, c.data)
		}
		back, err := decodeValue(c.t, typ, data)
		back.Raw = nil
		if err != nil || !reflect.DeepEqual(back, c.v) || back.String() != c.text {
			t.Errorf("%x reads as %+v (%s), %v; want %+v (%s)", data, back, back, err, c.v, c.text)
		}
		parsed, err := ParseValue(c.t.Format(), c.text)
		if err != nil || !reflect.DeepEqual(parsed, c.v) {
			t.Errorf("ParseValue(%q) = %+v, %v", c.text, parsed, err)
		}
	}
	// A value of the wrong registry type or length is refused, not guessed at.
	for _, c := range []struct {
		t    ElementType
		typ  uint32
		data string
	}{
		{Description, regBinary, "6100"}, {Description, regSZ, "610000"}, {RestartOnFailure, regBinary, ""},
		{BootMgrTimeout, regSZ, "00"}, {BootMgrTimeout, regBinary, "000000000000000000"}, {Inherit, regSZ, ""},
		{BootMgrDefaultObject, regSZ, "61000000"}, {OSDevice, regBinary, "00"},
	} {
		if v, err := decodeValue(c.t, c.typ, testenv.Hex(t, c.data)); !errors.Is(err, ErrBadElement) {
			t.Errorf("element %08x of type %d, %s reads as %v, %v", uint32(c.t), c.typ, c.data, v, err)
		}
	}
}

func TestElementNames(t *testing.T) {
	for _, o := range []ObjectType{TypeBootManager, TypeLoader, TypeResume, TypeMemoryTester, TypeDevice, TypeInherit} {
		for _, names := range namesFor(o) {
			for e, name := range names {
				if got := ElementName(o, e); got != name {
					t.Errorf("%v: element %08x is %q, want %q", o, uint32(e), got, name)
				}
				if back, err := ElementByName(o, name); err != nil || ElementName(o, back) != name {
					t.Errorf("%v: %q is element %08x, %v", o, name, uint32(back), err)
				}
			}
		}
	}
	if got := ElementName(TypeBootManager, 0x22000002); got != "custom:22000002" {
		t.Errorf("got %q", got)
	}
	if e, err := ElementByName(TypeLoader, "custom:0x22000002"); err != nil || e != SystemRoot {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := ElementByName(TypeLoader, "nonsense"); !errors.Is(err, ErrUnknownElement) {
		t.Errorf("%v", err)
	}
}

// The code of every name has a class and a format that exist.
func TestElementTables(t *testing.T) {
	for _, object := range []ObjectType{TypeBootManager, TypeLoader, TypeResume, TypeMemoryTester} {
		for _, names := range namesFor(object) {
			for code, name := range names {
				if code.Class() < ClassLibrary || code.Class() > ClassDevice || code.Format() < FormatDevice || code.Format() > FormatIntegerList {
					t.Errorf("%q has the code %08x", name, uint32(code))
				}
			}
		}
	}
	for name, want := range map[string]ElementType{
		"HypervisorIommuPolicy": 0x25000115, "x2apicpolicy": 0x25000055, "vsmlaunchtype": 0x25000142, "xsavedisable": 0x2500012b,
		"tpmbootentropy": 0x25000100, "hypervisorloadoptions": 0x22000117,
	} {
		if got, err := ElementByName(TypeLoader, name); err != nil || got != want {
			t.Errorf("%s: %08x %v", name, uint32(got), err)
		}
	}
}
