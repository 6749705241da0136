package inventory

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// The values that Microsoft lists for each version and each Windows, and those beside them.
func TestFrameworkVersion(t *testing.T) {
	for release, want := range map[uint32]string{
		378388: "", 378389: "4.5", 378675: "4.5.1", 378758: "4.5.1", 379893: "4.5.2", 393295: "4.6", 393297: "4.6", 394254: "4.6.1",
		394271: "4.6.1", 394802: "4.6.2", 394806: "4.6.2", 460798: "4.7", 460805: "4.7", 461308: "4.7.1", 461310: "4.7.1", 461808: "4.7.2",
		461814: "4.7.2", 528040: "4.8", 528372: "4.8", 528449: "4.8", 528049: "4.8", 533319: "4.8", 533320: "4.8.1", 533325: "4.8.1",
		533509: "4.8.1", 0: "",
	} {
		if got := frameworkVersion(release); got != want {
			t.Errorf("%d: %q, want %q", release, got, want)
		}
	}
}

// componentLines is a list of components as text.
func componentLines(inv *Inventory) string {
	var b strings.Builder
	for _, c := range inv.Components {
		fmt.Fprintln(&b, c.Kind, c.Name, c.Version, c.Architecture, c.CPEs, c.PURL, c.Properties, c.Evidence[0])
	}
	return b.String()
}

func TestDotnet(t *testing.T) {
	some := file([]byte("{}"))
	fsys := fstest.MapFS{
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json":                     some,
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/3.1.32/Microsoft.NETCore.App.deps.json":                    some,
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/10.0.0-rc.1.25451.107/Microsoft.NETCore.App.deps.json":     some,
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/7.0.0/left.txt":                                            some,
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/latest/Microsoft.NETCore.App.deps.json":                    some,
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/8.0.2/Microsoft.NETCore.App.deps.json/x":                   some,
		"Files/Program Files/dotnet/shared/Microsoft.AspNetCore.App/8.0.1/Microsoft.AspNetCore.App.deps.json":               some,
		"Files/Program Files/dotnet/sdk/8.0.101/dotnet.dll":                                                                 some,
		"Files/Program Files/dotnet/host/fxr/8.0.1/hostfxr.dll":                                                             some,
		"Files/Program Files (x86)/dotnet/shared/Microsoft.WindowsDesktop.App/6.0.1/Microsoft.WindowsDesktop.App.deps.json": some,
	}
	inv, err := Run(t.Context(), NewSystem(fsys, map[hives.Name]*regf.Hive{hives.Software: software(t, `
Microsoft\NET Framework Setup\NDP\v4\Full
Release=dword:528449
Version=4.8.04161
Install=dword:1
Microsoft\NET Framework Setup\NDP\v4\Client
Install=dword:1
Microsoft\NET Framework Setup\NDP\v3.5
Install=dword:1
SP=dword:1
Version=3.5.30729.4926
Microsoft\NET Framework Setup\NDP\v3.0
Version=3.0.30729.4926
SP=dword:2
Microsoft\NET Framework Setup\NDP\v3.0\Setup
InstallSuccess=dword:1
Microsoft\NET Framework Setup\NDP\v2.0.50727
Install=dword:0
Microsoft\NET Framework Setup\NDP\v1.1.4322
Install=1
`)}), dotnet{})
	if err != nil {
		t.Fatal(err)
	}
	const ndp = `SOFTWARE\Microsoft\NET Framework Setup\NDP`
	const root = `Files\Program Files\dotnet`
	want := `runtime Microsoft .NET Framework 3.0  [cpe:2.3:a:microsoft:.net_framework:3.0:sp2:*:*:*:*:*:*]  [{fullVersion 3.0.30729.4926} {servicePack 2}] ` + ndp + `\v3.0\Setup
runtime Microsoft .NET Framework 3.5  [cpe:2.3:a:microsoft:.net_framework:3.5:*:*:*:*:*:*:*]  [{fullVersion 3.5.30729.4926} {servicePack 1}] ` + ndp + `\v3.5
runtime Microsoft .NET Framework 4.8  [cpe:2.3:a:microsoft:.net_framework:4.8:*:*:*:*:*:*:*]  [{fullVersion 4.8.04161} {release 528449}] ` + ndp + `\v4\Full
runtime Microsoft .NET Host FX Resolver 8.0.1  []  [] ` + root + `\host\fxr\8.0.1\hostfxr.dll
runtime Microsoft .NET SDK 8.0.101  []  [] ` + root + `\sdk\8.0.101\dotnet.dll
runtime Microsoft.AspNetCore.App 8.0.1  [cpe:2.3:a:microsoft:asp.net_core:8.0.1:*:*:*:*:*:*:*] pkg:nuget/Microsoft.AspNetCore.App@8.0.1 [] ` + root + `\shared\Microsoft.AspNetCore.App\8.0.1\Microsoft.AspNetCore.App.deps.json
runtime Microsoft.NETCore.App 10.0.0-rc.1.25451.107  []  [] ` + root + `\shared\Microsoft.NETCore.App\10.0.0-rc.1.25451.107\Microsoft.NETCore.App.deps.json
runtime Microsoft.NETCore.App 3.1.32  [cpe:2.3:a:microsoft:.net_core:3.1.32:*:*:*:*:*:*:*] pkg:nuget/Microsoft.NETCore.App@3.1.32 [] ` + root + `\shared\Microsoft.NETCore.App\3.1.32\Microsoft.NETCore.App.deps.json
runtime Microsoft.NETCore.App 8.0.1  [cpe:2.3:a:microsoft:.net:8.0.1:*:*:*:*:*:*:*] pkg:nuget/Microsoft.NETCore.App@8.0.1 [] ` + root + `\shared\Microsoft.NETCore.App\8.0.1\Microsoft.NETCore.App.deps.json
runtime Microsoft.WindowsDesktop.App 6.0.1 386 []  [] Files\Program Files (x86)\dotnet\shared\Microsoft.WindowsDesktop.App\6.0.1\Microsoft.WindowsDesktop.App.deps.json
`
	if got := componentLines(inv); got != want || len(inv.Skipped) != 0 {
		t.Errorf("found\n%swant\n%sskipped %v", got, want, inv.Skipped)
	}
}

// A Framework before 4.5 has no release.
func TestFramework40(t *testing.T) {
	for keys, want := range map[string]string{
		"Microsoft\\NET Framework Setup\\NDP\\v4\\Full\nInstall=dword:1\nVersion=4.0.30319\n":                    "4.0",
		"Microsoft\\NET Framework Setup\\NDP\\v4\\Full\nInstall=dword:0\n":                                       "",
		"Microsoft\\NET Framework Setup\\NDP\\v4\\Full\nRelease=528449\n":                                        "",
		"Microsoft\\NET Framework Setup\\NDP\\v2.0.50727\nInstall=dword:1\nSP=dword:2\nVersion=2.0.50727.4927\n": "2.0",
	} {
		inv := found(t, dotnet{}, map[hives.Name]*regf.Hive{hives.Software: software(t, keys)})
		got := ""
		for _, c := range inv.Components {
			got += c.Version
		}
		if got != want {
			t.Errorf("%q: %q, want %q", keys, got, want)
		}
	}
}

// A directory that cannot be read is skipped, and the others are listed.
func TestDotnetFaults(t *testing.T) {
	fsys := faultyDirs{fstest.MapFS{
		"Files/Program Files/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json": file(nil),
		"Files/Program Files/dotnet/sdk/8.0.101/dotnet.dll":                                             file(nil),
	}, "Files/Program Files/dotnet/shared"}
	inv, err := Run(t.Context(), NewSystem(fsys, nil), dotnet{})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Components) != 1 || inv.Components[0].Name != "Microsoft .NET SDK" || len(inv.Skipped) != 1 ||
		inv.Skipped[0].Evidence.Path != `Files\Program Files\dotnet\shared` {
		t.Errorf("%+v", inv)
	}
}

// faultyDirs is a file system in which one name cannot be opened.
type faultyDirs struct {
	fstest.MapFS
	bad string
}

func (f faultyDirs) Open(name string) (fs.File, error) {
	if name == f.bad {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.Open(name)
}

func (f faultyDirs) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == f.bad {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.ReadDir(name)
}
