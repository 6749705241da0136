package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

func TestUnpackGUID(t *testing.T) {
	for s, want := range map[string]string{
		"44C6BF29586EDA54B902ACFDC4BA1A23":       "{92FB6C44-E685-45AD-9B20-CADF4CABA132}",
		"44c6bf29586eda54b902acfdc4ba1a23":       "{92FB6C44-E685-45AD-9B20-CADF4CABA132}",
		"0123456789ABCDEF0123456789ABCDEF":       "{76543210-BA98-FEDC-1032-547698BADCFE}",
		"44C6BF29586EDA54B902ACFDC4BA1A2":        "",
		"44C6BF29586EDA54B902ACFDC4BA1A2G":       "",
		"{92FB6C44-E685-45AD-9B20-CADF4CABA132}": "",
		"":                                       "",
	} {
		if got, ok := unpackGUID(s); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", s, got, ok)
		}
	}
}

// A code is either refused, or is a GUID that gives the same name when it is packed.
func FuzzUnpackGUID(f *testing.F) {
	f.Add("44C6BF29586EDA54B902ACFDC4BA1A23")
	f.Add("--------------------------------")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := unpackGUID(s)
		if !ok {
			return
		}
		if !guidPattern.MatchString(got) {
			t.Fatalf("%q: %q", s, got)
		}
		// Reversal is its own inverse.
		again, ok := unpackGUID(strings.NewReplacer("{", "", "}", "", "-", "").Replace(got))
		if back := strings.NewReplacer("{", "", "}", "", "-", "").Replace(again); !ok || back != strings.ToUpper(s) {
			t.Fatalf("%q: %q, and back %q", s, got, back)
		}
	})
}

const installerKeys = `
Microsoft\Windows\CurrentVersion\Uninstall\{92FB6C44-E685-45AD-9B20-CADF4CABA132}
DisplayName=Framework
WindowsInstaller=dword:1
Microsoft\Windows\CurrentVersion\Uninstall\{92FB6C44-E685-45AD-9B20-CADF4CABA132}.KB4018272
DisplayName=Update for Framework (KB4018272)
ReleaseType=Update
ParentKeyName={92FB6C44-E685-45AD-9B20-CADF4CABA132}
Microsoft\Windows\CurrentVersion\Uninstall\Git_is1
DisplayName=Git
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\44C6BF29586EDA54B902ACFDC4BA1A23\InstallProperties
DisplayName=Framework
DisplayVersion=4.7.03062
InstallDate=20240115
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\44C6BF29586EDA54B902ACFDC4BA1A23\Patches\11111111111111111111111111111111
State=dword:1
DisplayName=KB4018272
Installed=20240116
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\44C6BF29586EDA54B902ACFDC4BA1A23\Patches\22222222222222222222222222222222
State=dword:2
DisplayName=Superseded
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\44C6BF29586EDA54B902ACFDC4BA1A23\Patches\33333333333333333333333333333333
State=dword:1
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\44C6BF29586EDA54B902ACFDC4BA1A23\Patches\no code
State=dword:1
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-21-1\Products\44C6BF29586EDA54B902ACFDC4BA1A23\InstallProperties
DisplayName=Framework
DisplayVersion=4.6
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\Odd\InstallProperties
DisplayName=Odd
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\55555555555555555555555555555555\InstallProperties
DisplayName=dword:5
Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Products\66666666666666666666666666666666\Features
`

// A product and a patch that have Uninstall keys too are one component each; a superseded
// patch and a product without a name are none.
func TestMSI(t *testing.T) {
	registry := map[hives.Name]*regf.Hive{hives.Software: software(t, installerKeys)}
	const want = `update KB "" installed "" Patch of Framework [{parent P} {patchCode {33333333-3333-3333-3333-333333333333}}] 1
update KB "KB4018272" installed "2024-01-16" Update for Framework (KB4018272) [{parent P} {patchCode {11111111-1111-1111-1111-111111111111}}] 2
program Framework 4.6 P [{user S-1-5-21-1}] 1
program Framework 4.7.03062 P [] 2
program Git   [] 1
`
	for _, order := range [][]Cataloger{{programs{}, msi{}}, {msi{}, programs{}}} {
		inv, err := Run(t.Context(), NewSystem(nil, registry), order...)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, c := range inv.Components {
			props := fmt.Sprint(c.Properties)
			switch c.Kind {
			case Update:
				fmt.Fprintf(&got, "update KB %q %s %q %s %s %d\n", c.KB, c.State, c.installed(), c.Name, props, len(c.Evidence))
			default:
				fmt.Fprintln(&got, c.Kind, c.Name, c.Version, c.ProductCode, props, len(c.Evidence))
			}
		}
		text := strings.ReplaceAll(got.String(), "{92FB6C44-E685-45AD-9B20-CADF4CABA132}", "P")
		if text != want || len(inv.Skipped) != 0 {
			t.Errorf("found\n%swant\n%sskipped %v", text, want, inv.Skipped)
		}
		for _, c := range inv.Components {
			for _, e := range c.Evidence {
				if e.Layer != 0 {
					t.Errorf("%s: %v has no layer", c.Name, e)
				}
			}
		}
	}
	inv := found(t, msi{}, registry)
	if n := slices.IndexFunc(inv.Components, func(c Component) bool { return c.installed() == "2024-01-15" }); n < 0 || len(inv.Components) != 4 {
		t.Errorf("without programs: %+v", inv.Components)
	}
}
