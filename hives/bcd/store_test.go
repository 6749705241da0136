package bcd

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// Every element of every genuine store is decoded, and decoded elements are encoded as the
// same bytes, save for two liberties of their writers: the stores on installation media
// drop zero bytes at the end of integers, and some strings have two terminators.
func TestGenuineStores(t *testing.T) {
	elements := 0
	for _, name := range []string{
		"AndrewRathbun_DFIRArtifactMuseum/BCD-Template", "EricZimmerman_Registry/BCD", "buildpacks_imgutil/BCD",
		"mhkarimi1383_windeploy-linux/BCD", "mhkarimi1383_windeploy-linux/BCD-efi", "mkorman90_regipy/BCD",
	} {
		h, err := regf.Open(testenv.Corpus(t, "hives", name), &regf.Options{AllowDirty: true})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		s, err := Open(h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		objects := 0
		for o, err := range s.Objects() {
			if err != nil {
				// The hand-made store of imgutil has objects without a type.
				t.Logf("%s: %v", name, err)
				continue
			}
			objects++
			for e, err := range o.Elements() {
				if err != nil || e.Err != nil {
					t.Errorf("%s: %s: %08x: %v %v", name, Alias(o.ID), uint32(e.Type), err, e.Err)
					continue
				}
				elements++
				_, data, err := encodeValue(e.Value)
				stored := string(e.Value.Raw)
				switch e.Value.Format {
				case FormatInteger:
					stored += "\x00\x00\x00\x00\x00\x00\x00\x00"[len(stored):]
				case FormatString:
					stored = strings.TrimRight(stored, "\x00")
					data = bytes.TrimRight(data, "\x00")
				}
				if err != nil || string(data) != stored {
					t.Errorf("%s: %s %s: stored as %x, would be written as %x, %v", name, Alias(o.ID), ElementName(o.Type, e.Type), e.Value.Raw, data, err)
				}
				if v, err := o.Element(e.Type); err != nil || v.String() != e.Value.String() {
					t.Errorf("%s: Element(%08x) = %v, %v", name, uint32(e.Type), v, err)
				}
			}
		}
		t.Logf("%s: %d objects", name, objects)
		if id, err := s.Resolve("{default}"); err == nil {
			if _, err := s.Object(id); err != nil {
				t.Logf("%s: default: %v", name, err)
			}
		} else if !errors.Is(err, ErrNoElement) && !errors.Is(err, ErrNoObject) {
			t.Errorf("%s: default: %v", name, err)
		}
	}
	t.Logf("%d elements", elements)
	if elements < 200 {
		t.Errorf("only %d elements", elements)
	}
}

func TestEdit(t *testing.T) {
	h, s, err := New(&regf.Options{Clock: func() winfs.Filetime { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	id, _ := ParseAlias("{bootmgr}")
	loader, _ := winfs.ParseGUID("d65367c7-3fb7-11ec-8288-eab76d76405a")
	for _, err := range []error{
		s.Create(id, TypeBootManager), s.Create(loader, TypeLoader),
		s.Set(id, BootMgrDefaultObject, ObjectValue(loader)), s.Set(id, BootMgrTimeout, IntegerValue(5)),
		s.Set(loader, OSDevice, Value{Format: FormatDevice, Device: BootDevice()}),
		s.Set(loader, Description, TextValue("Windows")), s.Set(loader, Description, TextValue("Windows Server")),
		s.Delete(id, BootMgrTimeout),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(id, BootMgrTimeout); !errors.Is(err, ErrNoElement) {
		t.Errorf("%v", err)
	}
	if err := s.Create(id, TypeBootManager); !errors.Is(err, regf.ErrExists) {
		t.Errorf("%v", err)
	}
	if err := s.Set(loader, Description, BoolValue(true)); !errors.Is(err, ErrElementFormat) {
		t.Errorf("%v", err)
	}
	if err := s.Set(loader, CimFSParentDevice, Value{Format: FormatDevice}); !errors.Is(err, ErrDeviceEncoding) {
		t.Errorf("%v", err)
	}
	b, err := h.Compact(&regf.CompactOptions{Minor: 3})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := regf.OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	if s, err = Open(saved); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Resolve("{default}"); err != nil || got != loader {
		t.Errorf("%v, %v", got, err)
	}
	o, err := s.Object(loader)
	if err != nil || o.Type != TypeLoader {
		t.Fatalf("%v, %v", o, err)
	}
	if v, err := o.Element(Description); err != nil || v.Text != "Windows Server" {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := o.Element(OSDevice); err != nil || v.String() != "boot" {
		t.Errorf("%v, %v", v, err)
	}
}
