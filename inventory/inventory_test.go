package inventory

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	spdxjson "github.com/spdx/tools-golang/json"
)

// software makes a SOFTWARE hive: a key a line, then its values, NAME=text or
// NAME=dword:N.
func software(t *testing.T, lines string) *regf.Hive {
	t.Helper()
	base, err := hives.Minimal(hives.Software, hives.ServerCore(20348, 2700))
	if err != nil {
		t.Fatal(err)
	}
	h, err := regf.OpenBytes(base, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	fill(t, h, lines)
	return h
}

// fill adds keys and values to a hive; NAME=expand:text is a REG_EXPAND_SZ.
func fill(t *testing.T, h *regf.Hive, lines string) {
	t.Helper()
	var err error
	key := h.Root()
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		name, data, ok := strings.Cut(line, "=")
		switch {
		case line == "":
		case !ok:
			key = h.Root()
			for part := range strings.SplitSeq(line, `\`) {
				next, _, err := key.Create(part)
				if err != nil {
					t.Fatal(err)
				}
				key = next
			}
		case strings.HasPrefix(data, "dword:"):
			var n uint32
			for _, d := range data[len("dword:"):] {
				n = n*10 + uint32(d-'0')
			}
			err = key.SetValue(name, regf.RegDword, regf.Uint32Data(n))
		case strings.HasPrefix(data, "expand:"):
			err = key.SetValue(name, regf.RegExpandSZ, regf.StringData(data[len("expand:"):]))
		default:
			err = key.SetValue(name, regf.RegSZ, regf.StringData(data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

const sampleKeys = `
Microsoft\Windows\CurrentVersion\Uninstall\{0D3E9E15-DE7A-300B-96F1-B4AF12B96488}
DisplayName=Microsoft Visual C++ 2022 X64 Minimum Runtime - 14.38.33130
DisplayVersion=14.38.33130
Publisher=Microsoft Corporation
InstallDate=20240115
WindowsInstaller=dword:1
SystemComponent=dword:1
Microsoft\Windows\CurrentVersion\Uninstall\Git_is1
DisplayName=Git
DisplayVersion=2.43.0
Publisher=The Git Development Community
InstallDate=yesterday
Microsoft\Windows\CurrentVersion\Uninstall\Nameless
DisplayVersion=1
Microsoft\Windows\CurrentVersion\Uninstall\{92FB6C44-E685-45AD-9B20-CADF4CABA132}.KB4018272
DisplayName=Update for Framework (KB4018272)
ReleaseType=Security Update
WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Old
DisplayName=Old <Program> & Sons
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_KB5034439~31bf3856ad364e35~amd64~~20348.2201.1.0
CurrentState=dword:112
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2700.1.8
CurrentState=dword:112
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.2031.1.7
CurrentState=dword:80
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Microsoft-Windows-LanguageFeatures-Basic-en-us-Package~31bf3856ad364e35~amd64~~10.0.20348.1
CurrentState=dword:112
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Client-Package~0123456789abcdef~amd64~de-DE~1.2.3.4
CurrentState=dword:112
Microsoft\Windows NT\CurrentVersion\HotFix\KB835935
Installed=dword:1
Fix Description=Windows XP Service Pack
Microsoft\Windows NT\CurrentVersion\HotFix\KB000001
Installed=dword:0
`

func read(t *testing.T, h *regf.Hive) (*Inventory, error) {
	t.Helper()
	return Run(t.Context(), NewSystem(nil, map[hives.Name]*regf.Hive{hives.Software: h}), Catalogers()...)
}

func TestRead(t *testing.T) {
	inv, err := read(t, software(t, sampleKeys))
	if err != nil {
		t.Fatal(err)
	}
	if os := inv.System(); os == nil || os.Version != "10.0.20348.2700" {
		t.Errorf("OS %v", os)
	}
	type row struct {
		kind                                     Kind
		name, version, publisher, arch, kb, date string
		product                                  bool
	}
	var got []row
	for _, c := range inv.Components[1:] {
		got = append(got, row{c.Kind, c.Name, c.Version, c.Publisher, c.Architecture, c.KB, c.installed(), c.ProductCode != ""})
	}
	const ms = "Microsoft Corporation"
	want := []row{
		{Update, "Package_for_KB5034439", "20348.2201.1.0", ms, "amd64", "KB5034439", "", false},
		{Update, "Package_for_RollupFix", "20348.2700.1.8", ms, "amd64", "KB5042881", "", false},
		{Update, "Update for Framework (KB4018272)", "", "", "", "KB4018272", "", false},
		{Update, "Windows XP Service Pack", "", ms, "", "KB835935", "", false},
		{Package, "Client-Package", "1.2.3.4", "", "amd64", "", "", false},
		{Package, "Microsoft-Windows-LanguageFeatures-Basic-en-us-Package", "10.0.20348.1", ms, "amd64", "", "", false},
		{Program, "Git", "2.43.0", "The Git Development Community", "", "", "", false},
		{Program, "Microsoft Visual C++ 2022 X64 Minimum Runtime - 14.38.33130", "14.38.33130", ms, "", "", "2024-01-15", true},
		{Program, "Old <Program> & Sons", "", "", "386", "", "", false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("read\n%+v, want\n%+v", got, want)
	}
}

// Values of wrong types, and keys that are no identities, are no errors.
func TestReadOddities(t *testing.T) {
	inv, err := read(t, software(t, `
Microsoft\Windows\CurrentVersion\Uninstall\A
DisplayName=dword:7
Microsoft\Windows\CurrentVersion\Uninstall\B
DisplayName=B
WindowsInstaller=one
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\no identity
CurrentState=dword:112
Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\a~b~c~d~e~f
CurrentState=112
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Components) != 4 || inv.Components[2].Name != "no identity" || inv.Components[3].Name != "B" {
		t.Errorf("%+v", inv.Components)
	}
	h := regf.New(nil)
	defer h.Close()
	if inv, err = read(t, h); err != nil || inv.System() != nil || len(inv.Components) != 0 {
		t.Errorf("an empty hive: %+v, %v", inv, err)
	}
}

func documents(t *testing.T) map[string][]byte {
	t.Helper()
	inv, err := read(t, software(t, sampleKeys))
	if err != nil {
		t.Fatal(err)
	}
	s := Subject{Name: "oci:layout:v1", Digest: "sha256:" + strings.Repeat("ab", 32), Architecture: "amd64",
		Created: time.Date(2024, 9, 10, 18, 0, 0, 123, time.UTC)}
	out := map[string][]byte{}
	var cyclone, spdx, syft bytes.Buffer
	for _, err := range []error{WriteCycloneDX(&cyclone, inv, s), WriteSPDX(&spdx, inv, s), WriteSyft(&syft, inv, s)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	out["cyclonedx"], out["spdx"], out["syft"] = cyclone.Bytes(), spdx.Bytes(), syft.Bytes()
	return out
}

// The formats' own libraries read back what was written.
func TestDocuments(t *testing.T) {
	docs := documents(t)
	for name, again := range documents(t) {
		if !bytes.Equal(docs[name], again) {
			t.Errorf("%s differs from run to run", name)
		}
	}

	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(docs["cyclonedx"]), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("two components are %s", c.BOMRef)
		}
		refs[c.BOMRef] = true
	}
	system := (*bom.Components)[0]
	if len(refs) != 10 || system.Version != "10.0.20348.2700" || system.CPE != "cpe:2.3:o:microsoft:windows_server_2022:10.0.20348.2700:*:*:*:*:*:*:*" {
		t.Errorf("%d components, %+v", len(refs), system)
	}
	if bom.Metadata.Timestamp != "2024-09-10T18:00:00Z" || bom.SpecVersion != cdx.SpecVersion1_6 {
		t.Errorf("%s, %v", bom.Metadata.Timestamp, bom.SpecVersion)
	}
	for _, r := range *(*bom.Dependencies)[0].Dependencies {
		if !refs[r] {
			t.Errorf("a dependency on %s, which is no component", r)
		}
	}

	doc, err := spdxjson.Read(bytes.NewReader(docs["spdx"]))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, p := range doc.Packages {
		ids[string(p.PackageSPDXIdentifier)] = true
	}
	if len(ids) != 11 || len(doc.Relationships) != 11 {
		t.Errorf("%d packages, %d relationships", len(ids), len(doc.Relationships))
	}
	for _, r := range doc.Relationships {
		if !ids[string(r.RefB.ElementRefID)] {
			t.Errorf("a relationship to %v, which is no package", r.RefB)
		}
	}
	if !bytes.Contains(docs["spdx"], []byte(`"supplier": "Organization: The Git Development Community"`)) || !bytes.Contains(docs["spdx"], []byte(`"supplier": "NOASSERTION"`)) {
		t.Errorf("suppliers are missing:\n%s", docs["spdx"])
	}

	var syft struct {
		Artifacts []struct{ ID, Name, Version, Type string }
		Distro    struct{ ID, VersionID string }
		Schema    struct{ Version string }
	}
	if err := json.Unmarshal(docs["syft"], &syft); err != nil {
		t.Fatal(err)
	}
	if len(syft.Artifacts) != 12 || syft.Distro.ID != "windows" || syft.Distro.VersionID != "10.0.20348.2700" || !strings.HasPrefix(syft.Schema.Version, "16.") {
		t.Errorf("%+v", syft)
	}
}

// The subject is taken from the image, the Windows from its merged hive.
func TestOfImage(t *testing.T) {
	img, err := image.Open(t.Context(), "oci-archive:"+testenv.Root(t)+"/examples/hello/hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	inv, s, err := Of(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if os := inv.System(); os == nil || os.Version != "10.0.20348.2700" || s.Digest != string(img.Digest()) || s.Architecture != "amd64" {
		t.Errorf("%+v, %+v", inv, s)
	}
}
