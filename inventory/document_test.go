package inventory

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/mullion/mullion/hives"
	spdxjson "github.com/spdx/tools-golang/json"
)

const serverCPE = "cpe:2.3:o:microsoft:windows_server_2022:10.0.20348.2655:*:*:*:*:*:*:*"

// testDigest is a digest whose bytes are all c.
func testDigest(c string) string { return "sha256:" + strings.Repeat(c, 32) }

// full is an inventory in which each field and each kind occurs.
func full() (*Inventory, Subject) {
	key := func(layer int, key string) []Evidence {
		return []Evidence{{Hive: hives.Software, Key: key, Layer: layer}}
	}
	file := func(layer int, path string) []Evidence { return []Evidence{{Path: path, Layer: layer}} }
	rollup := Component{Kind: Update, Name: "Package_for_RollupFix", Version: "20348.2655.1.11", Publisher: microsoft, Architecture: "amd64",
		KB: "KB5041160", ProductID: "11924", State: Installed, Installed: time.Date(2024, 8, 13, 10, 20, 30, 0, time.UTC),
		Evidence: key(1, `Packages\Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2655.1.11`), FoundBy: "servicing"}
	again := rollup
	again.Name, again.Evidence = "Package_1_for_KB5041160", key(1, `Packages\Package_1_for_KB5041160`)
	program := Component{Kind: Program, Name: "Tools <&> \xed\xa0\x80\x1b[2J", Version: "1.0", ProductCode: "{0D3E9E15-DE7A-300B-96F1-B4AF12B96488}",
		Evidence: key(0, uninstallKey+`\Tools`), FoundBy: "programs", Licenses: []string{"MIT", "Proprietary, see EULA"}}
	inv := &Inventory{
		Components: []Component{
			{Kind: OS, Name: "Windows Server 2022 Datacenter", Version: "10.0.20348.2655", Publisher: microsoft, ProductID: "11924",
				CPEs: []string{serverCPE, "cpe:2.3:o:microsoft:windows:*:*:*:*:*:*:*:*"}, PURL: "pkg:generic/microsoft/windows_server_2022@10.0.20348.2655",
				Properties: []Property{{"edition", "ServerDatacenter"}}, Evidence: key(1, versionKey), FoundBy: "windows"},
			again, rollup,
			{Kind: Package, Name: "Client-Package", Version: "1.2.3.4", Language: "de-DE", Evidence: key(0, `Packages\Client`), FoundBy: "servicing"},
			{Kind: Feature, Name: "NetFx3", Evidence: key(-1, `Features\NetFx3`), FoundBy: "features"},
			program, program, // equal components have different names in a document
			{Kind: Runtime, Name: "Microsoft.NETCore.App", Version: "8.0.8", Evidence: file(1, `Files\Program Files\dotnet\shared\Microsoft.NETCore.App\8.0.8`), FoundBy: "dotnet"},
			{Kind: Library, Name: "com.example:thing", Version: "2", PURL: "pkg:maven/com.example/thing@2", Licenses: []string{"MIT OR Apache-2.0"}, Evidence: file(1, `Files\app\thing.jar`), FoundBy: "java"},
			{Kind: Service, Name: "Dnscache", Evidence: key(0, `ControlSet001\Services\Dnscache`), FoundBy: "services"},
			{Kind: Driver, Name: "tcpip", Evidence: key(0, `ControlSet001\Services\tcpip`), FoundBy: "services"},
			{Kind: Executable, Name: "app.exe", Version: "1.2.3.4", Architecture: "amd64", SHA256: strings.Repeat("ab", 32),
				Evidence: append(file(1, `Files\app\app.exe`), file(1, `Files\app\link.exe`)...), FoundBy: "pe"},
		},
		Skipped: []Skipped{
			{Cataloger: "pe", Evidence: Evidence{Path: `Files\app\bad.exe`, Layer: 1}, Reason: "truncated"},
			{Cataloger: "programs", Evidence: Evidence{Hive: hives.Software, Key: uninstallKey + `\Bad`, Layer: 0}, Reason: "cell out of range"},
			{Cataloger: "pe", Reason: "more than 999 items are skipped; the rest is not listed"},
		},
	}
	return inv, Subject{Name: "docker://registry.example.com/app:v1", Digest: testDigest("ab"), Architecture: "amd64",
		Created: time.Date(2024, 9, 10, 18, 0, 0, 123, time.UTC),
		Layers: []Layer{
			{testDigest("01"), testDigest("11"), "application/vnd.oci.image.layer.v1.tar+gzip", 1000},
			{testDigest("02"), testDigest("12"), "application/vnd.oci.image.layer.v1.tar+zstd", 200},
		}}
}

func TestCycloneDX(t *testing.T) {
	inv, s := full()
	var out bytes.Buffer
	if err := WriteCycloneDX(&out, inv, s); err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(&out, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	byRef := map[string]cdx.Component{}
	var walk func([]cdx.Component)
	walk = func(list []cdx.Component) {
		for _, c := range list {
			if _, twice := byRef[c.BOMRef]; twice {
				t.Errorf("two components are %s", c.BOMRef)
			}
			byRef[c.BOMRef] = c
			if c.Components != nil {
				walk(*c.Components)
			}
		}
	}
	walk(*bom.Components)
	if want := len(s.Layers) + len(inv.Components) + 2; len(byRef) != want {
		t.Errorf("%d components, want %d", len(byRef), want)
	}
	parents := map[string]string{}
	for _, d := range *bom.Dependencies {
		for _, ref := range *d.Dependencies {
			if _, ok := byRef[ref]; !ok || parents[ref] != "" {
				t.Errorf("%s depends on %s", d.Ref, ref)
			}
			parents[ref] = d.Ref
		}
	}
	for _, c := range *bom.Components {
		want := "layer-1"
		switch {
		case c.Type == cdx.ComponentTypeContainer, c.Name == "NetFx3":
			want = "image"
		case strings.HasPrefix(c.Name, "Tools"), c.Name == "Client-Package", c.Name == "Dnscache", c.Name == "tcpip":
			want = "layer-0"
		}
		if parents[c.BOMRef] != want {
			t.Errorf("%s (%s) is in %s, want %s", c.BOMRef, c.Name, parents[c.BOMRef], want)
		}
		if c.Type != cdx.ComponentTypeContainer && c.Evidence == nil {
			t.Errorf("%s has no evidence", c.Name)
		}
	}
	if kb := byRef["msrc-kb-11924-5041160"]; kb.Name != "11924" || kb.Version != "5041160" || (*kb.Properties)[0] != (cdx.Property{Name: "syft:package:type", Value: "msrc-kb"}) {
		t.Errorf("the update is %+v", kb)
	}
	if got := len(*bom.Metadata.Properties); got != len(inv.Skipped) {
		t.Errorf("%d skipped items", got)
	}
	if p := (*bom.Metadata.Properties)[0]; p.Value != `pe: Files\app\bad.exe: truncated` {
		t.Errorf("skipped item %q", p.Value)
	}
}

func TestSPDX(t *testing.T) {
	inv, s := full()
	var out bytes.Buffer
	if err := WriteSPDX(&out, inv, s); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	doc, err := spdxjson.Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + len(s.Layers) + len(inv.Components); len(doc.Packages) != want || len(doc.Relationships) != want {
		t.Errorf("%d packages and %d relationships, want %d", len(doc.Packages), len(doc.Relationships), want)
	}
	ids := map[string]bool{}
	for _, p := range doc.Packages {
		if id := string(p.PackageSPDXIdentifier); ids[id] {
			t.Errorf("two packages are %s", id)
		} else {
			ids[id] = true
		}
	}
	for _, want := range []string{
		`"primaryPackagePurpose": "OPERATING_SYSTEM"`, `"referenceLocator": "` + serverCPE + `"`,
		`"referenceLocator": "https://support.microsoft.com/help/5041160"`,
		`"licenseDeclared": "MIT AND LicenseRef-1"`, `"licenseDeclared": "MIT OR Apache-2.0"`,
		`"comment": "skipped: pe: Files\\app\\bad.exe: truncated"`,
		`"sourceInfo": "Files\\app\\app.exe in layer ` + testDigest("02"),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if len(doc.OtherLicenses) != 1 {
		t.Errorf("%d other licenses", len(doc.OtherLicenses))
	}
}

// syftArtifact is what the tests look at in a package of a Syft document.
type syftArtifact struct {
	ID, Name, Version, Type, Language, MetadataType string
	Metadata                                        map[string]string
	CPEs                                            []struct{ CPE string }
	Locations                                       []struct{ Path, LayerID string }
}

func syftArtifacts(t *testing.T, inv *Inventory, s Subject) []syftArtifact {
	t.Helper()
	var out bytes.Buffer
	if err := WriteSyft(&out, inv, s); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Artifacts []syftArtifact
		Files     []struct{ Unknowns []string }
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	unknowns := 0
	for _, f := range doc.Files {
		unknowns += len(f.Unknowns)
	}
	if unknowns != len(inv.Skipped) {
		t.Errorf("%d unknowns, want %d", unknowns, len(inv.Skipped))
	}
	return doc.Artifacts
}

func TestSyft(t *testing.T) {
	inv, s := full()
	all := syftArtifacts(t, inv, s)
	if len(all) != len(inv.Components)+1 {
		t.Errorf("%d artifacts", len(all))
	}
	by := map[string]syftArtifact{}
	ids := map[string]bool{}
	for _, a := range all {
		by[a.Type+" "+a.Name] = a
		if ids[a.ID] {
			t.Errorf("two artifacts are %s", a.ID)
		}
		ids[a.ID] = true
	}
	kb := by["msrc-kb 11924"]
	if kb.Version != "5041160" || kb.MetadataType != "microsoft-kb-patch" || kb.Metadata["product_id"] != "11924" || kb.Metadata["kb"] != "5041160" {
		t.Errorf("the update is %+v", kb)
	}
	if os := by["UnknownPackage Windows Server 2022 Datacenter"]; len(os.CPEs) != 2 || os.CPEs[0].CPE != serverCPE ||
		os.Locations[0].Path != "/Hives/Software_Delta" || os.Locations[0].LayerID != testDigest("12") {
		t.Errorf("Windows is %+v", os)
	}
	if a := by["java-archive thing"]; a.Language != "java" || a.Locations[0].Path != "/Files/app/thing.jar" {
		t.Errorf("the library is %+v in %v", a, all)
	}
	if _, ok := by[`UnknownPackage Tools <&> \ud800\u001b[2J`]; ok {
		t.Error("a program is an unknown package")
	}
	if _, ok := by[`binary Tools <&> \ud800\u001b[2J`]; !ok {
		t.Errorf("no program with a visible name in %v", all)
	}
}

// A product without a known update has the version "base". An update of another product does
// not count, and one without a product has no number.
func TestPatches(t *testing.T) {
	where := KeyEvidence(hives.Software, "K")
	os := Component{Kind: OS, Name: "Windows", ProductID: "11923", Evidence: where}
	for _, c := range []struct {
		name    string
		updates []Component
		want    []string
	}{
		{"none", nil, []string{"11923 base"}},
		{"one", []Component{{Kind: Update, KB: "KB1", ProductID: "11923"}}, []string{"11923 1"}},
		{"two, one of them twice", []Component{{Kind: Update, KB: "KB1", ProductID: "11923"}, {Kind: Update, KB: "KB2", ProductID: "11923"}, {Kind: Update, KB: "KB1", ProductID: "11923", Name: "x"}}, []string{"11923 1", "11923 2"}},
		{"of another product", []Component{{Kind: Update, KB: "KB1", ProductID: "9495"}}, []string{"11923 base", "9495 1"}},
		{"without product", []Component{{Kind: Update, KB: "KB1"}}, []string{"11923 base"}},
		{"without number", []Component{{Kind: Update, ProductID: "11923"}}, []string{"11923 base"}},
		{"not a number", []Component{{Kind: Update, KB: "KBx", ProductID: "11923"}}, []string{"11923 base"}},
		{"a package with a number is no update", []Component{{Kind: Package, KB: "KB1", ProductID: "11923"}}, []string{"11923 base"}},
	} {
		inv := &Inventory{Components: []Component{os}}
		for _, u := range c.updates {
			u.Evidence = where
			inv.Components = append(inv.Components, u)
		}
		var got []string
		for _, a := range syftArtifacts(t, inv, Subject{}) {
			if a.Type == syftPatch {
				got = append(got, a.Name+" "+a.Version)
			}
		}
		if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLicenses(t *testing.T) {
	for s, want := range map[string]bool{"MIT": true, "MIT OR Apache-2.0": true, "MIT AND": false, "": false, "OR": false, "MIT MIT": false, "See license.rtf": false} {
		if licenseExpression(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
