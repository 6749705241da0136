package cli

import "testing"

func TestPathFilter(t *testing.T) {
	for _, c := range []struct {
		only, exclude, path string
		want                bool
	}{
		{"", "", `Files\a`, true},
		{`Files\Windows`, "", `files\WINDOWS`, true},
		{`Files\Windows`, "", `Files\Windows\System32\x.dll`, true},
		{`Files\Windows`, "", `Files\Windows2`, false},
		{`files/windows/*.ini`, "", `Files\Windows\WIN.INI`, true},
		{`files/windows/*.ini`, "", `Files\Windows\a\WIN.INI`, false},
		{`files/**/*.ini`, "", `Files\Windows\a\WIN.INI`, true},
		{`files/**/*.ini`, "", `Files\win.ini`, true},
		{"*.dll", "", `Files\a\b.dll`, true},
		{"*.dll", "", `Files\a.dll\b`, true},
		{"*.dll", "", `Files\a.dlls`, false},
		{"?.tx?", "", `Files\ä.txt`, true},
		{`HKLM\SOFTWARE`, "", `HKLM\SOFTWARE\Hello`, true},
		{`HKEY_LOCAL_MACHINE\SOFTWARE\A*`, "", `HKLM\SOFTWARE\App`, true},
		{`HKCU\Environment`, "", `HKU\.DEFAULT\Environment`, true},
		{`hkcr\.txt`, "", `HKLM\SOFTWARE\Classes\.txt\x`, true},
		{`HKLM\SYSTEM\CurrentControlSet\Services`, "", `HKLM\SYSTEM\ControlSet002\Services\x`, true},
		{"", `HKLM\SYSTEM\CurrentControlSet`, `HKLM\SYSTEM\ControlSet002\Services`, false},
		{`HKLM\SYSTEM\CurrentControlSet`, "", `HKLM\SYSTEM\ControlSet001`, false},
		{"", `Files\Windows`, `Files\Windows\x`, false},
		{"", `Files\Windows`, `Files\x`, true},
		{"Files", "*.log", `Files\a.log`, false},
		{"**", "", `Files`, true},
		{"*a*a*a*b", "", `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaac`, false},
	} {
		var only, exclude []string
		if c.only != "" {
			only = []string{c.only}
		}
		if c.exclude != "" {
			exclude = []string{c.exclude}
		}
		f, err := newPathFilter(only, exclude)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = f.controlSet(func() (string, error) { return "ControlSet002", nil }); err != nil {
			t.Fatal(err)
		}
		if got := f.keeps(c.path); got != c.want {
			t.Errorf("--only %q --exclude %q, %s: %v", c.only, c.exclude, c.path, got)
		}
	}
	if _, err := newPathFilter([]string{`\`}, nil); err == nil {
		t.Error("an empty pattern is accepted")
	}
}
