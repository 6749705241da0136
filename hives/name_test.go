package hives

import "testing"

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		path string
		name Name
		form Form
	}{
		{`Hives\System_Delta`, System, Delta},
		{`hives\SYSTEM_DELTA`, System, Delta},
		{`Hives\DEFAULTUSER_BASE`, Default, Base},
		{`HIVES\defaultuser_delta`, Default, Delta},
		{`Files\Windows\System32\config\DEFAULT`, Default, Config},
		{`files\windows\system32\CONFIG\sam`, SAM, Config},
		{`Files\Windows\System32\config\SYSTEM_BASE`, 0, 0},
		{`Hives\SYSTEM`, 0, 0},
		{`Hives\DEFAULT_BASE`, 0, 0}, // it is DEFAULTUSER there
		{`SYSTEM_BASE`, 0, 0},
		{`UtilityVM\Files\Windows\System32\config\SYSTEM`, 0, 0},
		{`Hives\sub\System_Delta`, 0, 0},
		{``, 0, 0},
	} {
		n, f, ok := Match(c.path)
		if n != c.name || f != c.form || ok != (c.name != 0) {
			t.Errorf("Match(%q) = %v, %v, %v", c.path, n, f, ok)
		}
	}
	for _, n := range All() {
		for _, f := range []Form{Config, Base, Delta} {
			if gn, gf, ok := Match(n.Path(f)); !ok || gn != n || gf != f {
				t.Errorf("Match(%q) = %v, %v, %v", n.Path(f), gn, gf, ok)
			}
			if got, ok := ParseName(n.File(f)); !ok || got != n {
				t.Errorf("ParseName(%q) = %v, %v", n.File(f), got, ok)
			}
		}
	}
}
