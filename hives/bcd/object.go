package bcd

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// ObjectType is the 32-bit type of an object: its class in bits 28 to 31 (1 an application,
// 2 settings to inherit, 3 device options), for an application the kind of image in bits 20
// to 23, and the application in bits 0 to 19.
type ObjectType uint32

// The object types for which bcdedit has a title.
const (
	TypeFirmwareBootManager ObjectType = 0x10100001
	TypeBootManager         ObjectType = 0x10100002
	TypeLoader              ObjectType = 0x10200003
	TypeResume              ObjectType = 0x10200004
	TypeMemoryTester        ObjectType = 0x10200005
	TypeLegacyLoader        ObjectType = 0x10300006
	TypeBootSector          ObjectType = 0x10400008
	TypeStartup             ObjectType = 0x10400009
	TypeFirmwareApplication ObjectType = 0x101fffff
	TypeInherit             ObjectType = 0x20100000
	TypeInheritLoader       ObjectType = 0x20200003 // also of {hypervisorsettings}
	TypeInheritResume       ObjectType = 0x20200004
	TypeDevice              ObjectType = 0x30000000
)

var objectTitles = map[ObjectType]string{
	TypeFirmwareBootManager: "Firmware Boot Manager",
	TypeBootManager:         "Windows Boot Manager",
	TypeLoader:              "Windows Boot Loader",
	TypeResume:              "Resume from Hibernate",
	TypeMemoryTester:        "Windows Memory Tester",
	TypeLegacyLoader:        "Windows Legacy OS Loader",
	TypeBootSector:          "Real-mode Boot Sector",
	TypeStartup:             "Real-mode Application",
	TypeFirmwareApplication: "Firmware Application (101fffff)",
	TypeInherit:             "Settings to be inherited",
	TypeInheritLoader:       "Boot loader settings",
	TypeInheritResume:       "Resume loader settings",
	TypeDevice:              "Device options",
}

// String returns the title that bcdedit /enum prints above an object.
func (t ObjectType) String() string {
	if s, ok := objectTitles[t]; ok {
		return s
	}
	return fmt.Sprintf("Unknown object type %08x", uint32(t))
}

// aliases are the names that bcdedit shows for well-known objects (MS Learn,
// "BCDEdit command-line options": well-known identifiers).
var aliases = []struct{ name, guid string }{
	{"{bootmgr}", "9dea862c-5cdd-4e70-acc1-f32b344d4795"},
	{"{fwbootmgr}", "a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba"},
	{"{memdiag}", "b2721d73-1db4-4c62-bf78-c548a880142d"},
	{"{ntldr}", "466f5a88-0af2-4f76-9038-095b170dc21c"},
	{"{globalsettings}", "7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e"},
	{"{bootloadersettings}", "6efb52bf-1766-41db-a6b3-0ee5eff72bd7"},
	{"{resumeloadersettings}", "1afa9c49-16ab-4a5c-901b-212802da9460"},
	{"{badmemory}", "5189b25c-5558-4bf2-bca4-289b11bd29e2"},
	{"{emssettings}", "0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9"},
	{"{dbgsettings}", "4636856e-540f-4170-a130-a84776f4c654"},
	{"{hypervisorsettings}", "7ff607e0-4395-11db-b0de-0800200c9a66"},
	{"{ramdiskoptions}", "ae5534e0-a924-466c-b836-758539a3ee3a"},
}

// Alias returns the well-known name of an object, or its GUID in braces.
func Alias(g winfs.GUID) string {
	s := g.String()
	for _, a := range aliases {
		if a.guid == s {
			return a.name
		}
	}
	return "{" + s + "}"
}

// ParseAlias reads a GUID, with or without braces, or a well-known name in braces.
// {default} and {current} depend on the store; see [Store.Resolve].
func ParseAlias(s string) (winfs.GUID, error) {
	for _, a := range aliases {
		if strings.EqualFold(a.name, s) {
			return winfs.ParseGUID(a.guid)
		}
	}
	return winfs.ParseGUID(s)
}
