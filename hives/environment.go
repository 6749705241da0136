package hives

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/regf"
)

// Registry holds the hives of an image from which an environment is composed. A nil hive
// counts as empty, as in an image that has none.
type Registry struct {
	System, Software, Default *regf.Hive
}

// DefaultUser is the account that runs a Windows container unless its configuration names
// another.
const DefaultUser = "ContainerAdministrator"

// Environment composes the variables of a process in a container of the image, in
// the order of Windows (MS Learn, CreateEnvironmentBlock):
//
//  1. the variables that Windows sets itself: SystemRoot and SystemDrive, the program and
//     data folders that the SOFTWARE hive names;
//  2. the machine's: SYSTEM, Control\Session Manager\Environment of the current
//     control set, plain values first, then those with %NAME% in them;
//  3. the name and the profile of the user;
//  4. the default user's: DEFAULT, Environment; its PATH is appended to the
//     machine's, all else replaces;
//  5. the configuration's NAME=value words, which replace.
//
// COMPUTERNAME, which only a running container has, is not among them. user is the
// configuration's user; if it is empty, DefaultUser is used.
func Environment(reg Registry, user string, config []string) (*Env, error) {
	e := &Env{}
	if err := e.addSystem(reg.Software); err != nil {
		return nil, fmt.Errorf("environment from SOFTWARE: %w", err)
	}
	if reg.System != nil {
		set, err := currentControlSet(reg.System)
		if err != nil {
			return nil, fmt.Errorf("environment from SYSTEM: %w", err)
		}
		if err := e.addKey(reg.System, set+`\Control\Session Manager\Environment`, FromMachine); err != nil {
			return nil, fmt.Errorf("environment from SYSTEM: %w", err)
		}
	}
	e.addUser(user)
	if err := e.addKey(reg.Default, `Environment`, FromUser); err != nil {
		return nil, fmt.Errorf("environment from DEFAULT: %w", err)
	}
	e.applyConfig(config)
	return e, nil
}

// currentControlSet follows Select\Current to ControlSet001 or another. A hive
// without Select, such as a minimal one, has ControlSet001.
func currentControlSet(system *regf.Hive) (string, error) {
	n := uint32(1)
	k, err := system.Key("Select")
	if err == nil {
		var found uint32
		if found, err = dwordOf(k, "Current"); err == nil && found > 0 {
			n = found
		}
	}
	if err != nil && !errors.Is(err, regf.ErrNotFound) {
		return "", err
	}
	return fmt.Sprintf("ControlSet%03d", n), nil
}

func (e *Env) addKey(h *regf.Hive, path string, from Source) error {
	if h == nil {
		return nil
	}
	k, err := h.Key(path)
	if errors.Is(err, regf.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var settings []setting
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		// Windows uses strings and skips everything else.
		if t := v.Type(); v.Tombstone() || t != regf.RegSZ && t != regf.RegExpandSZ {
			continue
		}
		s, err := v.AsString()
		if err != nil {
			return err
		}
		settings = append(settings, setting{v.Name(), s, v.Type() == regf.RegExpandSZ})
	}
	e.apply(settings, from)
	return nil
}

// folderVariables are the variables that Windows derives from values of the
// SOFTWARE hive.
var folderVariables = []struct{ key, value, name string }{
	{`Microsoft\Windows NT\CurrentVersion`, "SystemRoot", "SystemRoot"},
	{`Microsoft\Windows NT\CurrentVersion\ProfileList`, "ProgramData", "ALLUSERSPROFILE"},
	{`Microsoft\Windows NT\CurrentVersion\ProfileList`, "ProgramData", "ProgramData"},
	{`Microsoft\Windows NT\CurrentVersion\ProfileList`, "Public", "PUBLIC"},
	{`Microsoft\Windows\CurrentVersion`, "ProgramFilesDir", "ProgramFiles"},
	{`Microsoft\Windows\CurrentVersion`, "ProgramFilesDir (x86)", "ProgramFiles(x86)"},
	{`Microsoft\Windows\CurrentVersion`, "ProgramW6432Dir", "ProgramW6432"},
	{`Microsoft\Windows\CurrentVersion`, "CommonFilesDir", "CommonProgramFiles"},
	{`Microsoft\Windows\CurrentVersion`, "CommonFilesDir (x86)", "CommonProgramFiles(x86)"},
	{`Microsoft\Windows\CurrentVersion`, "CommonW6432Dir", "CommonProgramW6432"},
}

func (e *Env) addSystem(software *regf.Hive) error {
	e.Set("SystemDrive", `C:`, FromSystem)
	e.Set("SystemRoot", `C:\Windows`, FromSystem)
	if software != nil {
		for _, f := range folderVariables {
			k, err := software.Key(f.key)
			if err == nil {
				var s string
				if s, err = stringOf(k, f.value); err == nil && s != "" {
					e.Set(f.name, e.Expand(s), FromSystem)
				}
			}
			if err != nil && !errors.Is(err, regf.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

func (e *Env) addUser(user string) {
	// The profile of "DOMAIN\name" or "name@domain" is that of the name; an image has no
	// other information about its user.
	if i := strings.LastIndexByte(user, '\\'); i >= 0 {
		user = user[i+1:]
	}
	user, _, _ = strings.Cut(user, "@")
	if user == "" {
		user = DefaultUser
	}
	drive, _ := e.Get("SystemDrive")
	profile := drive + `\Users\` + user
	for _, v := range []struct{ name, value string }{
		{"USERNAME", user},
		{"USERPROFILE", profile},
		{"APPDATA", profile + `\AppData\Roaming`},
		{"LOCALAPPDATA", profile + `\AppData\Local`},
	} {
		e.Set(v.name, v.value, FromSystem)
	}
}
