package inventory

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

const profileOfU = `
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1
ProfileImagePath=C:\Users\u
`

// Programs are found for all users and for each, with the facts that installers give.
func TestPrograms(t *testing.T) {
	user := hiveImage(t, `
Software\Microsoft\Windows\CurrentVersion\Uninstall\GitHubDesktop
DisplayName=GitHub Desktop
DisplayVersion=2.9.6
InstallLocation=C:\Users\u\AppData\Local\GitHubDesktop
Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Old
DisplayName=Old
`)
	s := NewSystem(fstest.MapFS{"Files/Users/u/NTUSER.DAT": file(user)}, map[hives.Name]*regf.Hive{
		hives.Software: software(t, profileOfU+`
Microsoft\Windows\CurrentVersion\Uninstall\{92fb6c44-e685-45ad-9b20-cadf4caba132}.KB4018272
DisplayName=Update for Framework (KB4018272)
ReleaseType=Security Update
ParentKeyName={92fb6c44-e685-45ad-9b20-cadf4caba132}
SystemComponent=dword:1
`),
		hives.Default: systemHive(t, "Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Agent\nDisplayName=Agent\n"),
	})
	inv, err := Run(t.Context(), s, programs{})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, c := range inv.Components {
		fmt.Fprintln(&got, c.Kind, c.Name, c.Version, c.Architecture, c.Properties, c.Evidence[0])
	}
	const want = `update Update for Framework (KB4018272)   [{parent {92FB6C44-E685-45AD-9B20-CADF4CABA132}} {systemComponent true}] SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{92fb6c44-e685-45ad-9b20-cadf4caba132}.KB4018272
program Agent   [{user S-1-5-18}] DEFAULT\Software\Microsoft\Windows\CurrentVersion\Uninstall\Agent
program GitHub Desktop 2.9.6  [{installLocation C:\Users\u\AppData\Local\GitHubDesktop} {user S-1-5-21-1}] Files\Users\u\NTUSER.DAT: Software\Microsoft\Windows\CurrentVersion\Uninstall\GitHubDesktop
program Old  386 [{user S-1-5-21-1}] Files\Users\u\NTUSER.DAT: Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Old
`
	if got.String() != want || len(inv.Skipped) != 0 {
		t.Errorf("found\n%s, want\n%s; skipped %v", got.String(), want, inv.Skipped)
	}
}

// A genuine user has the programs that hivexsh lists.
func TestProgramsGenuine(t *testing.T) {
	b, err := os.ReadFile(testenv.Corpus(t, "hives", "mkorman90_regipy", "NTUSER_BAGMRU.DAT"))
	if err != nil {
		t.Fatal(err)
	}
	s := NewSystem(fstest.MapFS{"Files/Users/u/NTUSER.DAT": file(b)}, map[hives.Name]*regf.Hive{hives.Software: software(t, profileOfU)})
	inv, err := Run(t.Context(), s, programs{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range inv.Components {
		t.Log(c.Name, c.Version, c.Publisher, c.Evidence[0].Key)
	}
	// Its logs are not in the corpus, so that it is read as it stands.
	if len(inv.Components) != 6 || len(inv.Skipped) != 1 || !strings.Contains(inv.Skipped[0].Reason, "no transaction log") {
		t.Errorf("%d programs, want 6; skipped %v", len(inv.Components), inv.Skipped)
	}
}
