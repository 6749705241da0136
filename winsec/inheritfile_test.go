package winsec

import (
	"bytes"
	"testing"
)

const (
	tiSID = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

	// Descriptors of directories of Windows, as Get-Acl and icacls print them there: the
	// root of Server 2025 and of Windows 11, C:\Windows and C:\Program Files, ProgramData,
	// inetpub, and Users\Public, of which icacls tells no owner.
	rootServer  = "O:" + tiSID + "G:SYD:(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CIIO;DC;;;BU)(A;;0x1000a1;;;S-1-15-3-65536-1)"
	rootClient  = "O:" + tiSID + "G:" + tiSID + "D:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
	windowsDir  = "O:" + tiSID + "G:" + tiSID + "D:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;BA)(A;;0x1301bf;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;CIIO;GA;;;" + tiSID + ")(A;;FA;;;" + tiSID + ")(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)(A;;0x1200a9;;;S-1-15-2-2)(A;OICIIO;GXGR;;;S-1-15-2-2)"
	programs7   = "O:" + tiSID + "G:" + tiSID + "D:PAI(A;;FA;;;" + tiSID + ")(A;CIIO;GA;;;" + tiSID + ")(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)(A;OICIIO;GA;;;CO)"
	programData = "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"
	inetpub     = "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;FA;;;SY)(A;OICIIO;GA;;;BA)(A;;FA;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;OICIIO;GA;;;" + tiSID + ")(A;;FA;;;" + tiSID + ")"
	public      = "O:SYG:SYD:PAI(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICIIO;0x1301ff;;;IU)(A;;0x1200af;;;IU)(A;OICIIO;0x1301ff;;;SU)(A;;0x1200af;;;SU)(A;OICIIO;0x1301ff;;;S-1-5-3)(A;;0x1200af;;;S-1-5-3)"
)

// What files and directories inherit, worked out by hand from MS-DTYP 2.5.3.4.1 to .6.
func TestInheritFile(t *testing.T) {
	const og = "O:BAG:SY"
	for _, c := range []struct{ name, parent, dir, file string }{
		{"root of a server", rootServer,
			// The administrators are the creator owner, and have two entries, since one of
			// them goes no further: the directories that builders write have both, too.
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;CIID;LC;;;BU)(A;CIID;DC;;;BU)",
			// In a file both are the same entry. What is for containers is not for it.
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)"},
		{"root of a client", rootClient,
			// SDGXGWGR is 0x1301bf for files. The right to make directories in the root
			// has no flag and stays there.
			og + "D:AI(A;ID;0x1301bf;;;AU)(A;OICIIOID;SDGXGWGR;;;AU)(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)",
			og + "D:AI(A;ID;0x1301bf;;;AU)(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)"},
		{"Windows, Program Files", windowsDir,
			// The creator's effective entry is that of the administrators, once. TrustedInstaller
			// inherits through containers alone. 0x1301bf of the directory itself stays there.
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;ID;FA;;;" + tiSID + ")(A;CIIOID;GA;;;" + tiSID + ")(A;ID;0x1200a9;;;AC)(A;OICIIOID;GXGR;;;AC)(A;ID;0x1200a9;;;S-1-15-2-2)(A;OICIIOID;GXGR;;;S-1-15-2-2)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;0x1200a9;;;AC)(A;ID;0x1200a9;;;S-1-15-2-2)"},
		{"Program Files of Windows 7", programs7,
			// As icacls prints a directory in there: (I)(F) and (I)(CI)(IO)(F) of
			// TrustedInstaller, the pairs of the system, the administrators and the users,
			// and CREATOR OWNER:(I)(OI)(CI)(IO)(F), without a second (I)(F) of the administrators.
			og + "D:AI(A;ID;FA;;;" + tiSID + ")(A;CIIOID;GA;;;" + tiSID + ")(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;OICIIOID;GA;;;CO)",
			og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)"},
		{"ProgramData", programData,
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)"},
		{"inetpub", inetpub,
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;ID;FA;;;" + tiSID + ")(A;OICIIOID;GA;;;" + tiSID + ")",
			// Here TrustedInstaller has files, too.
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;FA;;;" + tiSID + ")"},
		{"Users\\Public", public,
			// Inherit-only entries without generic rights become effective as they are.
			og + "D:AI(A;OICIID;FA;;;BA)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;FA;;;SY)(A;OICIID;0x1301ff;;;IU)(A;OICIID;0x1301ff;;;SU)(A;OICIID;0x1301ff;;;S-1-5-3)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1301ff;;;IU)(A;ID;0x1301ff;;;SU)(A;ID;0x1301ff;;;S-1-5-3)"},

		{"objects alone: containers pass it on", og + "D:(A;OI;FR;;;BU)(A;CI;FX;;;BU)",
			og + "D:AI(A;OIIOID;FR;;;BU)(A;CIID;FX;;;BU)", og + "D:AI(A;ID;FR;;;BU)"},
		{"one level", og + "D:(A;OICINP;GR;;;BU)",
			og + "D:AI(A;ID;FR;;;BU)", og + "D:AI(A;ID;FR;;;BU)"},
		{"one level, objects alone: nothing for a directory", og + "D:(A;OINP;FR;;;BU)(A;OICI;FA;;;SY)",
			og + "D:AI(A;OICIID;FA;;;SY)", og + "D:AI(A;ID;FR;;;BU)(A;ID;FA;;;SY)"},
		{"creator group", og + "D:(A;OICIIO;GR;;;CG)",
			og + "D:AI(A;ID;FR;;;SY)(A;OICIIOID;GR;;;CG)", og + "D:AI(A;ID;FR;;;SY)"},
		{"creator with rights that are not generic", og + "D:(A;OICIIO;FA;;;CO)",
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;FA;;;CO)", og + "D:AI(A;ID;FA;;;BA)"},
		{"protection of the parent is its own", og + "D:P(A;OICI;FA;;;SY)",
			og + "D:AI(A;OICIID;FA;;;SY)", og + "D:AI(A;ID;FA;;;SY)"},
		{"inherited is handed down like explicit", og + "D:AI(D;OICI;DT;;;BU)(A;OICIID;FA;;;SY)",
			og + "D:AI(D;OICIID;DT;;;BU)(A;OICIID;FA;;;SY)", og + "D:AI(D;ID;DT;;;BU)(A;ID;FA;;;SY)"},
		{"audits and labels", og + "D:(A;OICI;FA;;;SY)S:(AU;OICISAFA;GW;;;WD)(AU;SA;FR;;;WD)(ML;OICI;NW;;;HI)",
			// The mask of a label is a policy, not rights.
			og + "D:AI(A;OICIID;FA;;;SY)S:AI(AU;IDSAFA;FW;;;WD)(AU;OICIIOIDSAFA;GW;;;WD)(ML;OICIID;NW;;;HI)",
			og + "D:AI(A;ID;FA;;;SY)S:AI(AU;IDSAFA;FW;;;WD)(ML;ID;NW;;;HI)"},
		{"no audits to inherit", og + "D:(A;OICI;FA;;;SY)S:(AU;SA;FR;;;WD)",
			og + "D:AI(A;OICIID;FA;;;SY)", og + "D:AI(A;ID;FA;;;SY)"},
		{"objects of another type", og + "D:(OA;OICI;FR;;bf967aba-0de6-11d0-a285-00aa003049e2;BU)(A;OICI;FA;;;SY)",
			og + "D:AI(OA;OICIIOID;FR;;bf967aba-0de6-11d0-a285-00aa003049e2;BU)(A;OICIID;FA;;;SY)", ""}, // below
		{"a condition stays", og + `D:(XA;OICI;GR;;;BU;(@User.Project == "x"))`,
			og + `D:AI(XA;ID;FR;;;BU;(@User.Project == "x"))(XA;OICIIOID;GR;;;BU;(@User.Project == "x"))`,
			og + `D:AI(XA;ID;FR;;;BU;(@User.Project == "x"))`},

		// Without anything to inherit, the default DACL of the token (inferred).
		{"nothing to inherit", og + "D:(A;;FA;;;WD)", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)"},
		{"containers alone: nothing for a file", og + "D:(A;CI;FA;;;WD)", og + "D:AI(A;CIID;FA;;;WD)", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)"},
		{"empty DACL", og + "D:", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)"},
		{"NULL DACL", og + "D:NO_ACCESS_CONTROL", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)"},
		{"no DACL", og, og + "D:(A;;FA;;;BA)(A;;FA;;;SY)", og + "D:(A;;FA;;;BA)(A;;FA;;;SY)"},
	} {
		for _, dir := range []bool{true, false} {
			name, want := c.name+"/file", c.file
			if dir {
				name, want = c.name+"/directory", c.dir
			}
			if want == "" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				got, err := InheritFile(sddlBytes(t, c.parent, OwnerFirst), SID{}, SID{}, dir)
				if err != nil {
					t.Fatal(err)
				}
				sameDescriptor(t, got, want)
			})
		}
	}
}

// A list keeps the revision of the list that it is from, which text does not carry.
func TestInheritFileRevision(t *testing.T) {
	parent := sddlBytes(t, "O:BAG:SYD:(OA;OICI;FR;;bf967aba-0de6-11d0-a285-00aa003049e2;BU)(A;OICI;FA;;;SY)", ACLFirst)
	b, err := InheritFile(parent, SID{}, SID{}, false)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.SDDL(); got != "O:BAG:SYD:AI(A;ID;FA;;;SY)" || d.DACL.Revision != aclRevisionDS {
		t.Errorf("%s with a list of revision %d", got, d.DACL.Revision)
	}
}

func sameDescriptor(t *testing.T, got []byte, want string) {
	t.Helper()
	if bytes.Equal(got, sddlBytes(t, want, ACLFirst)) {
		return
	}
	d, err := Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	t.Errorf("got  %s\nwant %s", d.SDDL(), want)
}

// A file two directories below has what its owner has there, not what the owner of the
// directory had.
func TestInheritFileOwners(t *testing.T) {
	user := MakeSID(5, 93, 2, 1) // ContainerUser
	dir, err := InheritFile(sddlBytes(t, programData, ACLFirst), SID{}, SID{}, true)
	if err != nil {
		t.Fatal(err)
	}
	file, err := InheritFile(dir, user, BuiltinUsers, false)
	if err != nil {
		t.Fatal(err)
	}
	// (A;ID;FA;;;BA) of the directory's creator has no flags and ends there; the
	// administrators have the access of (A;OICIID;FA;;;BA).
	sameDescriptor(t, file, "O:S-1-5-93-2-1G:BUD:AI(A;ID;FA;;;S-1-5-93-2-1)(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)")
	if _, err := InheritFile([]byte{1, 2}, SID{}, SID{}, true); err == nil {
		t.Error("a parent that is no descriptor")
	}
	// The descriptors that builders write, except for their marks: they were recorded on Windows.
	got, err := InheritFile(BuilderDirectory(), SID{}, SID{}, false)
	if err != nil {
		t.Fatal(err)
	}
	sameDescriptor(t, got, "O:BAG:SYD:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)")
}

// What icacls /reset, /inheritance:e, :d and :r do to lists.
func TestReinheritFile(t *testing.T) {
	const og = "O:BAG:SY"
	parent := og + "D:PAI(A;OICI;FA;;;SY)(A;OICIIO;GA;;;CO)(A;CI;LC;;;BU)"
	for _, c := range []struct {
		name, child, want string
		dir               bool
	}{
		{"explicit entries stay first, inherited ones are replaced", og + "D:AI(A;;FR;;;WD)(A;ID;FA;;;BU)", og + "D:AI(A;;FR;;;WD)(A;ID;FA;;;SY)(A;ID;FA;;;BA)", false},
		{"a directory", og + "D:AI(D;;SD;;;BU)(A;OICIID;FA;;;AU)", og + "D:AI(D;;SD;;;BU)(A;OICIID;FA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;CIID;LC;;;BU)", true},
		{"the owner of the child is the creator", "O:BUG:SYD:", "O:BUG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BU)", false},
		{"a protected list stays", og + "D:P(A;;FR;;;WD)", og + "D:P(A;;FR;;;WD)", false},
		{"a NULL list stays", og + "D:NO_ACCESS_CONTROL", og + "D:NO_ACCESS_CONTROL", false},
		{"nothing new", og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)", og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ParseSDDL(parent)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Parse(sddlBytes(t, c.child, ACLFirst))
			if err != nil {
				t.Fatal(err)
			}
			changed := d.ReinheritFile(p, c.dir)
			if changed != (c.child != c.want) {
				t.Errorf("changed is %v", changed)
			}
			b, err := d.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			sameDescriptor(t, b, c.want)
			if d.ReinheritFile(p, c.dir) {
				t.Error("the second time changes something")
			}
			if p.SDDL() != parent {
				t.Errorf("the parent became %s", p.SDDL())
			}
		})
	}
	steps, err := ParseSDDL(og + "D:AI(A;;FR;;;WD)(A;ID;FA;;;SY)")
	if err != nil {
		t.Fatal(err)
	}
	check := func(what, want string) {
		t.Helper()
		if got := steps.SDDL(); got != og+want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	steps.Protect(true)
	check("/inheritance:d", "D:PAI(A;;FR;;;WD)(A;;FA;;;SY)")
	p, err := ParseSDDL(parent)
	if err != nil {
		t.Fatal(err)
	}
	steps.Unprotect()
	steps.ReinheritFile(p, false)
	check("/inheritance:e", "D:AI(A;;FR;;;WD)(A;;FA;;;SY)(A;ID;FA;;;SY)(A;ID;FA;;;BA)")
	steps.Protect(false)
	check("/inheritance:r", "D:PAI(A;;FR;;;WD)(A;;FA;;;SY)")
	// An existing object never gets a default list: nothing to inherit leaves nothing.
	empty, err := ParseSDDL(og + "D:AI(A;ID;FA;;;SY)")
	if err != nil {
		t.Fatal(err)
	}
	if !empty.ReinheritFile(&Descriptor{}, false) || empty.DACL == nil || len(empty.DACL.ACEs) != 0 {
		t.Errorf("without anything to inherit: %s", empty.SDDL())
	}
}
