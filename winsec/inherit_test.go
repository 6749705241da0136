package winsec

import (
	"bytes"
	"testing"
)

func sddlBytes(t *testing.T, text string, l Layout) []byte {
	t.Helper()
	d, err := ParseSDDL(text)
	if err != nil {
		t.Fatal(err)
	}
	d.SetLayout(l)
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Inherited descriptors, worked out by hand from MS-DTYP 2.5.3.4.
func TestInherit(t *testing.T) {
	const og = "O:BAG:SY"
	for _, c := range []struct{ name, parent, creator, want string }{
		{"all inheritable: the same", og + "D:(A;CI;KA;;;SY)(A;CI;KR;;;WD)", "", og + "D:(A;CI;KA;;;SY)(A;CI;KR;;;WD)"},
		{"not for containers", og + "D:(A;CI;KA;;;SY)(A;;KR;;;WD)", "", og + "D:(A;CI;KA;;;SY)"},
		{"no further", og + "D:(A;CINP;KA;;;SY)", "", og + "D:(A;;KA;;;SY)"},
		{"only below becomes effective", og + "D:(A;CIIO;KA;;;SY)", "", og + "D:(A;CI;KA;;;SY)"},
		{"for objects further down", og + "D:(A;OI;KA;;;SY)(A;CI;KR;;;WD)", "", og + "D:(A;OIIO;KA;;;SY)(A;CI;KR;;;WD)"},
		{"objects only here", og + "D:(A;OINP;KA;;;SY)(A;CI;KR;;;WD)", "", og + "D:(A;CI;KR;;;WD)"},
		{"generic rights", og + "D:(A;CI;GA;;;SY)(A;CI;GR;;;WD)", "",
			og + "D:(A;;KA;;;SY)(A;CIIO;GA;;;SY)(A;;KR;;;WD)(A;CIIO;GR;;;WD)"},
		{"generic rights, no further", og + "D:(A;CINP;GW;;;SY)", "", og + "D:(A;;KW;;;SY)"},
		{"creators", og + "D:(A;CIIO;KA;;;CO)(A;CIIO;KR;;;CG)", "",
			og + "D:(A;;KA;;;BA)(A;CIIO;KA;;;CO)(A;;KR;;;SY)(A;CIIO;KR;;;CG)"},
		{"marks go", og + "D:PAI(A;CIID;KA;;;SY)", "", og + "D:(A;CI;KA;;;SY)"},
		{"nothing to inherit: as the parent", og + "D:(A;;KA;;;SY)", "", og + "D:(A;;KA;;;SY)"},
		{"audits", og + "D:(A;CI;KA;;;SY)S:(AU;CISA;KA;;;WD)(AU;SA;KR;;;WD)", "", og + "D:(A;CI;KA;;;SY)S:(AU;CISA;KA;;;WD)"},
		{"a list of its own", og + "D:(A;CI;KA;;;SY)", "D:(A;;KR;;;WD)", og + "D:(A;;KR;;;WD)"},
		{"an owner of its own", og + "D:(A;CI;KA;;;CO)", "O:BU", "O:BUG:SYD:(A;;KA;;;BU)(A;CIIO;KA;;;CO)"},
		{"generic rights of its own", og + "D:(A;CI;KA;;;SY)", "D:(A;;GA;;;WD)(A;CIIO;GA;;;CO)", og + "D:(A;;KA;;;WD)(A;CIIO;GA;;;CO)"},
		{"no owner at all", "D:(A;CI;KA;;;SY)", "", "D:(A;CI;KA;;;SY)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var creator []byte
			if c.creator != "" {
				creator = sddlBytes(t, c.creator, OwnerFirst)
			}
			got, err := Inherit(sddlBytes(t, c.parent, OwnerFirst), creator, KeyRights)
			if err != nil {
				t.Fatal(err)
			}
			if want := sddlBytes(t, c.want, ACLFirst); !bytes.Equal(got, want) {
				d, err := Parse(got)
				if err != nil {
					t.Fatal(err)
				}
				t.Errorf("got  %s\nwant %s", d.SDDL(), c.want)
			}
		})
	}
	if _, err := Inherit([]byte{1}, nil, KeyRights); err == nil {
		t.Error("a parent that is no descriptor")
	}
	if _, err := Inherit(RegistryDefault(), []byte{1}, KeyRights); err == nil {
		t.Error("a creator that is no descriptor")
	}
	// A NULL list of the creator is its choice.
	null := NullDACL()
	got, err := Inherit(RegistryDefault(), null, KeyRights)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Parse(got); err != nil || d.DACL != nil || d.Control&DACLPresent == 0 || d.Owner == nil {
		t.Errorf("from a NULL DACL: %v, %v", d, err)
	}
	// The whole default passes on to a key below, as genuine hives have it.
	if got, err := Inherit(RegistryDefault(), nil, KeyRights); err != nil || !bytes.Equal(got, RegistryDefault()) {
		t.Errorf("below the default: %x, %v", got, err)
	}
}
