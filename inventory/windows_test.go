package inventory

import (
	"slices"
	"testing"

	"github.com/mullion/mullion/hives"
)

// Products of the National Vulnerability Database and numbers of Microsoft's security guide.
func TestReleaseOf(t *testing.T) {
	server := func(build uint32, kind string) hives.OSVersion {
		return hives.OSVersion{Major: 10, Build: build, UBR: 7, HasUBR: true, ProductName: "Windows Server", Edition: "ServerDatacenter", InstallationType: kind}
	}
	client := func(build uint32) hives.OSVersion {
		return hives.OSVersion{Major: 10, Build: build, UBR: 7, HasUBR: true, ProductName: "Windows 10 Pro", Edition: "Professional", InstallationType: "Client"}
	}
	for _, c := range []struct {
		v        hives.OSVersion
		id, purl string
		cpes     []string
	}{
		{server(14393, "Server"), "10816", "windows_server_2016", []string{"windows_server_2016"}},
		{server(14393, "Server Core"), "10855", "windows_server_2016", []string{"windows_server_2016"}},
		{server(17763, "Nano Server"), "11571", "windows_server_2019", []string{"windows_server_2019"}},
		{server(17763, "Server Core"), "11572", "windows_server_2019", []string{"windows_server_2019"}},
		{server(20348, "Server"), "11923", "windows_server_2022", []string{"windows_server_2022"}},
		{server(20348, "Server Core"), "11924", "windows_server_2022", []string{"windows_server_2022"}},
		{server(25398, "Server Core"), "12244", "windows_server_2022:23H2", []string{"windows_server_2022_23h2", "windows_server_23h2"}},
		{server(25398, "Nano Server"), "12244", "windows_server_2022:23H2", []string{"windows_server_2022_23h2", "windows_server_23h2"}},
		{server(26100, "Server"), "12436", "windows_server_2025", []string{"windows_server_2025"}},
		{server(26100, "Server Core"), "12437", "windows_server_2025", []string{"windows_server_2025"}},
		{server(26100, ""), "", "windows_server_2025", []string{"windows_server_2025"}},
		{server(16299, "Server Core"), "", "windows_server_1709", nil},
		{server(18363, "Server Core"), "", "windows_server_1909", []string{"windows_server_1909"}},
		{server(19042, "Server Core"), "", "windows_server_20h2", []string{"windows_server_20h2"}},
		{client(19044), "", "windows_10:21H2", []string{"windows_10_21h2"}},
		{client(22631), "", "windows_11:23H2", []string{"windows_11_23h2"}},
		{client(26100), "", "windows_11:24H2", []string{"windows_11_24h2"}},
		{client(20348), "", "", nil},
		{server(1, "Server"), "", "", nil},
		{hives.OSVersion{Major: 6, Minor: 1, Build: 14393, InstallationType: "Server"}, "", "", nil},
	} {
		got := osComponent(c.v)
		version := c.v.String()
		var cpes []string
		for _, p := range c.cpes {
			cpes = append(cpes, "cpe:2.3:o:microsoft:"+p+":"+version+":*:*:*:*:*:*:*")
		}
		purl := ""
		if c.purl != "" {
			purl = "pkg:generic/microsoft/" + c.purl + "@" + version
		}
		if got.ProductID != c.id || got.PURL != purl || !slices.Equal(got.CPEs, cpes) {
			t.Errorf("%v %s: product %q, %q, %q", c.v, c.v.InstallationType, got.ProductID, got.PURL, got.CPEs)
		}
	}
}

// The registry of Windows 11 says Windows 10.
func TestWindows11Name(t *testing.T) {
	v := hives.OSVersion{Major: 10, Build: 22631, ProductName: "Windows 10 Pro", InstallationType: "Client"}
	if c := osComponent(v); c.Name != "Windows 11 Pro" {
		t.Errorf("%q", c.Name)
	}
	if v.Build = 19045; osComponent(v).Name != "Windows 10 Pro" {
		t.Errorf("%q", osComponent(v).Name)
	}
}
