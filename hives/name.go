package hives

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// Name is one of the five hives that a layer carries.
type Name uint8

// The five hives, in the order in which hcsshim handles them.
const (
	Default Name = iota + 1
	SAM
	Security
	Software
	System
)

// Form is one of the three forms of a hive in a layer.
type Form uint8

const (
	// Config is the hive file of the running system:
	// Files\Windows\System32\config\SYSTEM. In a base layer it is the hive.
	Config Form = iota + 1
	// Base is the complete hive of a layer with all below it: Hives\SYSTEM_BASE. In a
	// base layer it is the same file as Config, in another the result of a merge.
	Base
	// Delta is the changes of a layer with parents: Hives\System_Delta, a differencing
	// hive.
	Delta
)

// String returns config, base or delta.
func (f Form) String() string {
	switch f {
	case Config:
		return "config"
	case Base:
		return "base"
	case Delta:
		return "delta"
	}
	return "invalid form"
}

// The directories that hold hives, relative to the layer's root.
const (
	ConfigDir = `Files\Windows\System32\config`
	HivesDir  = `Hives`
)

// spellings holds the spelling of each name in each form (docs/spec/layers.md, "Hives of
// a layer"). The deltas are spelled as Windows exports them, in mixed case.
var spellings = map[Name][3]string{
	Default:  {"DEFAULT", "DEFAULTUSER_BASE", "DefaultUser_Delta"},
	SAM:      {"SAM", "SAM_BASE", "Sam_Delta"},
	Security: {"SECURITY", "SECURITY_BASE", "Security_Delta"},
	Software: {"SOFTWARE", "SOFTWARE_BASE", "Software_Delta"},
	System:   {"SYSTEM", "SYSTEM_BASE", "System_Delta"},
}

// All returns the five names in order.
func All() []Name { return []Name{Default, SAM, Security, Software, System} }

// String returns the name of the hive file in the config directory, SYSTEM.
func (n Name) String() string {
	if s, ok := spellings[n]; ok {
		return s[0]
	}
	return "invalid hive"
}

// MarshalText returns the name as String does; the zero value is empty.
func (n Name) MarshalText() ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if _, ok := spellings[n]; !ok {
		return nil, fmt.Errorf("hive number %d has no name", n)
	}
	return []byte(n.String()), nil
}

// UnmarshalText reads what MarshalText returns.
func (n *Name) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*n = 0
		return nil
	}
	name, ok := ParseName(string(b))
	if !ok {
		return fmt.Errorf("%q is not the name of a hive", b)
	}
	*n = name
	return nil
}

// File returns the file name in the given form: SYSTEM, SYSTEM_BASE or
// System_Delta.
func (n Name) File(f Form) string {
	s, ok := spellings[n]
	if !ok || f < Config || f > Delta {
		return ""
	}
	return s[f-1]
}

// Path returns the path in a layer of the given form.
func (n Name) Path(f Form) string {
	if f == Config {
		return ConfigDir + `\` + n.File(f)
	}
	return HivesDir + `\` + n.File(f)
}

// Match returns the hive, and its form, for a path in a layer. Case does not matter: images
// contain System_Delta, hcsshim looks for SYSTEM_DELTA.
func Match(path string) (Name, Form, bool) {
	i := strings.LastIndexByte(path, '\\')
	if i < 0 {
		return 0, 0, false
	}
	dir, file := path[:i], path[i+1:]
	forms := [2]Form{Base, Delta}
	switch { // letters of ASCII fold only to each other
	case len(dir) == len(HivesDir) && winfs.EqualFold(dir, HivesDir):
	case len(dir) == len(ConfigDir) && winfs.EqualFold(dir, ConfigDir):
		forms = [2]Form{Config, Config}
	default:
		return 0, 0, false
	}
	for _, n := range All() {
		for _, f := range forms {
			if winfs.EqualFold(file, n.File(f)) {
				return n, f, true
			}
		}
	}
	return 0, 0, false
}

// ParseName reads the name of a hive in any form and case: "system",
// "SYSTEM_BASE", "DefaultUser_Delta".
func ParseName(s string) (Name, bool) {
	for _, n := range All() {
		for _, spelling := range spellings[n] {
			if winfs.EqualFold(s, spelling) {
				return n, true
			}
		}
	}
	return 0, false
}
