package offline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mullion/mullion/winsec"
)

// dacl is the DACL of a file or directory in SDDL, with its owner before it if it is not the
// administrators.
func dacl(t testing.TB, m *memFiles, path string) string {
	t.Helper()
	n, err := m.get("", root+`\`+path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := winsec.Parse(n.Security)
	if err != nil {
		t.Fatal(err)
	}
	s := d.SDDL()
	owner, list, _ := strings.Cut(s, "D:")
	if o := strings.TrimSuffix(owner, "G:SY"); o != "O:BA" {
		return o + " " + list
	}
	return list
}

// The root of the test tree has, as that of a Windows volume,
//
//	D:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)
//
// so that a directory inherits the first list below and a file the second (worked by hand,
// MS-DTYP 2.5.3.4.6: the creator owner becomes the owner BA, once for the directory itself
// and once more, as it is, for what is below).
const (
	dirInherits  = `(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;OICIID;0x1200a9;;;BU)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)`
	fileInherits = `(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)`
)

func TestIcacls(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		path string
		want string
	}{
		{`echo`, 0, "d", "AI" + dirInherits},
		{`echo`, 0, `d\f`, "AI" + fileInherits},
		{`icacls d /grant Users:F`, 0, "d", "AI(A;;FA;;;BU)" + dirInherits},
		{`icacls d /grant Users:(OI)(CI)F`, 0, "d", "AI(A;OICI;FA;;;BU)" + dirInherits},
		{`icacls C:\d /grant "BUILTIN\Users:(OI)(CI)(M)" /T /C /Q`, 0, "d", "AI(A;OICI;0x1301bf;;;BU)" + dirInherits},
		{`icacls d /grant Everyone:RX *S-1-5-11:W`, 0, "d", "AI(A;;0x1200a9;;;WD)(A;;0x100116;;;AU)" + dirInherits},
		{`icacls d /grant Everyone:(RD,X)`, 0, "d", "AI(A;;CCWP;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:(RX,W)`, 0, "d", "AI(A;;0x1201bf;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:(CI)(IO)R`, 0, "d", "AI(A;CIIO;FR;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:(OI)(NP)R`, 0, "d", "AI(A;OINP;FR;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:R & icacls d /grant Everyone:W`, 0, "d", "AI(A;;0x12019f;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:F & icacls d /grant:r Everyone:R`, 0, "d", "AI(A;;FR;;;WD)" + dirInherits},
		{`icacls d /grant IIS_IUSRS:R`, 0, "d", "AI(A;;FR;;;IS)" + dirInherits},
		{`icacls d /grant "IIS APPPOOL\DefaultAppPool:R"`, 0, "d", "AI(A;;FR;;;S-1-5-82-3006700770-424185619-1745488364-794895919-4004696415)" + dirInherits},
		// What is set on a directory reaches what is below it and inherits.
		{`icacls d /grant Everyone:(OI)(CI)R`, 0, `d\f`, "AI(A;ID;FR;;;WD)" + fileInherits},
		{`icacls d /grant Everyone:(OI)(CI)R`, 0, `d\e`, "AI(A;OICIID;FR;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:(OI)(CI)R`, 0, `d\e\g`, "AI(A;ID;FR;;;WD)" + fileInherits},
		{`icacls d /grant Everyone:R`, 0, `d\f`, "AI" + fileInherits},
		{`icacls d /grant Everyone:(OI)(CI)(NP)R`, 0, `d\e\g`, "AI" + fileInherits},
		{`icacls d\e /inheritance:r & icacls d /grant Everyone:(OI)(CI)R`, 0, `d\e`, "PAI"},
		{`icacls d\e /inheritance:d & icacls d /grant Everyone:(OI)(CI)R`, 0, `d\e\g`, "AI" + fileInherits},
		// On a file the flags for inheritance have no meaning.
		{`icacls d\f /grant Everyone:(OI)(CI)F`, 0, `d\f`, "AI(A;;FA;;;WD)" + fileInherits},
		{`icacls d /grant Everyone:(OI)(CI)F /T`, 0, `d\f`, "AI(A;;FA;;;WD)(A;ID;FA;;;WD)" + fileInherits},
		// Denials come first, and take the rights from grants.
		{`icacls d /grant Everyone:RX & icacls d /deny Everyone:W`, 0, "d", "AI(D;;0x100116;;;WD)(A;;CCSWWPLORC;;;WD)" + dirInherits},
		{`icacls d /deny Everyone:(DE)`, 0, "d", "AI(D;;SD;;;WD)" + dirInherits},
		{`icacls d /grant Everyone:R /deny Users:(WD) & icacls d /remove Everyone Users`, 0, "d", "AI" + dirInherits},
		{`icacls d /grant Users:M /deny Users:(WO) & icacls d /remove:g Users`, 0, "d", "AI(D;;WO;;;BU)" + dirInherits},
		{`icacls d /grant Users:M /deny Users:(WO) & icacls d /remove:d Users`, 0, "d", "AI(A;;0x1301bf;;;BU)" + dirInherits},
		{`icacls d /remove Users`, 0, "d", "AI" + dirInherits}, // inherited ones stay
		// Inheritance.
		{`icacls d /inheritance:r`, 0, "d", "PAI"},
		{`icacls d /inheritance:r /grant:r Administrators:F`, 0, "d", "PAI(A;;FA;;;BA)"},
		{`icacls d /inheritance:d`, 0, "d", "PAI" + strings.ReplaceAll(dirInherits, "ID;", ";")},
		{`icacls d /inheritance:d & icacls d /inheritance:e`, 0, "d", "AI" + strings.ReplaceAll(dirInherits, "ID;", ";") + dirInherits},
		{`icacls d /inheritance:r & icacls d /inheritance:e`, 0, "d", "AI" + dirInherits},
		{`icacls d /inheritance:r /grant Everyone:F & icacls d /reset`, 0, "d", "AI" + dirInherits},
		{`icacls d /inheritance:r /grant Everyone:(OI)(CI)F /T & icacls d /reset /T`, 0, `d\e\g`, "AI" + fileInherits},
		// Owners.
		{`icacls d /setowner SYSTEM`, 0, "d", "O:SY AI" + dirInherits},
		{`icacls d /setowner SYSTEM /T`, 0, `d\e\g`, "O:SY AI" + fileInherits},
		{`icacls d /setowner SYSTEM`, 0, `d\e`, "AI" + dirInherits},
		{`takeown /f d`, 0, "d", "O:S-1-5-93-2-1 AI" + dirInherits},
		{`icacls d /setowner SYSTEM & takeown /F d /A`, 0, "d", "AI" + dirInherits},
		{`takeown /f d /r /d y`, 0, `d\e\g`, "O:S-1-5-93-2-1 AI" + fileInherits},
		{`takeown /f d\*`, 0, `d\f`, "O:S-1-5-93-2-1 AI" + fileInherits},
		{`icacls no /grant Users:F`, 2, "d", "AI" + dirInherits},
		{`icacls no\no /grant Users:F`, 3, "d", "AI" + dirInherits},
		{`takeown /f no`, 1, "d", "AI" + dirInherits},
		// Copies inherit; what is moved keeps its descriptor.
		{`icacls d\f /inheritance:r /grant Everyone:F & copy d\f g`, 0, `g`, "AI" + fileInherits},
		{`icacls d\f /inheritance:r /grant Everyone:F & move d\f g`, 0, `g`, "PAI(A;;FA;;;WD)"},
	} {
		b, m := box(`d\f=`, `d\e\g=`)
		if code := run(t, b, nil, c.line); code != c.code {
			t.Errorf("%s: exit status %d, want %d", c.line, code, c.code)
		}
		if got := dacl(t, m, c.path); got != c.want {
			t.Errorf("%s: %s\n have %s\n want %s", c.line, c.path, got, c.want)
		}
	}
}

func TestIcaclsRefuses(t *testing.T) {
	for _, line := range []string{
		`icacls d /grant Users`, `icacls d /grant Users:`, `icacls d /grant Users:Z`, `icacls d /grant Users:()`, `icacls d /grant Users:(OI`, `icacls d /grant Users:(OI)`,
		`icacls d /grant Users:(IO)F`, `icacls d /grant Users:F(CI)`, `icacls d /grant Users:(I)F`, `icacls d /grant Users:N`, `icacls d /grant`, `icacls d`, `icacls`,
		`icacls d /grant CONTOSO\bob:F`, `icacls d /verify`, `icacls d /setowner`, `icacls d /setowner a b`, `icacls d /T`, `icacls d /inheritance:x`, `icacls d\f /reset /T`,
		`takeown`, `takeown /f d /s host`, `takeown /f d /d n /r`, `takeown /f d /d y`,
	} {
		b, m := box(`d\f=`)
		err := Run(context.Background(), b, nil, line)
		if !errors.Is(err, ErrNotOffline) && !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", line, err)
		}
		if got := dacl(t, m, "d"); got != "AI"+dirInherits {
			t.Errorf("%s: %s", line, got)
		}
	}
	// A list that is NULL grants everything; an entry would take that away.
	b, m := box(`d\f=`)
	n, _ := m.get("", root+`\d`)
	n.Security = winsec.NullDACL()
	if err := Run(context.Background(), b, nil, `icacls d /grant Users:R`); !errors.Is(err, ErrNotOffline) {
		t.Error(err)
	}
	n.Security = []byte{1, 2, 3}
	if err := Run(context.Background(), b, nil, `icacls d /grant Users:R`); err == nil {
		t.Error("a descriptor that is no descriptor is changed")
	}
	n.Security = nil
	if err := Run(context.Background(), b, nil, `icacls d /grant Users:R`); !errors.Is(err, ErrNotOffline) {
		t.Error(err)
	}
}
