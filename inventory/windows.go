package inventory

import (
	"context"
	"iter"
	"strings"

	"github.com/mullion/mullion/hives"
)

// windowsRelease is a Windows as databases of vulnerabilities name it. The package comment
// has the sources.
type windowsRelease struct {
	cpes []string // products of CPEs, that of the National Vulnerability Database first
	purl string   // name in a package URL, as OSV-SCALIBR forms it
	// full and core are the numbers in Microsoft's security guide of the installation with
	// a desktop and of Server Core, "" where they are not known.
	full, core string
}

// serverReleases are the releases of Windows Server by build: of the long-term channel,
// the semi-annual channel (1709 to 20H2) and the annual channel (23H2).
var serverReleases = map[uint32]windowsRelease{
	14393: {[]string{"windows_server_2016"}, "windows_server_2016", "10816", "10855"},
	16299: {nil, "windows_server_1709", "", ""}, // no CPE of it is proven
	17134: {nil, "windows_server_1803", "", ""},
	17763: {[]string{"windows_server_2019"}, "windows_server_2019", "11571", "11572"},
	18362: {[]string{"windows_server_1903"}, "windows_server_1903", "", ""},
	18363: {[]string{"windows_server_1909"}, "windows_server_1909", "", ""},
	19041: {[]string{"windows_server_2004"}, "windows_server_2004", "", ""},
	19042: {[]string{"windows_server_20h2"}, "windows_server_20h2", "", ""},
	20348: {[]string{"windows_server_2022"}, "windows_server_2022", "11923", "11924"},
	// The guide has no installation with a desktop, because there is none.
	25398: {[]string{"windows_server_2022_23h2", "windows_server_23h2"}, "windows_server_2022:23H2", "12244", "12244"},
	26100: {[]string{"windows_server_2025"}, "windows_server_2025", "12436", "12437"},
}

// clientVersions are the versions of Windows 10, and from build 22000 of Windows 11.
var clientVersions = map[uint32]string{
	10240: "1507", 10586: "1511", 14393: "1607", 15063: "1703", 16299: "1709", 17134: "1803", 17763: "1809",
	18362: "1903", 18363: "1909", 19041: "2004", 19042: "20H2", 19043: "21H1", 19044: "21H2", 19045: "22H2",
	22000: "21H2", 22621: "22H2", 22631: "23H2", 26100: "24H2", 26200: "25H2", 28000: "26H1",
}

// firstWindows11 is the first build of Windows 11, whose ProductName still says Windows 10.
const firstWindows11 = 22000

// isServer reports whether a Windows is a server.
func isServer(v hives.OSVersion) bool {
	switch v.InstallationType {
	case "Server", "Server Core", "Nano Server":
		return true
	case "Client":
		return false
	}
	return strings.HasPrefix(v.Edition, "Server") || strings.Contains(v.ProductName, "Server")
}

// releaseOf finds the release that a Windows is.
func releaseOf(v hives.OSVersion) (windowsRelease, bool) {
	if v.Major != 10 || v.Minor != 0 {
		return windowsRelease{}, false
	}
	if isServer(v) {
		r, ok := serverReleases[v.Build]
		return r, ok
	}
	version, ok := clientVersions[v.Build]
	name := "windows_10"
	if v.Build >= firstWindows11 {
		name = "windows_11"
	}
	return windowsRelease{cpes: []string{name + "_" + strings.ToLower(version)}, purl: name + ":" + version}, ok
}

// productIDOf is the number of a Windows in Microsoft's security guide, "" if it is not
// known. Nano Server counts as the full installation: the guide has no number for it.
func productIDOf(v hives.OSVersion) string {
	r, _ := releaseOf(v)
	switch v.InstallationType {
	case "Server Core":
		return r.core
	case "Server", "Nano Server":
		return r.full
	}
	return ""
}

// versionKey is the key in SOFTWARE with the version of Windows.
const versionKey = `Microsoft\Windows NT\CurrentVersion`

// windows finds Windows itself.
type windows struct{ registryOnly }

func (windows) Name() string { return "windows" }

func (windows) Catalog(_ context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		where := KeyEvidence(hives.Software, versionKey)
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(where, err))
			return
		}
		v, err := hives.OSVersionOf(h)
		if err != nil {
			yield(Component{}, Skip(where, err))
			return
		}
		c := osComponent(v)
		c.Evidence = where
		yield(c, nil)
	}
}

func osComponent(v hives.OSVersion) Component {
	c := Component{Kind: OS, Name: v.ProductName, Version: v.String(), Publisher: microsoft, ProductID: productIDOf(v)}
	if rest, ok := strings.CutPrefix(c.Name, "Windows 10"); ok && v.Major == 10 && v.Build >= firstWindows11 && !isServer(v) {
		c.Name = "Windows 11" + rest
	}
	if c.Name == "" {
		c.Name = "Microsoft Windows"
	}
	if r, ok := releaseOf(v); ok {
		for _, product := range r.cpes {
			c.CPEs = append(c.CPEs, "cpe:2.3:o:microsoft:"+product+":"+c.Version+":*:*:*:*:*:*:*")
		}
		c.PURL = "pkg:generic/microsoft/" + r.purl + "@" + c.Version
	}
	c.SetProperty("displayVersion", v.DisplayVersion)
	c.SetProperty("edition", v.Edition)
	c.SetProperty("installationType", v.InstallationType)
	return c
}
