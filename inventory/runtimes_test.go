package inventory

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

func TestRuntimes(t *testing.T) {
	inv := found(t, runtimes{}, map[hives.Name]*regf.Hive{hives.Software: software(t, `
Microsoft\PowerShell\1\PowerShellEngine
PowerShellVersion=2.0
Microsoft\PowerShell\3\PowerShellEngine
PowerShellVersion=5.1.20348.2700
Microsoft\PowerShellCore\InstalledVersions\31ab5147-9a97-4452-8443-d9709f0516e1
SemanticVersion=7.4.1
InstallLocation=C:\Program Files\PowerShell\7\
Microsoft\PowerShellCore\InstalledVersions\39243d76-adaf-42b1-94fb-16ecf83237c8
SemanticVersion=7.5.0-preview.2
Microsoft\PowerShellCore\InstalledVersions\odd
SemanticVersion=dword:7
WOW6432Node\Microsoft\PowerShellCore\InstalledVersions\1d00683b-0f84-4db8-a64f-2f98ad42fe06
SemanticVersion=6.2.7
Microsoft\InetStp
MajorVersion=dword:10
MinorVersion=dword:0
VersionString=Version 10.0
InstallPath=expand:%windir%\system32\inetsrv
`)})
	const core = `SOFTWARE\Microsoft\PowerShellCore\InstalledVersions`
	const want = `runtime Internet Information Services 10.0  []  [{installLocation %windir%\system32\inetsrv}] SOFTWARE\Microsoft\InetStp
runtime PowerShell 6.2.7 386 [cpe:2.3:a:microsoft:powershell_core:6.2.7:*:*:*:*:*:*:*]  [] SOFTWARE\WOW6432Node\Microsoft\PowerShellCore\InstalledVersions\1d00683b-0f84-4db8-a64f-2f98ad42fe06
runtime PowerShell 7.4.1  [cpe:2.3:a:microsoft:powershell:7.4.1:*:*:*:*:*:*:*]  [{installLocation C:\Program Files\PowerShell\7\}] ` + core + `\31ab5147-9a97-4452-8443-d9709f0516e1
runtime PowerShell 7.5.0-preview.2  []  [] ` + core + `\39243d76-adaf-42b1-94fb-16ecf83237c8
runtime Windows PowerShell 5.1.20348.2700  []  [] SOFTWARE\Microsoft\PowerShell\3\PowerShellEngine
`
	if got := componentLines(inv); got != want || len(inv.Skipped) != 0 {
		t.Errorf("found\n%swant\n%sskipped %v", got, want, inv.Skipped)
	}
}

// Without engine 3 the version is that of engine 1; the key of IIS without a version is not IIS.
func TestOldRuntimes(t *testing.T) {
	inv := found(t, runtimes{}, map[hives.Name]*regf.Hive{hives.Software: software(t, `
Microsoft\PowerShell\1\PowerShellEngine
PowerShellVersion=2.0
Microsoft\InetStp
MajorVersion=10
`)})
	const want = "runtime Windows PowerShell 2.0  []  [] SOFTWARE\\Microsoft\\PowerShell\\1\\PowerShellEngine\n"
	if got := componentLines(inv); got != want || len(inv.Skipped) != 0 {
		t.Errorf("found\n%swant\n%sskipped %v", got, want, inv.Skipped)
	}
}

// OpenSSH and PowerShell have their version in a file. That of PowerShell and its key are one
// component; the copy of OpenSSH in the side-by-side store is none.
func TestRuntimeFiles(t *testing.T) {
	ssh := file(makePE(peOptions{version: versionResource([4]uint16{8, 1, 0, 1}, [4]uint16{8, 1, 0, 1}, "ProductVersion", "OpenSSH_8.1p1 for Windows")}))
	pwsh := func(version string) *fstest.MapFile {
		return file(makePE(peOptions{version: versionResource([4]uint16{7, 4, 1, 500}, [4]uint16{7, 4, 1, 500},
			"CompanyName", "Microsoft Corporation", "ProductVersion", version)}))
	}
	fsys := fstest.MapFS{
		"Files/Windows/System32/OpenSSH/sshd.exe":         ssh,
		"Files/Windows/WinSxS/amd64_openssh_1/sshd.exe":   ssh,
		"Files/Program Files/OpenSSH-Win64/sshd.exe":      ssh,
		"Files/Program Files/PowerShell/7/pwsh.dll":       pwsh("7.4.1 SHA: b1b3f9e0f4a2+b1b3f9e0f4a2"),
		"Files/Program Files/PowerShell/preview/pwsh.dll": pwsh("7.5.0-preview.2 SHA: 00"),
		"Files/odd/pwsh.dll":                              pwsh("seven"),
		"Files/broken/pwsh.dll":                           file([]byte("MZ")),
	}
	inv, err := Run(t.Context(), NewSystem(fsys, map[hives.Name]*regf.Hive{hives.Software: software(t, `
Microsoft\PowerShellCore\InstalledVersions\31ab5147-9a97-4452-8443-d9709f0516e1
SemanticVersion=7.4.1
InstallLocation=C:\Program Files\PowerShell\7\
`)}), runtimes{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `runtime OpenSSH for Windows 8.1p1 amd64 [cpe:2.3:a:openbsd:openssh:8.1:p1:*:*:*:*:*:*]  [{fullVersion 8.1.0.1}] Files\Program Files\OpenSSH-Win64\sshd.exe
runtime OpenSSH for Windows 8.1p1 amd64 []  [{fullVersion 8.1.0.1}] Files\Windows\System32\OpenSSH\sshd.exe
runtime PowerShell 7.4.1 amd64 [cpe:2.3:a:microsoft:powershell:7.4.1:*:*:*:*:*:*:*]  [{fullVersion 7.4.1.500} {installLocation C:\Program Files\PowerShell\7\}] SOFTWARE\Microsoft\PowerShellCore\InstalledVersions\31ab5147-9a97-4452-8443-d9709f0516e1
runtime PowerShell 7.4.1.500 amd64 []  [] Files\odd\pwsh.dll
runtime PowerShell 7.5.0-preview.2 amd64 []  [{fullVersion 7.4.1.500}] Files\Program Files\PowerShell\preview\pwsh.dll
`
	if got := componentLines(inv); got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
	if len(inv.Skipped) != 1 || inv.Skipped[0].Evidence.Path != `Files\broken\pwsh.dll` {
		t.Errorf("skipped %v", inv.Skipped)
	}
	if i := slices.IndexFunc(inv.Components, func(c Component) bool { return len(c.Evidence) == 2 }); i < 0 || len(inv.Components[i].SHA256) != 64 {
		t.Errorf("no component has a key and a file: %+v", inv.Components)
	}
}
