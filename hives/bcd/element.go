package bcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// ElementType is the 32-bit code of an element: its class in bits 28 to 31, the
// format of its value in bits 24 to 27, its meaning in the rest. It is the name of
// the element's key, as eight lower-case hexadecimal digits.
type ElementType uint32

// Class is the set of programs that understand an element.
type Class uint8

// The classes (MS Learn, "BCD element types").
const (
	ClassLibrary     Class = 1 // every boot application
	ClassApplication Class = 2 // the application that the object's type names
	ClassDevice      Class = 3 // device options
	ClassTemplate    Class = 4 // setup templates, hidden from bcdedit
	ClassOEM         Class = 5
)

// Format is the stored form of a value.
type Format uint8

// The formats with their stored form in the hive.
const (
	FormatDevice      Format = 1 // REG_BINARY, see Device
	FormatString      Format = 2 // REG_SZ
	FormatObject      Format = 3 // REG_SZ, one GUID in braces
	FormatObjectList  Format = 4 // REG_MULTI_SZ of GUIDs in braces
	FormatInteger     Format = 5 // REG_BINARY, 8 bytes little-endian, shorter in old stores
	FormatBoolean     Format = 6 // REG_BINARY, 1 byte
	FormatIntegerList Format = 7 // REG_BINARY, 8 bytes each
)

// Class returns bits 28 to 31.
func (t ElementType) Class() Class { return Class(t >> 28) }

// Format returns bits 24 to 27.
func (t ElementType) Format() Format { return Format(t >> 24 & 0xF) }

// The element types that this package uses in code. The tables below have the others with a
// public name.
const (
	ApplicationDevice ElementType = 0x11000001
	ApplicationPath   ElementType = 0x12000002
	Description       ElementType = 0x12000004
	PreferredLocale   ElementType = 0x12000005
	Inherit           ElementType = 0x14000006
	RestartOnFailure  ElementType = 0x16000053 // as written by bcdedit for boot applications (docs/spec/layers.md, "Booting a utility VM from its image")

	BootMgrDisplayOrder  ElementType = 0x24000001
	BootMgrBootSequence  ElementType = 0x24000002
	BootMgrDefaultObject ElementType = 0x23000003
	BootMgrTimeout       ElementType = 0x25000004
	BootMgrToolsOrder    ElementType = 0x24000010

	OSDevice   ElementType = 0x21000001
	SystemRoot ElementType = 0x22000002

	// The CimFS elements. Their names and codes are public; the encoding of their devices
	// is not: SetDevice refuses them.
	CimFSRootDirectory ElementType = 0x32000011
	CimFSParentDevice  ElementType = 0x31000012
	PrimaryDevice      ElementType = 0x3100000E // of a composite device
	SecondaryDevice    ElementType = 0x3100000F
)

// libraryNames are elements of class library, by the words of bcdedit (MS Learn,
// "BcdLibraryElementTypes enumeration" and the help of bcdedit).
var libraryNames = map[ElementType]string{
	0x11000001: "device",
	0x12000002: "path",
	0x12000004: "description",
	0x12000005: "locale",
	0x14000006: "inherit",
	0x15000007: "truncatememory",
	0x14000008: "recoverysequence",
	0x16000009: "recoveryenabled",
	0x1700000a: "badmemorylist",
	0x1600000b: "badmemoryaccess",
	0x1500000c: "firstmegabytepolicy",
	0x1500000d: "relocatephysical",
	0x1500000e: "avoidlowmemory",
	0x1600000f: "traditionalkseg",
	0x16000010: "bootdebug",
	0x15000011: "debugtype",
	0x15000012: "debugaddress",
	0x15000013: "debugport",
	0x15000014: "baudrate",
	0x15000015: "channel",
	0x12000016: "targetname",
	0x16000017: "noumex",
	0x15000018: "debugstart",
	0x12000019: "busparams",
	0x1500001a: "hostip",
	0x1500001b: "port",
	0x1600001c: "dhcp",
	0x1200001d: "key",
	0x1600001e: "vm",
	0x16000020: "bootems",
	0x15000022: "emsport",
	0x15000023: "emsbaudrate",
	0x12000030: "loadoptions",
	0x16000040: "advancedoptions",
	0x16000041: "optionsedit",
	0x15000042: "keyringaddress",
	0x11000043: "bootstatdevice",
	0x12000044: "bootstatfilepath",
	0x16000045: "preservebootstat",
	0x16000046: "graphicsmodedisabled",
	0x15000047: "configaccesspolicy",
	0x16000048: "nointegritychecks",
	0x16000049: "testsigning",
	0x1200004a: "fontpath",
	0x1500004b: "integrityservices",
	0x1500004c: "volumebandid",
	0x16000050: "extendedinput",
	0x15000051: "initialconsoleinput",
	0x15000052: "graphicsresolution",
	0x16000053: "restartonfailure",
	0x16000054: "highestmode",
	0x16000060: "isolatedcontext",
	0x15000065: "displaymessage",
	0x15000066: "displaymessageoverride",
	0x16000068: "nobootuxtext",
	0x16000069: "nobootuxprogress",
	0x1600006a: "nobootuxfade",
	0x1600006c: "bootuxdisabled",
	0x17000077: "allowedinmemorysettings",
	0x1600007b: "forcefipscrypto",
}

// bootMgrNames are the application elements of the boot manager.
var bootMgrNames = map[ElementType]string{
	0x24000001: "displayorder",
	0x24000002: "bootsequence",
	0x23000003: "default",
	0x25000004: "timeout",
	0x26000005: "resume",
	0x23000006: "resumeobject",
	0x24000010: "toolsdisplayorder",
	0x26000020: "displaybootmenu",
	0x26000021: "noerrordisplay",
	0x21000022: "bcddevice",
	0x22000023: "bcdfilepath",
	0x26000028: "processcustomactionsfirst",
	0x27000030: "customactions",
	0x26000031: "persistbootsequence",
}

// loaderNames are the application elements of the Windows loader.
var loaderNames = map[ElementType]string{
	0x21000001: "osdevice",
	0x22000002: "systemroot",
	0x23000003: "resumeobject",
	0x26000004: "stampdisks",
	0x26000010: "detecthal",
	0x22000011: "kernel",
	0x22000012: "hal",
	0x22000013: "dbgtransport",
	0x25000020: "nx",
	0x25000021: "pae",
	0x26000022: "winpe",
	0x26000024: "nocrashautoreboot",
	0x26000025: "lastknowngood",
	0x26000026: "oslnointegritychecks",
	0x26000027: "osltestsigning",
	0x26000030: "nolowmem",
	0x25000031: "removememory",
	0x25000032: "increaseuserva",
	0x25000033: "perfmem",
	0x26000040: "vga",
	0x26000041: "quietboot",
	0x26000042: "novesa",
	0x26000043: "novga",
	0x25000050: "clustermodeaddressing",
	0x26000051: "usephysicaldestination",
	0x25000052: "restrictapiccluster",
	0x22000053: "evstore",
	0x26000054: "uselegacyapicmode",
	0x25000055: "x2apicpolicy",
	0x26000060: "onecpu",
	0x25000061: "numproc",
	0x26000062: "maxproc",
	0x25000063: "configflags",
	0x26000064: "maxgroup",
	0x26000065: "groupaware",
	0x25000066: "groupsize",
	0x26000070: "usefirmwarepcisettings",
	0x25000071: "msi",
	0x25000072: "pciexpress",
	0x25000080: "safeboot",
	0x26000081: "safebootalternateshell",
	0x26000090: "bootlog",
	0x26000091: "sos",
	0x260000a0: "debug",
	0x260000a1: "halbreakpoint",
	0x260000a2: "useplatformclock",
	0x260000a3: "forcelegacyplatform",
	0x260000a4: "useplatformtick",
	0x260000a5: "disabledynamictick",
	0x250000a6: "tscsyncpolicy",
	0x260000b0: "ems",
	0x250000c0: "forcefailure",
	0x250000c1: "driverloadfailurepolicy",
	0x250000c2: "bootmenupolicy",
	0x260000c3: "onetimeadvancedoptions",
	0x260000c4: "onetimeoptionsedit",
	0x250000e0: "bootstatuspolicy",
	0x260000e1: "disableelamdrivers",
	0x250000f0: "hypervisorlaunchtype",
	0x220000f1: "hypervisorpath",
	0x260000f2: "hypervisordebug",
	0x250000f3: "hypervisordebugtype",
	0x250000f4: "hypervisordebugport",
	0x250000f5: "hypervisorbaudrate",
	0x250000f6: "hypervisorchannel",
	0x250000f7: "bootux",
	0x220000f9: "hypervisorbusparams",
	0x250000fa: "hypervisornumproc",
	0x250000fb: "hypervisorrootprocpernode",
	0x260000fc: "hypervisoruselargevtlb",
	0x250000fd: "hypervisorhostip",
	0x250000fe: "hypervisorhostport",
	0x250000ff: "hypervisordebugpages",
	0x25000100: "tpmbootentropy",
	0x22000110: "hypervisorusekey",
	0x22000112: "hypervisorproductskutype",
	0x25000113: "hypervisorrootproc",
	0x26000114: "hypervisordhcp",
	0x25000115: "hypervisoriommupolicy",
	0x26000116: "hypervisorusevapic",
	0x22000117: "hypervisorloadoptions",
	0x25000118: "hypervisormsrfilterpolicy",
	0x25000119: "hypervisormmionxpolicy",
	0x2500011a: "hypervisorschedulertype",
	0x25000120: "xsavepolicy",
	0x25000121: "xsaveaddfeature0",
	0x25000122: "xsaveaddfeature1",
	0x25000123: "xsaveaddfeature2",
	0x25000124: "xsaveaddfeature3",
	0x25000125: "xsaveaddfeature4",
	0x25000126: "xsaveaddfeature5",
	0x25000127: "xsaveaddfeature6",
	0x25000128: "xsaveaddfeature7",
	0x25000129: "xsaveremovefeature",
	0x2500012a: "xsaveprocessorsmask",
	0x2500012b: "xsavedisable",
	0x25000142: "vsmlaunchtype",
	0x25000144: "hypervisorenforcedcodeintegrity",
}

// resumeNames are the application elements of the resume loader.
var resumeNames = map[ElementType]string{
	0x21000001: "filedevice",
	0x22000002: "filepath",
	0x26000003: "customsettings",
	0x26000004: "pae",
	0x21000005: "associatedosdevice",
	0x26000006: "debugoptionenabled",
	0x25000007: "bootux",
	0x25000008: "bootmenupolicy",
}

// memtestNames are the application elements of the memory tester.
var memtestNames = map[ElementType]string{
	0x25000001: "passcount",
	0x25000002: "testmix",
	0x25000003: "failurecount",
	0x25000004: "testtofail",
	0x26000020: "cacheenable",
}

// deviceNames are the elements of device options (MS Learn,
// "BcdDeviceObjectElementTypes"; the CimFS ones from docs/spec/cimfs.md, "Devices that
// boot from an image").
var deviceNames = map[ElementType]string{
	0x35000001: "ramdiskimageoffset",
	0x35000002: "ramdisktftpclientport",
	0x31000003: "ramdisksdidevice",
	0x32000004: "ramdisksdipath",
	0x35000005: "ramdiskimagelength",
	0x36000006: "exportascd",
	0x35000007: "ramdisktftpblocksize",
	0x35000008: "ramdisktftpwindowsize",
	0x36000009: "ramdiskmcenabled",
	0x3600000a: "ramdiskmctftpfallback",
	0x3600000b: "ramdisktftpvarwindow",
	0x3100000e: "primarydevice",
	0x3100000f: "secondarydevice",
	0x32000011: "cimfsrootdirectory",
	0x31000012: "cimfsparentdevice",
}

// namesFor returns the tables that apply to an object of the given type.
func namesFor(object ObjectType) []map[ElementType]string {
	out := []map[ElementType]string{libraryNames, deviceNames}
	switch object {
	case TypeFirmwareBootManager, TypeBootManager:
		out = append(out, bootMgrNames)
	case TypeLoader, TypeInheritLoader:
		out = append(out, loaderNames)
	case TypeResume, TypeInheritResume:
		out = append(out, resumeNames)
	case TypeMemoryTester:
		out = append(out, memtestNames)
	}
	return out
}

// ElementName returns bcdedit's name for an element of an object of the given type, or
// "custom:xxxxxxxx" as bcdedit does for elements without a name.
func ElementName(object ObjectType, t ElementType) string {
	for _, names := range namesFor(object) {
		if n, ok := names[t]; ok {
			return n
		}
	}
	return fmt.Sprintf("custom:%08x", uint32(t))
}

// ElementByName is the inverse of [ElementName].
func ElementByName(object ObjectType, name string) (ElementType, error) {
	for _, names := range namesFor(object) {
		for t, n := range names {
			if strings.EqualFold(n, name) {
				return t, nil
			}
		}
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(name), "custom:"); ok {
		hex = strings.TrimPrefix(hex, "0x")
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			return ElementType(n), nil
		}
	}
	return 0, fmt.Errorf("element %q: %w", name, ErrUnknownElement)
}

// Errors of elements.
var (
	ErrUnknownElement = errors.New("no such BCD element")
	ErrElementFormat  = errors.New("BCD element has another format")
	ErrBadElement     = errors.New("malformed BCD element")
)

// Value is the value of an element. Exactly one of the fields is meaningful, the one
// selected by the element's format; Raw holds the stored bytes of a value of an unknown
// format.
type Value struct {
	Format   Format
	Device   Device
	Text     string
	Objects  []winfs.GUID // one for FormatObject
	Integers []uint64     // one for FormatInteger
	Bool     bool
	Raw      []byte
}

// String formats the value as bcdedit prints it, lists separated by spaces.
func (v Value) String() string {
	switch v.Format {
	case FormatDevice:
		return v.Device.String()
	case FormatString:
		return v.Text
	case FormatObject, FormatObjectList:
		out := make([]string, len(v.Objects))
		for i, g := range v.Objects {
			out[i] = Alias(g)
		}
		return strings.Join(out, " ")
	case FormatInteger, FormatIntegerList:
		out := make([]string, len(v.Integers))
		for i, n := range v.Integers {
			out[i] = strconv.FormatUint(n, 10)
		}
		return strings.Join(out, " ")
	case FormatBoolean:
		if v.Bool {
			return "Yes"
		}
		return "No"
	}
	return fmt.Sprintf("%x", v.Raw)
}

// Constructors for the values of the public formats.

// TextValue is a FormatString value.
func TextValue(s string) Value { return Value{Format: FormatString, Text: s} }

// BoolValue is a FormatBoolean value.
func BoolValue(b bool) Value { return Value{Format: FormatBoolean, Bool: b} }

// IntegerValue is a FormatInteger value.
func IntegerValue(n uint64) Value { return Value{Format: FormatInteger, Integers: []uint64{n}} }

// ObjectValue is a FormatObject value.
func ObjectValue(g winfs.GUID) Value { return Value{Format: FormatObject, Objects: []winfs.GUID{g}} }

// ObjectListValue is a FormatObjectList value.
func ObjectListValue(g ...winfs.GUID) Value { return Value{Format: FormatObjectList, Objects: g} }

// ParseValue reads a value in the syntax of bcdedit /set: yes, no, on, off, true, false and
// 1 or 0 for a boolean, decimal or 0x numbers, GUIDs or their aliases. Devices have their
// own syntax; see [ParseDevice].
func ParseValue(f Format, text string) (Value, error) {
	bad := func() (Value, error) { return Value{}, fmt.Errorf("value %q: %w", text, ErrBadElement) }
	switch f {
	case FormatString:
		return TextValue(text), nil
	case FormatBoolean:
		switch strings.ToLower(text) {
		case "yes", "on", "true", "1":
			return BoolValue(true), nil
		case "no", "off", "false", "0":
			return BoolValue(false), nil
		}
		return bad()
	case FormatInteger, FormatIntegerList:
		v := Value{Format: f}
		for _, w := range strings.Fields(text) {
			n, err := strconv.ParseUint(w, 0, 64)
			if err != nil {
				return bad()
			}
			v.Integers = append(v.Integers, n)
		}
		if f == FormatInteger && len(v.Integers) != 1 {
			return bad()
		}
		return v, nil
	case FormatObject, FormatObjectList:
		v := Value{Format: f}
		for _, w := range strings.Fields(text) {
			g, err := ParseAlias(w)
			if err != nil {
				return Value{}, err
			}
			v.Objects = append(v.Objects, g)
		}
		if f == FormatObject && len(v.Objects) != 1 {
			return bad()
		}
		return v, nil
	}
	return Value{}, fmt.Errorf("format %d: %w", f, ErrElementFormat)
}

// Registry types of stored elements.
const (
	regSZ      = 1
	regBinary  = 3
	regMultiSZ = 7
)

// decodeValue decodes the registry value Element.
func decodeValue(t ElementType, regType uint32, data []byte) (Value, error) {
	v := Value{Format: t.Format(), Raw: data}
	bad := func() (Value, error) {
		return v, fmt.Errorf("element %08x: registry type %d, %d bytes: %w", uint32(t), regType, len(data), ErrBadElement)
	}
	switch v.Format {
	case FormatDevice:
		d, err := decodeDevice(data)
		if regType != regBinary || err != nil {
			return bad()
		}
		v.Device = d
	case FormatString:
		if regType != regSZ || len(data)%2 != 0 {
			return bad()
		}
		v.Text = cutNUL(winfs.DecodeUTF16LE(data))
	case FormatObject:
		if regType != regSZ {
			return bad()
		}
		g, err := winfs.ParseGUID(cutNUL(winfs.DecodeUTF16LE(data)))
		if err != nil {
			return bad()
		}
		v.Objects = []winfs.GUID{g}
	case FormatObjectList:
		if regType != regMultiSZ {
			return bad()
		}
		for _, s := range strings.Split(winfs.DecodeUTF16LE(data), "\x00") {
			if s == "" {
				continue
			}
			g, err := winfs.ParseGUID(s)
			if err != nil {
				return bad()
			}
			v.Objects = append(v.Objects, g)
		}
	case FormatInteger:
		if regType != regBinary || len(data) == 0 || len(data) > 8 {
			return bad()
		}
		var b [8]byte
		copy(b[:], data)
		v.Integers = []uint64{binary.LittleEndian.Uint64(b[:])}
	case FormatBoolean:
		if regType != regBinary || len(data) == 0 {
			return bad()
		}
		v.Bool = data[0] != 0
	case FormatIntegerList:
		if regType != regBinary || len(data)%8 != 0 {
			return bad()
		}
		for i := 0; i < len(data); i += 8 {
			v.Integers = append(v.Integers, binary.LittleEndian.Uint64(data[i:]))
		}
	}
	return v, nil
}

// encodeValue is the inverse of decodeValue for the public formats.
func encodeValue(v Value) (regType uint32, data []byte, err error) {
	text := regf.StringData
	braces := func(g winfs.GUID) string { return "{" + g.String() + "}" }
	switch v.Format {
	case FormatString:
		if strings.ContainsRune(v.Text, 0) || !winfs.ValidWTF8(v.Text) {
			return 0, nil, ErrBadElement
		}
		return regSZ, text(v.Text), nil
	case FormatObject:
		if len(v.Objects) != 1 {
			return 0, nil, ErrBadElement
		}
		return regSZ, text(braces(v.Objects[0])), nil
	case FormatObjectList:
		for _, g := range v.Objects {
			data = append(data, text(braces(g))...)
		}
		return regMultiSZ, append(data, 0, 0), nil
	case FormatInteger:
		if len(v.Integers) != 1 {
			return 0, nil, ErrBadElement
		}
		return regBinary, binary.LittleEndian.AppendUint64(nil, v.Integers[0]), nil
	case FormatBoolean:
		if v.Bool {
			return regBinary, []byte{1}, nil
		}
		return regBinary, []byte{0}, nil
	case FormatIntegerList:
		for _, n := range v.Integers {
			data = binary.LittleEndian.AppendUint64(data, n)
		}
		return regBinary, data, nil
	case FormatDevice:
		data, err := v.Device.encode()
		return regBinary, data, err
	}
	return 0, nil, ErrElementFormat
}

func cutNUL(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}
