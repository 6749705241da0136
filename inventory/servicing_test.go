package inventory

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// catalogServicing runs the cataloger alone.
func catalogServicing(t *testing.T, files fstest.MapFS, lines string) *Inventory {
	t.Helper()
	inv, err := Run(t.Context(), NewSystem(files, map[hives.Name]*regf.Hive{hives.Software: software(t, lines)}), servicing{})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

const cbs = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\`

// Every state of the chart, and what is no state.
func TestServicingStates(t *testing.T) {
	var lines strings.Builder
	for _, state := range []string{"0", "5", "16", "32", "48", "64", "80", "96", "101", "112", "128", "113", "4294967295"} {
		lines.WriteString(cbs + "P" + state + "~31bf3856ad364e35~amd64~~1.0.0.0\nCurrentState=dword:" + state + "\n")
	}
	got := map[string]State{}
	for _, c := range catalogServicing(t, nil, lines.String()).Components {
		if c.Kind == Package {
			got[c.Name] = c.State
		}
	}
	if len(got) != 3 || got["P101"] != PartiallyInstalled || got["P112"] != Installed || got["P128"] != Permanent {
		t.Errorf("%v", got)
	}
}

// The KB number of an update comes from the best place that has it.
func TestServicingNumbers(t *testing.T) {
	const token = "~31bf3856ad364e35~amd64~~"
	manifest := func(name, version, kb string) *fstest.MapFile {
		text := strings.NewReplacer("Package_for_RollupFix", name, "20348.2655.1.11", version, `identifier="KB5041160"`, `identifier="`+kb+`"`).Replace(rollupManifest)
		return &fstest.MapFile{Data: []byte(text)}
	}
	files := fstest.MapFS{
		"Files/Windows/servicing/Packages/Package_for_RollupFix" + token + "20348.2655.1.11.mum":             manifest("Package_for_RollupFix", "20348.2655.1.11", "KB5041160"),
		"Files/Windows/servicing/Packages/Package_for_DotNetRollup_481" + token + "10.0.9256.1.mum":          manifest("Package_for_DotNetRollup_481", "10.0.9256.1", "KB5041948"),
		"Files/Windows/servicing/Packages/Package_for_ServicingStack_2640" + token + "20348.2640.1.0.mum":    manifest("Package_for_RollupFix", "20348.2655.1.11", "KB5041590"),
		"Files/Windows/servicing/Packages/Package_for_Broken" + token + "1.0.0.0.mum":                        {Data: []byte("<assembly>")},
		"Files/Windows/servicing/Packages/Package_for_Superseded" + token + "1.0.0.0.mum":                    manifest("Package_for_Superseded", "1.0.0.0", "KB5000009"),
		"Files/Windows/servicing/Packages/Microsoft-Windows-WinOcr-FOD-Package" + token + "10.0.20348.1.mum": manifest("Microsoft-Windows-WinOcr-FOD-Package", "10.0.20348.1", "KB777778"),
	}
	inv := catalogServicing(t, files, cbs+`Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2655.1.11
CurrentState=dword:112
InstallTimeHigh=dword:31124209
InstallTimeLow=dword:2147483648
InstallLocation=\\?\C:\Windows\SoftwareDistribution\Download\1\Windows10.0-KB5099999-x64.cab\
`+cbs+`Package_for_DotNetRollup_481~31bf3856ad364e35~amd64~~10.0.9256.1
CurrentState=dword:112
`+cbs+`Package_for_ServicingStack_2640~31bf3856ad364e35~amd64~~20348.2640.1.0
CurrentState=dword:112
InstallLocation=\\?\C:\Windows\SoftwareDistribution\Download\2\SSU-KB5041590-x64.cab\
`+cbs+`Package_for_Broken~31bf3856ad364e35~amd64~~1.0.0.0
CurrentState=dword:101
`+cbs+`Package_for_Superseded~31bf3856ad364e35~amd64~~1.0.0.0
CurrentState=dword:80
`+cbs+`Package_for_KB5034439~31bf3856ad364e35~amd64~~20348.2201.1.0
CurrentState=dword:128
`+cbs+`Package_1_for_KB5034439~31bf3856ad364e35~amd64~~20348.2201.1.0
CurrentState=dword:112
`+cbs+`Package_7_for_KB5012170~31bf3856ad364e35~amd64~~20348.880.1.1
CurrentState=dword:112
`+cbs+`Microsoft-Windows-WinOcr-FOD-Package~31bf3856ad364e35~amd64~~10.0.20348.1
CurrentState=dword:112
`+cbs+`Microsoft-Windows-Server-LanguagePack-Package~31bf3856ad364e35~amd64~de-DE~10.0.20348.1
CurrentState=dword:112
`)
	type row struct{ kb, source, product, language string }
	want := map[string]row{
		"Package_for_RollupFix":                         {"KB5041160", "manifest", "11924", ""},
		"Package_for_DotNetRollup_481":                  {"KB5041948", "manifest", "", ""},
		"Package_for_ServicingStack_2640":               {"KB5041590", "install-location", "11924", ""},
		"Package_for_Broken":                            {"", "", "11924", ""},
		"Package_for_KB5034439":                         {"KB5034439", "name", "11924", ""},
		"Package_7_for_KB5012170":                       {"KB5012170", "name", "11924", ""},
		"Microsoft-Windows-WinOcr-FOD-Package":          {},
		"Microsoft-Windows-Server-LanguagePack-Package": {language: "de-DE"},
	}
	for _, c := range inv.Components {
		if got := (row{c.KB, c.Property("kbSource"), c.ProductID, c.Language}); got != want[c.Name] {
			t.Errorf("%s: %+v, want %+v", c.Name, got, want[c.Name])
		}
		if update := strings.HasPrefix(c.Name, "Package_"); update != (c.Kind == Update) {
			t.Errorf("%s: %s", c.Name, c.Kind)
		}
		if c.Name == "Package_for_RollupFix" {
			if c.Installed.Format(time.RFC3339) != "2024-08-10T06:49:51Z" || c.Property("releaseType") != "Security Update" || len(c.Evidence) != 2 {
				t.Errorf("%+v", c)
			}
		}
		delete(want, c.Name)
	}
	if len(want) != 0 {
		t.Errorf("not found: %v", want)
	}
	if len(inv.Skipped) != 2 || !strings.Contains(inv.Skipped[0].Reason+inv.Skipped[1].Reason, "Package_for_RollupFix") {
		t.Errorf("skipped %+v, want the manifests of another package and without an end", inv.Skipped)
	}
}

// Without packages, the revision of Windows tells the cumulative update, if it is on the list.
func TestServicingBuild(t *testing.T) {
	inv := catalogServicing(t, nil, "")
	if len(inv.Components) != 1 || inv.Components[0].KB != "KB5042881" || inv.Components[0].ProductID != "11924" || inv.Components[0].Property("kbSource") != "build" {
		t.Errorf("%+v", inv.Components)
	}
	if inv = catalogServicing(t, nil, "Microsoft\\Windows NT\\CurrentVersion\nUBR=dword:2701\n"); len(inv.Components) != 0 {
		t.Errorf("%+v", inv.Components)
	}
	inv = catalogServicing(t, nil, cbs+"Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2762.1.9\nCurrentState=dword:112\n")
	if len(inv.Components) != 1 || inv.Components[0].KB != "KB5044281" || inv.Components[0].Property("kbSource") != "build" {
		t.Errorf("%+v", inv.Components)
	}
}

func TestInstallTime(t *testing.T) {
	for _, c := range []struct {
		high, low uint32
		want      string
	}{
		{0, 0, ""},
		{0, 10_000_000, "1601-01-01T00:00:01Z"},
		{0x7FFFFFFF, 0xFFFFFFFF, ""}, // the year 30828
		{0xFFFFFFFF, 0xFFFFFFFF, ""},
	} {
		got := ""
		if at := installTime(c.high, c.low); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%x %x: %q, want %q", c.high, c.low, got, c.want)
		}
	}
}

func TestKBOf(t *testing.T) {
	for s, want := range map[string]string{
		"Package_for_KB5034439":                   "KB5034439",
		"kb5034439":                               "KB5034439",
		`C:\d\Windows10.0-KB5041160-x64.cab\`:     "KB5041160",
		"Update for Framework (KB4018272)":        "KB4018272",
		"KB5041160_RTM":                           "KB5041160",
		"XKB5041160 KB5041161":                    "KB5041161",
		"KB1234":                                  "",
		"KB123456789":                             "",
		"5041160":                                 "",
		"Microsoft-Hyper-V-ClientEdition-Package": "",
	} {
		if got := kbOf(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestServicingWants(t *testing.T) {
	for _, c := range []struct {
		path string
		size int64
		want bool
	}{
		{`Files\Windows\servicing\Packages\Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2655.1.11.mum`, 1, true},
		{`FILES\WINDOWS\Servicing\packages\PACKAGE_FOR_ROLLUPFIX.MUM`, maxManifestFile, true},
		{`Files\Windows\servicing\Packages\Package_for_RollupFix.mum`, maxManifestFile + 1, false},
		{`Files\Windows\servicing\Packages\Package_for_KB5034439~31bf3856ad364e35~amd64~~1.mum`, 1, false},
		{`Files\Windows\servicing\Packages\Package_for_RollupFix.cat`, 1, false},
		{`Files\Windows\servicing\Package_for_RollupFix.mum`, 1, false},
		{`Package_for_RollupFix.mum`, 1, false},
	} {
		if got := (servicing{}).Wants(c.path, c.size); got != c.want {
			t.Errorf("%s, %d: %v", c.path, c.size, got)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add("Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2655.1.11")
	f.Add("Package_12_for_KB5034439~31bf3856ad364e35~x86~de-DE~1")
	f.Add("~~~~")
	f.Add("a~b")
	f.Fuzz(func(t *testing.T, s string) {
		c := identityOf(s)
		if (c.Name == "") != (s == "") {
			t.Errorf("%q has no name", s)
		}
		if c.Version != "" && strings.Count(s, "~") != 4 {
			t.Errorf("%q has a version", s)
		}
		if kb := kbOf(s); kb != "" && (len(kb) < 7 || len(kb) > 10 || !utf8.ValidString(kb)) {
			t.Errorf("%q: %q", s, kb)
		}
		if whole := wholeOf(s); whole != "" && (len(whole) >= len(s) || wholeOf(whole) == whole) {
			t.Errorf("%q is a part of %q", s, whole)
		}
		twoNumbers(s)
	})
}
