package winsec

import (
	"bytes"
	"testing"
)

// The descriptors of directories of a Windows Server, as documents about them print them, not as a corpus has them.
// TI is TrustedInstaller, which SDDL has no alias for.
const (
	ti         = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	restricted = "S-1-15-2-2" // all restricted application packages

	driveC = "O:" + ti + "G:" + ti + "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CIIO;DC;;;BU)(A;OICIIO;GA;;;CO)"

	// Program Files has the same list.
	windows = "O:" + ti + "G:" + ti + "D:PAI(A;CIIO;GA;;;" + ti + ")(A;;FA;;;" + ti + ")(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)" +
		"(A;OICIIO;GA;;;BA)(A;;0x1301bf;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)" +
		"(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)(A;;0x1200a9;;;" + restricted + ")(A;OICIIO;GXGR;;;" + restricted + ")"

	public = "O:BAG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;SDGXGWGR;;;IU)(A;;0x1201af;;;IU)" +
		"(A;OICIIO;SDGXGWGR;;;SU)(A;;0x1201af;;;SU)(A;OICIIO;SDGXGWGR;;;S-1-5-3)(A;;0x1201af;;;S-1-5-3)"

	inetpub = "O:" + ti + "G:" + ti + "D:PAI(A;CIIO;GA;;;" + ti + ")(A;;FA;;;" + ti + ")(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)"
)

// What new files and directories inherit, worked by hand from MS-DTYP 2.5.3.4.1 to 2.5.3.4.6.
func TestInheritFile(t *testing.T) {
	const og = "O:BAG:SY"
	// The list that a token gives.
	const token = og + "D:(A;;FA;;;BA)(A;;FA;;;SY)"
	for _, c := range []struct{ name, parent, dir, file string }{
		{
			// What is OICI stays so. LC, adding files, goes on to directories (CI) and not to
			// files; DC takes effect in the new directory although it did not in C:\ (IO). The
			// creator owner stands for the administrators, who own the new directory, and is
			// passed on as it is.
			"C:\\", driveC,
			og + "D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;CIID;LC;;;BU)(A;CIID;DC;;;BU)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)",
			// The entry of the creator owner is that of the administrators again.
			og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)",
		},
		{
			// Only the inherit-only half of each pair is inherited, and becomes a pair again: FA
			// for GA, 0x1200a9 for GXGR here, generic below. The administrators have FA before
			// the creator owner gives it to them once more. TrustedInstaller has CI alone, so
			// that files do not have it. It is the list of every directory that a setup program
			// makes in Program Files.
			"C:\\Windows and C:\\Program Files", windows,
			og + "D:AI(A;ID;FA;;;" + ti + ")(A;CIIOID;GA;;;" + ti + ")(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;BA)" +
				"(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;OICIIOID;GA;;;CO)(A;ID;0x1200a9;;;AC)(A;OICIIOID;GXGR;;;AC)" +
				"(A;ID;0x1200a9;;;" + restricted + ")(A;OICIIOID;GXGR;;;" + restricted + ")",
			og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)(A;ID;0x1200a9;;;AC)(A;ID;0x1200a9;;;" + restricted + ")",
		},
		{
			// Generic rights beside a standard right, SD: only the generic ones are mapped, GXGWGR
			// to 0x1201bf, and with SD that is 0x1301bf, "modify". The creator owner comes first
			// here, so that its entry is the one of the administrators that stays besides OICI.
			"C:\\Users\\Public", public,
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;ID;0x1301bf;;;IU)(A;OICIIOID;SDGXGWGR;;;IU)" +
				"(A;ID;0x1301bf;;;SU)(A;OICIIOID;SDGXGWGR;;;SU)(A;ID;0x1301bf;;;S-1-5-3)(A;OICIIOID;SDGXGWGR;;;S-1-5-3)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1301bf;;;IU)(A;ID;0x1301bf;;;SU)(A;ID;0x1301bf;;;S-1-5-3)",
		},
		{
			"C:\\inetpub", inetpub,
			og + "D:AI(A;ID;FA;;;" + ti + ")(A;CIIOID;GA;;;" + ti + ")(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)",
			og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)",
		},
		{
			// The two descriptors that were recorded on a Windows Server: but for the marks of
			// inheritance, which the recording lost, the file is what it inherits from the
			// directory: once BA, not twice.
			"the recorded directory of builders", "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)",
			og + "D:AI(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)(A;CIID;LC;;;BU)(A;CIID;DC;;;BU)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)",
		},
		{
			// For files alone: a directory hands it down without having it.
			"object inherit", og + "D:(A;OI;FR;;;BU)", og + "D:AI(A;OIIOID;FR;;;BU)", og + "D:AI(A;ID;FR;;;BU)",
		},
		{
			// For directories alone: nothing is left for a file.
			"container inherit", og + "D:(A;CI;FR;;;BU)", og + "D:AI(A;CIID;FR;;;BU)", token,
		},
		{
			// No further than to what is directly in the directory.
			"no propagation", og + "D:(A;OICINP;FR;;;BU)", og + "D:AI(A;ID;FR;;;BU)", og + "D:AI(A;ID;FR;;;BU)",
		},
		{
			// OI and NP never reach a file in a new directory, so that the directory has no entry.
			"no propagation of objects", og + "D:(A;OINP;FR;;;BU)(A;CI;FR;;;SY)", og + "D:AI(A;CIID;FR;;;SY)", og + "D:AI(A;ID;FR;;;BU)",
		},
		{
			// A generic right that goes no further needs no second entry.
			"no propagation of generic rights", og + "D:(A;CINP;GR;;;BU)(A;CINP;GA;;;CO)", og + "D:AI(A;ID;FR;;;BU)(A;ID;FA;;;BA)", token,
		},
		{
			// Inherit-only says nothing about the new object: it takes effect there.
			"inherit only", og + "D:(A;OICIIO;FR;;;BU)", og + "D:AI(A;OICIID;FR;;;BU)", og + "D:AI(A;ID;FR;;;BU)",
		},
		{
			"creator group", og + "D:(A;OICI;FR;;;CG)", og + "D:AI(A;ID;FR;;;SY)(A;OICIIOID;FR;;;CG)", og + "D:AI(A;ID;FR;;;SY)",
		},
		{
			// Owner rights are nobody's until access is checked.
			"owner rights", og + "D:(A;OICI;RC;;;OW)", og + "D:AI(A;OICIID;RC;;;OW)", og + "D:AI(A;ID;RC;;;OW)",
		},
		{
			// The order of the parent stays: a denial before the grant that it limits.
			"denial", og + "D:(D;OICI;FW;;;BU)(A;OICI;FA;;;BU)", og + "D:AI(D;OICIID;FW;;;BU)(A;OICIID;FA;;;BU)", og + "D:AI(D;ID;FW;;;BU)(A;ID;FA;;;BU)",
		},
		{
			// Protection is the parent's own; so are the marks of what it has inherited itself.
			"protected, inherited", og + "D:PAI(A;OICIID;FR;;;BU)", og + "D:AI(A;OICIID;FR;;;BU)", og + "D:AI(A;ID;FR;;;BU)",
		},
		{
			// Nothing is inheritable: the list comes from the token.
			"nothing to inherit", og + "D:(A;;FA;;;BU)", token, token,
		},
		{"empty list", og + "D:", token, token},
		{"NULL list", og + "D:NO_ACCESS_CONTROL", token, token},
		{"no list", og, token, token},
		{
			// Audits are inherited like grants, with the flags of what is audited, and generic
			// rights in them are mapped too.
			"audits", og + "D:(A;OICI;FA;;;BA)S:(AU;OICISAFA;GA;;;WD)(AU;SA;FR;;;BU)",
			og + "D:AI(A;OICIID;FA;;;BA)S:AI(AU;IDSAFA;FA;;;WD)(AU;OICIIOIDSAFA;GA;;;WD)",
			og + "D:AI(A;ID;FA;;;BA)S:AI(AU;IDSAFA;FA;;;WD)",
		},
		{
			// The mask of a label is a policy and no rights; a label without flags is the parent's.
			"labels", og + "D:(A;OICI;FA;;;BA)S:(ML;OICI;NW;;;LW)", og + "D:AI(A;OICIID;FA;;;BA)S:AI(ML;OICIID;NW;;;LW)", og + "D:AI(A;ID;FA;;;BA)S:AI(ML;ID;NW;;;LW)",
		},
		{"label of the parent", og + "D:(A;OICI;FA;;;BA)S:(ML;;NW;;;HI)", og + "D:AI(A;OICIID;FA;;;BA)", og + "D:AI(A;ID;FA;;;BA)"},
		{
			// For objects of another type: a file system has none, so that directories pass it on
			// and nothing has it.
			"object type", og + "D:(A;OICI;FA;;;BA)(OA;OICI;FR;;bf967aba-0de6-11d0-a285-00aa003049e2;BU)",
			og + "D:AI(A;OICIID;FA;;;BA)(OA;OICIIOID;FR;;bf967aba-0de6-11d0-a285-00aa003049e2;BU)", og + "D:AI(A;ID;FA;;;BA)",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := sddlBytes(t, c.parent, OwnerFirst)
			for want, dir := range map[string]bool{c.dir: true, c.file: false} {
				if c.dir == c.file {
					checkInherited(t, parent, SID{}, true, want)
				}
				checkInherited(t, parent, SID{}, dir, want)
			}
		})
	}
	// Another owner is the creator owner.
	checkInherited(t, sddlBytes(t, driveC, ACLFirst), BuiltinUsers, false, "O:BUG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)(A;ID;FA;;;BU)")
	if _, err := InheritFile([]byte{1}, SID{}, SID{}, true); err == nil {
		t.Error("a parent that is no descriptor")
	}
}

func checkInherited(t *testing.T, parent []byte, owner SID, dir bool, want string) {
	t.Helper()
	got, err := InheritFile(parent, owner, SID{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sddlBytes(t, want, ACLFirst)) {
		d, err := Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("directory %v:\ngot  %s\nwant %s", dir, d.SDDL(), want)
	}
}

// Edits of a list, as icacls makes them.
func TestEditFile(t *testing.T) {
	const parent = "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICIIO;GA;;;CO)"
	for _, c := range []struct {
		name, own string
		edit      func(d, p *Descriptor)
		want      string
	}{
		{"reset", "O:BUG:SYD:PAI(D;;FW;;;WD)(A;;FR;;;BU)(A;ID;FA;;;BA)", func(d, p *Descriptor) {
			d.Unprotect()
			d.DACL.ACEs = nil
			d.ReinheritFile(p, false)
		}, "O:BUG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BU)"},
		{"inherit again", "O:BUG:SYD:PAI(D;;FW;;;WD)(A;;FR;;;BU)(A;ID;FA;;;BA)", func(d, p *Descriptor) {
			d.Unprotect()
			d.ReinheritFile(p, true)
		}, "O:BUG:SYD:AI(D;;FW;;;WD)(A;;FR;;;BU)(A;OICIID;FA;;;SY)(A;ID;FA;;;BU)(A;OICIIOID;GA;;;CO)"},
		{"protected: nothing", "O:BUG:SYD:PAI(A;;FR;;;BU)", func(d, p *Descriptor) {
			if d.ReinheritFile(p, true) {
				t.Error("changed")
			}
		}, "O:BUG:SYD:PAI(A;;FR;;;BU)"},
		{"nothing to inherit: nothing", "O:BUG:SYD:AI(A;ID;FR;;;BU)", func(d, p *Descriptor) {
			p.DACL = &ACL{}
			d.ReinheritFile(p, true)
		}, "O:BUG:SYD:AI"},
		{"protect and keep", "O:BAG:SYD:AI(A;;FR;;;BU)(A;ID;FA;;;SY)", func(d, _ *Descriptor) { d.Protect(true) }, "O:BAG:SYD:PAI(A;;FR;;;BU)(A;;FA;;;SY)"},
		{"protect and remove", "O:BAG:SYD:AI(A;;FR;;;BU)(A;ID;FA;;;SY)", func(d, _ *Descriptor) { d.Protect(false) }, "O:BAG:SYD:PAI(A;;FR;;;BU)"},
		{"deny", "O:BAG:SYD:(D;;FX;;;WD)(A;;FA;;;BA)(A;ID;FA;;;SY)", func(d, _ *Descriptor) { d.Deny(BuiltinUsers, 2, 0) }, "O:BAG:SYD:(D;;FX;;;WD)(D;;DC;;;BU)(A;;FA;;;BA)(A;ID;FA;;;SY)"},
		{"deny more", "O:BAG:SYD:(D;;DC;;;BU)(A;;FA;;;BA)", func(d, _ *Descriptor) { d.Deny(BuiltinUsers, 4, 0) }, "O:BAG:SYD:(D;;DCLC;;;BU)(A;;FA;;;BA)"},
		{"remove", "O:BAG:SYD:(D;;FX;;;BU)(A;;FA;;;BU)(A;;FR;;;WD)(A;ID;FA;;;BU)", func(d, _ *Descriptor) {
			if n := d.Remove(BuiltinUsers, true, true); n != 2 {
				t.Error(n)
			}
		}, "O:BAG:SYD:(A;;FR;;;WD)(A;ID;FA;;;BU)"},
		{"remove grants", "O:BAG:SYD:(D;;FX;;;BU)(A;;FA;;;BU)", func(d, _ *Descriptor) { d.Remove(BuiltinUsers, true, false) }, "O:BAG:SYD:(D;;FX;;;BU)"},
		{"remove denials", "O:BAG:SYD:(D;;FX;;;BU)(A;;FA;;;BU)", func(d, _ *Descriptor) { d.Remove(BuiltinUsers, false, true) }, "O:BAG:SYD:(A;;FA;;;BU)"},
		{"canonical order", "O:BAG:SYD:(A;ID;FA;;;SY)(A;;FR;;;BU)(D;;FW;;;WD)(A;;FX;;;BU)", func(d, _ *Descriptor) {
			if !d.Canonicalize() || d.Canonicalize() {
				t.Error("once")
			}
		}, "O:BAG:SYD:(D;;FW;;;WD)(A;;FR;;;BU)(A;;FX;;;BU)(A;ID;FA;;;SY)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse(sddlBytes(t, c.own, ACLFirst))
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(sddlBytes(t, parent, ACLFirst))
			if err != nil {
				t.Fatal(err)
			}
			c.edit(d, p)
			if got := d.SDDL(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if _, err := d.Bytes(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever the parent, what is inherited is marked, has no unmapped right in effect, and is
// the same when inherited again from the same parent.
func FuzzInheritFile(f *testing.F) {
	for _, s := range []string{driveC, windows, public, inetpub, "O:BAG:SYD:(A;OINP;FR;;;BU)S:(ML;OICI;NW;;;LW)(AU;OICISA;GA;;;WD)"} {
		d, err := ParseSDDL(s)
		if err != nil {
			f.Fatal(err)
		}
		b, err := d.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, dir bool) {
		got, err := InheritFile(b, SID{}, SID{}, dir)
		if err != nil {
			return
		}
		d, err := Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		const generic = GenericRead | GenericWrite | GenericExecute | GenericAll
		for _, a := range d.DACL.ACEs {
			if d.Control&DACLAutoInherited != 0 != (a.Flags&Inherited != 0) {
				t.Fatalf("mark: %s", d.SDDL())
			}
			if !dir && a.Flags&inheritanceFlags != 0 {
				t.Fatalf("a file passes something on: %s", d.SDDL())
			}
			rights := a.Type.allows() || a.Type.denies()
			if rights && a.Flags&InheritOnly == 0 && (a.Mask&generic != 0 || a.SID == creatorOwner || a.SID == creatorGroup) {
				t.Fatalf("in effect: %s", d.SDDL())
			}
		}
		if d.Control&DACLAutoInherited == 0 {
			return
		}
		before := d.SDDL()
		if d.ReinheritFile(p, dir); d.SDDL() != before {
			t.Fatalf("%s, inherited again %s", before, d.SDDL())
		}
	})
}
