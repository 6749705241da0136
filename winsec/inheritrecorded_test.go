package winsec

import (
	"bytes"
	"testing"
)

// What new files and directories inherit in directories of Windows whose descriptors are as
// Get-Acl or icacls print them. For Program Files of Windows 7 icacls prints the directories
// in it, too; the other results are worked out by hand.
func TestInheritFileRecorded(t *testing.T) {
	const og = "O:BAG:SY"
	const (
		ti = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

		// The owners of public and of programs7 are not printed by icacls.
		rootServer  = "O:" + ti + "G:SYD:(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CIIO;DC;;;BU)(A;;0x1000a1;;;S-1-15-3-65536-1)"
		rootClient  = "O:" + ti + "G:" + ti + "D:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
		windowsDir  = "O:" + ti + "G:" + ti + "D:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;BA)(A;;0x1301bf;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;CIIO;GA;;;" + ti + ")(A;;FA;;;" + ti + ")(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)(A;;0x1200a9;;;S-1-15-2-2)(A;OICIIO;GXGR;;;S-1-15-2-2)"
		programs7   = "O:" + ti + "G:" + ti + "D:PAI(A;;FA;;;" + ti + ")(A;CIIO;GA;;;" + ti + ")(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)(A;OICIIO;GA;;;CO)"
		programData = "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"
		inetpub     = "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;FA;;;SY)(A;OICIIO;GA;;;BA)(A;;FA;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;OICIIO;GA;;;" + ti + ")(A;;FA;;;" + ti + ")"
		public      = "O:SYG:SYD:PAI(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICIIO;0x1301ff;;;IU)(A;;0x1200af;;;IU)(A;OICIIO;0x1301ff;;;SU)(A;;0x1200af;;;SU)(A;OICIIO;0x1301ff;;;S-1-5-3)(A;;0x1200af;;;S-1-5-3)"
	)
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
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;ID;FA;;;" + ti + ")(A;CIIOID;GA;;;" + ti + ")(A;ID;0x1200a9;;;AC)(A;OICIIOID;GXGR;;;AC)(A;ID;0x1200a9;;;S-1-15-2-2)(A;OICIIOID;GXGR;;;S-1-15-2-2)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;0x1200a9;;;AC)(A;ID;0x1200a9;;;S-1-15-2-2)"},
		{"Program Files of Windows 7", programs7,
			// As icacls prints a directory in there: (I)(F) and (I)(CI)(IO)(F) of
			// TrustedInstaller, the pairs of the system, the administrators and the users,
			// and CREATOR OWNER:(I)(OI)(CI)(IO)(F), without a second (I)(F) of the administrators.
			og + "D:AI(A;ID;FA;;;" + ti + ")(A;CIIOID;GA;;;" + ti + ")(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;OICIIOID;GA;;;CO)",
			og + "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)"},
		{"ProgramData", programData,
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)"},
		{"inetpub", inetpub,
			og + "D:AI(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;OICIIOID;GA;;;BA)(A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)(A;ID;FA;;;" + ti + ")(A;OICIIOID;GA;;;" + ti + ")",
			// Here TrustedInstaller has files, too.
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;FA;;;" + ti + ")"},
		{"Users\\Public", public,
			// Inherit-only entries without generic rights become effective as they are.
			og + "D:AI(A;OICIID;FA;;;BA)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;FA;;;SY)(A;OICIID;0x1301ff;;;IU)(A;OICIID;0x1301ff;;;SU)(A;OICIID;0x1301ff;;;S-1-5-3)",
			og + "D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1301ff;;;IU)(A;ID;0x1301ff;;;SU)(A;ID;0x1301ff;;;S-1-5-3)"},
		{"a condition stays", og + `D:(XA;OICI;GR;;;BU;(@User.Project == "x"))`,
			og + `D:AI(XA;ID;FR;;;BU;(@User.Project == "x"))(XA;OICIIOID;GR;;;BU;(@User.Project == "x"))`,
			og + `D:AI(XA;ID;FR;;;BU;(@User.Project == "x"))`},
	} {
		for _, dir := range []bool{true, false} {
			name, want := c.name+"/file", c.file
			if dir {
				name, want = c.name+"/directory", c.dir
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
	dir, err := InheritFile(sddlBytes(t, "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)", ACLFirst), SID{}, SID{}, true)
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
}
