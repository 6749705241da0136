package hives

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/regf"
)

// BootContainerGUID is the identity of the device from which a utility VM boots CimFS.
// hcsshim wrote the same into the boot configuration and the SYSTEM hive
// (docs/spec/layers.md, "Booting a utility VM from its image").
const BootContainerGUID = "{b890454c-80de-4e98-a7ab-56b74b4fbd0c}"

// Setting is one registry value that EnableCimBoot sets.
type Setting struct {
	Key, Value string
	Type       regf.Type
	Data       []byte
}

// CimBootSettings are the values with which the SYSTEM hive of a utility VM boots from a
// CimFS image: the union file system starts at boot, the older wcifs filter does not start
// at all, and boot files are searched in \Windows\.
func CimBootSettings() []Setting {
	return []Setting{
		{`ControlSet001\Control`, "BootContainerGuid", regf.RegSZ, regf.StringData(BootContainerGUID)},
		{`ControlSet001\Services\UnionFS`, "Start", regf.RegDword, regf.Uint32Data(0)},
		{`ControlSet001\Services\wcifs`, "Start", regf.RegDword, regf.Uint32Data(4)},
		{`Setup`, "BootPathOverride", regf.RegSZ, regf.StringData(`\Windows\`)},
	}
}

// ErrNoControlSet reports that a hive has no ControlSet001 and so is no SYSTEM hive.
var ErrNoControlSet = errors.New("hive has no ControlSet001: it is not the SYSTEM hive of a Windows")

// EnableCimBoot sets the CimBootSettings in an open SYSTEM hive. Missing keys below
// ControlSet001 are created; a hive without it is ErrNoControlSet, because hcsshim opens
// that key and does not create it. The caller saves the hive.
func EnableCimBoot(system *regf.Hive) error {
	if _, err := system.Key("ControlSet001"); errors.Is(err, regf.ErrNotFound) {
		return ErrNoControlSet
	} else if err != nil {
		return err
	}
	return set(system, CimBootSettings())
}

// EnableCimBootFile is EnableCimBoot on a file, which is replaced atomically or not
// changed.
func EnableCimBootFile(name string) error {
	h, err := regf.Open(name, nil)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := EnableCimBoot(h); err != nil {
		return err
	}
	return h.WriteImageFile(name, &regf.WriteOptions{Overwrite: true})
}

func set(h *regf.Hive, list []Setting) error {
	for _, s := range list {
		k, err := h.CreatePath(s.Key)
		if err != nil {
			return err
		}
		if s.Value == "" && s.Data == nil { // the key alone
			continue
		}
		if err := k.SetValue(s.Value, s.Type, s.Data); err != nil {
			return fmt.Errorf("set %q of %q: %w", s.Value, s.Key, err)
		}
	}
	return nil
}
