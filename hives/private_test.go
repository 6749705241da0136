package hives

import "testing"

func TestPrivate(t *testing.T) {
	for path, want := range map[string]bool{
		`Hives\System_Delta`: true, `files\windows\SYSTEM32\Config\sam`: true,
		`Files\Windows\System32\config\SAM.LOG1`: true, `UtilityVM\Files\Windows\System32\config\SYSTEM`: true,
		`Files\Users\Default\NTUSER.DAT`: true, `Files\Users\Default\ntuser.dat.LOG2`: true,
		`Files\Windows\System32\config\systemprofile\x`: false, `Files\SAM`: false, `SAM`: false, ``: false,
	} {
		if Private(path) != want {
			t.Errorf("%q: %v", path, !want)
		}
	}
}
