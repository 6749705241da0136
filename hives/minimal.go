package hives

import (
	"fmt"
	"strconv"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// builds are the versions of Windows for which base images of containers exist.
var builds = map[uint32]OSVersion{
	14393: {Major: 10, Build: 14393, ProductName: "Windows Server 2016 Datacenter", DisplayVersion: "1607"},
	17763: {Major: 10, Build: 17763, ProductName: "Windows Server 2019 Datacenter", DisplayVersion: "1809"},
	20348: {Major: 10, Build: 20348, ProductName: "Windows Server 2022 Datacenter", DisplayVersion: "21H2"},
	26100: {Major: 10, Build: 26100, ProductName: "Windows Server 2025 Datacenter", DisplayVersion: "24H2"},
}

// ServerCore returns the version information in a SOFTWARE hive of Windows Server, for the
// build given. Names are filled in for the builds with base images from Microsoft.
func ServerCore(build, ubr uint32) OSVersion {
	v, ok := builds[build]
	if !ok {
		v = OSVersion{Major: 10, Build: build}
	}
	v.UBR, v.HasUBR = ubr, true
	v.Edition, v.InstallationType = "ServerDatacenter", "Server Core"
	return v
}

// Minimal returns a valid hive for a base layer that is made from nothing: the keys that
// programs which read images look for, and the parents of those that Windows creates.
// SOFTWARE contains the version v, unless v has no build. Equal arguments produce equal
// bytes; no key has a time.
//
// Readers accept these hives. Whether Windows starts from them is unknown.
func Minimal(n Name, v OSVersion) ([]byte, error) {
	list, ok := minimal[n]
	if !ok {
		return nil, fmt.Errorf("minimal hive: %v: %w", n, regf.ErrInvalid)
	}
	h := regf.New(&regf.Options{Clock: func() winfs.Filetime { return 0 }})
	defer h.Close()
	if err := set(h, list); err != nil {
		return nil, err
	}
	if n == Software && v.Build != 0 {
		if err := set(h, versionSettings(v)); err != nil {
			return nil, err
		}
	}
	return h.Compact(nil)
}

func text(key, value, s string) Setting { return Setting{key, value, regf.RegSZ, regf.StringData(s)} }

func expand(key, value, s string) Setting {
	return Setting{key, value, regf.RegExpandSZ, regf.StringData(s)}
}

func number(key, value string, n uint32) Setting {
	return Setting{key, value, regf.RegDword, regf.Uint32Data(n)}
}

func bare(key string) Setting { return Setting{Key: key} }

const (
	machineEnvironment = `ControlSet001\Control\Session Manager\Environment`
	profileList        = versionKey + `\ProfileList`
	windowsKey         = `Microsoft\Windows\CurrentVersion`
)

var minimal = map[Name][]Setting{
	System: {
		number(`Select`, "Current", 1),
		number(`Select`, "Default", 1),
		number(`Select`, "Failed", 0),
		number(`Select`, "LastKnownGood", 1),
		expand(machineEnvironment, "ComSpec", `%SystemRoot%\system32\cmd.exe`),
		text(machineEnvironment, "OS", "Windows_NT"),
		expand(machineEnvironment, "Path", `%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\System32\Wbem;%SYSTEMROOT%\System32\WindowsPowerShell\v1.0\`),
		text(machineEnvironment, "PATHEXT", ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC"),
		text(machineEnvironment, "PROCESSOR_ARCHITECTURE", "AMD64"),
		expand(machineEnvironment, "TEMP", `%SystemRoot%\TEMP`),
		expand(machineEnvironment, "TMP", `%SystemRoot%\TEMP`),
		expand(machineEnvironment, "windir", `%SystemRoot%`),
		bare(`ControlSet001\Services`),
		bare(`ControlSet001\Enum`),
		bare(`ControlSet001\Hardware Profiles`),
		bare(`MountedDevices`),
		number(`Setup`, "SystemSetupInProgress", 0),
	},
	Software: {
		bare(`Classes`),
		text(versionKey, "SystemRoot", `C:\Windows`),
		expand(profileList, "Default", `%SystemDrive%\Users\Default`),
		expand(profileList, "ProfilesDirectory", `%SystemDrive%\Users`),
		expand(profileList, "ProgramData", `%SystemDrive%\ProgramData`),
		expand(profileList, "Public", `%SystemDrive%\Users\Public`),
		text(windowsKey, "CommonFilesDir", `C:\Program Files\Common Files`),
		text(windowsKey, "CommonFilesDir (x86)", `C:\Program Files (x86)\Common Files`),
		text(windowsKey, "CommonW6432Dir", `C:\Program Files\Common Files`),
		text(windowsKey, "ProgramFilesDir", `C:\Program Files`),
		text(windowsKey, "ProgramFilesDir (x86)", `C:\Program Files (x86)`),
		text(windowsKey, "ProgramW6432Dir", `C:\Program Files`),
		bare(`Policies`),
	},
	SAM:      {bare(`SAM\Domains\Account`), bare(`SAM\Domains\Builtin`), bare(`SAM\RXACT`)},
	Security: {bare(`Policy`), bare(`Cache`), bare(`RXACT`)},
	Default: {
		bare(`Control Panel`),
		expand(`Environment`, "Path", `%USERPROFILE%\AppData\Local\Microsoft\WindowsApps;`),
		expand(`Environment`, "TEMP", `%USERPROFILE%\AppData\Local\Temp`),
		expand(`Environment`, "TMP", `%USERPROFILE%\AppData\Local\Temp`),
		bare(`Software\Microsoft\Windows\CurrentVersion`),
	},
}

func versionSettings(v OSVersion) []Setting {
	list := []Setting{
		text(versionKey, "CurrentBuild", strconv.FormatUint(uint64(v.Build), 10)),
		text(versionKey, "CurrentBuildNumber", strconv.FormatUint(uint64(v.Build), 10)),
		number(versionKey, "CurrentMajorVersionNumber", v.Major),
		number(versionKey, "CurrentMinorVersionNumber", v.Minor),
	}
	if v.Major >= 10 {
		list = append(list, text(versionKey, "CurrentVersion", "6.3")) // frozen since Windows 8.1
	} else {
		list = append(list, text(versionKey, "CurrentVersion", fmt.Sprintf("%d.%d", v.Major, v.Minor)))
	}
	for _, t := range []struct{ name, value string }{
		{"DisplayVersion", v.DisplayVersion},
		{"EditionID", v.Edition},
		{"InstallationType", v.InstallationType},
		{"ProductName", v.ProductName},
	} {
		if t.value != "" {
			list = append(list, text(versionKey, t.name, t.value))
		}
	}
	if v.HasUBR {
		list = append(list, number(versionKey, "UBR", v.UBR))
	}
	return list
}
