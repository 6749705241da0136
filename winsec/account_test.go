package winsec

import (
	"errors"
	"testing"
)

func TestAccountSID(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"Everyone", "S-1-1-0"},
		{"users", "S-1-5-32-545"},
		{`BUILTIN\Users`, "S-1-5-32-545"},
		{"SYSTEM", "S-1-5-18"},
		{`NT AUTHORITY\SYSTEM`, "S-1-5-18"},
		{"Authenticated Users", "S-1-5-11"},
		{"IIS_IUSRS", "S-1-5-32-568"},
		{"IUSR", "S-1-5-17"},
		{"CREATOR OWNER", "S-1-3-0"},
		{"ContainerUser", "S-1-5-93-2-2"},
		{`User Manager\ContainerAdministrator`, "S-1-5-93-2-1"},
		{"*S-1-5-32-544", "S-1-5-32-544"},
		{"s-1-5-19", "S-1-5-19"},
		// Published values of the two kinds of virtual accounts.
		{`NT SERVICE\TrustedInstaller`, TrustedInstaller.String()},
		{`nt service\trustedinstaller`, TrustedInstaller.String()},
		{`IIS APPPOOL\DefaultAppPool`, "S-1-5-82-3006700770-424185619-1745488364-794895919-4004696415"},
	} {
		got, err := AccountSID(c.name)
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	if got := hashedSID(80, "TRUSTEDINSTALLER"); got != TrustedInstaller {
		t.Errorf("hash of the service TrustedInstaller: %s", got)
	}
	for _, name := range []string{"", "*", "bob", `MACHINE\Users`, `BUILTIN\`, `NT SERVICE\`, `CONTOSO\ContainerUser`, "*S-1-x"} {
		if got, err := AccountSID(name); !errors.Is(err, ErrBadSID) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
