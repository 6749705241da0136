package hives

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/regf"
)

// ErrOtherHive reports that the path of a key names another hive than the one that it is
// looked up in.
var ErrOtherHive = errors.New("the key is in another hive")

// Identify returns which hive h is, judged by the keys below its root. A delta hive is
// recognised as the hive that it changes, the hive of a user as Default. ok is false if
// the keys fit none of the five or more than one, as in an empty hive.
func Identify(h *regf.Hive) (n Name, ok bool) {
	has := func(paths ...string) bool {
		for _, p := range paths {
			if _, err := h.Key(p); err != nil {
				return false
			}
		}
		return true
	}
	fits := map[Name]bool{
		System:   has("Select") || has("ControlSet001") || has("ControlSet002"),
		Software: has(`Microsoft\Windows NT`) || has(`Microsoft\Windows`) || has("Microsoft", "Classes"),
		SAM:      has(`SAM\Domains`),
		Security: has("Policy", "RXACT") || has("Policy", "Cache") || has(`Policy\Accounts`),
		Default:  has("Software", "Environment") || has("Control Panel") || has(`Software\Microsoft\Windows`),
	}
	for _, candidate := range All() {
		if fits[candidate] {
			if ok {
				return 0, false
			}
			n, ok = candidate, true
		}
	}
	return n, ok
}

// place is where the registry shows a hive.
type place struct {
	hive  Name     // 0 if it is not one of the five
	other bool     // one that Windows has besides the five, such as HKLM\HARDWARE
	names int      // of the path, that lead to the root of the hive
	user  bool     // the place of one user, who has a hive of his own
	below []string // keys below the root at which the place begins
}

// placeOf returns the place with which a path begins, in the notation of reg.exe, of
// regedit, or of PowerShell (HKLM:\SOFTWARE). ok is false if it begins with none.
func placeOf(names []string) (p place, ok bool) {
	if len(names) == 0 {
		return p, false
	}
	second := ""
	if len(names) > 1 {
		second = strings.ToUpper(names[1])
	}
	switch strings.ToUpper(strings.TrimSuffix(names[0], ":")) {
	case "HKLM", "HKEY_LOCAL_MACHINE":
		p = place{names: min(2, len(names))}
		switch second {
		case "SYSTEM":
			p.hive = System
		case "SOFTWARE":
			p.hive = Software
		case "SAM":
			p.hive = SAM
		case "SECURITY":
			p.hive = Security
		case "HARDWARE", "COMPONENTS", "DRIVERS", "BCD00000000", "ELAM":
			p.other = true
		}
		return p, true
	case "HKU", "HKEY_USERS":
		p = place{names: min(2, len(names))}
		if second == ".DEFAULT" || strings.HasPrefix(second, "S-1-5-") {
			p.hive = Default
			p.user = second != ".DEFAULT" && second != "S-1-5-18" // LocalSystem has that of .DEFAULT
		}
		return p, true
	case "HKCU", "HKEY_CURRENT_USER":
		return place{hive: Default, names: 1}, true
	case "HKCR", "HKEY_CLASSES_ROOT":
		return place{hive: Software, names: 1, below: []string{"Classes"}}, true
	}
	return p, false
}

// ParseKeyPath splits the path of a key in the registry into the hive and the path below
// the root of the hive, in which control sets are not resolved. It may begin with a place
// such as HKLM\SOFTWARE, HKEY_USERS\.DEFAULT or S-1-5-18, HKCU (the default user) or HKCR (the classes
// in SOFTWARE), or with the name of the hive, SOFTWARE. ok is false for any other path.
func ParseKeyPath(path string) (n Name, below string, ok bool) {
	names := regf.SplitPath(path)
	if p, found := placeOf(names); found {
		if p.hive == 0 || p.user {
			return 0, "", false
		}
		return p.hive, regf.JoinPath(append(p.below, names[p.names:]...)...), true
	}
	if len(names) > 0 {
		if n, ok = ParseName(names[0]); ok {
			return n, regf.JoinPath(names[1:]...), true
		}
	}
	return 0, "", false
}

// ResolveKey returns the path below the root of a hive that the path of a key in the
// registry means. Three things are not in a hive file, and are removed or replaced: the
// place where the registry shows the hive (HKLM\SYSTEM and the forms of ParseKeyPath), the
// name of the hive, and CurrentControlSet, which is the control set that Select\Current
// names, ControlSet001 without Select. A name that the root of the hive has as a key is
// that key, and a path that begins with a backslash is returned as it is.
//
// Named is the hive that h is said to be, by its file name for instance, or 0; it counts
// only where Identify cannot tell. If the place is that of another hive, the error is
// ErrOtherHive.
func ResolveKey(h *regf.Hive, named Name, path string) (string, error) {
	names := regf.SplitPath(path)
	if len(names) == 0 || strings.HasPrefix(path, `\`) {
		return path, nil
	}
	real := func(name string) bool { _, err := h.Root().Subkey(name); return err == nil }
	if !h.Root().Valid() || real(names[0]) {
		return path, nil
	}
	is, known := Identify(h)
	if !known {
		is = named
	}
	if p, ok := placeOf(names); ok {
		switch {
		case p.other && is != 0, p.hive != 0 && is != 0 && p.hive != is:
			return "", fmt.Errorf("%w: this is %s, and the key is below %s", ErrOtherHive, is, regf.JoinPath(names[:p.names]...))
		case is == 0:
			is = p.hive
		}
		names = append(p.below, names[p.names:]...)
	} else if n, ok := ParseName(names[0]); ok && n == is {
		names = names[1:]
	}
	if len(names) > 0 && strings.EqualFold(names[0], "CurrentControlSet") && is == System && !real(names[0]) {
		set, err := currentControlSet(h)
		if err != nil {
			return "", err
		}
		names = append([]string{set}, names[1:]...)
	}
	return regf.JoinPath(names...), nil
}
