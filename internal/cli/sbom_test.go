package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/inventory"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// everyKind is an inventory with a component of each kind and skipped items, with names that
// can neither be printed nor held in UTF-8.
func everyKind() *sbom {
	inv := &inventory.Inventory{}
	for i, k := range inventory.Kinds() {
		c := inventory.Component{
			Kind: k, Name: "a\x1b[2J\n\xed\xa0\x80" + strings.Repeat(" long", 20), Version: "10.0.20348.2655", KB: "KB5041160", ProductID: "11924",
			State: inventory.Installed, Installed: time.Date(2024, 8, 13, 10, 20, 30, 0, time.UTC), Language: "de-DE",
			ProductCode: "{0D3E9E15-DE7A-300B-96F1-B4AF12B96488}", CPEs: []string{"cpe:2.3:a:b:c:1:*:*:*:*:*:*:*"}, PURL: "pkg:generic/a@1",
			SHA256: strings.Repeat("ab", 32), Licenses: []string{"MIT"}, Properties: []inventory.Property{{Name: "edition", Value: "\xed\xa0\x80"}},
			Evidence: []inventory.Evidence{{Path: `Files\a` + "\xed\xa0\x80", Layer: i%3 - 1}, {Hive: hives.System, Key: `A\B`, Layer: 1}, {Path: `Files\Users\u\NTUSER.DAT`, Key: "K", Layer: -1}},
			FoundBy:  "test",
		}
		inv.Components = append(inv.Components, c, inventory.Component{Kind: k, Name: "b", Evidence: c.Evidence[2:], FoundBy: "test"})
	}
	inv.Skipped = []inventory.Skipped{{Cataloger: "test", Reason: "bad\x1b"}, {Cataloger: "test", Evidence: inventory.Evidence{Path: `Files\x`, Layer: 0}, Reason: "bad"}}
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	return &sbom{all: inv, listed: inv.Select(inventory.OS, inventory.Update, inventory.Program), subject: inventory.Subject{
		Name: "oci:a", Digest: digest("a"), Architecture: "amd64", Created: time.Date(2024, 9, 10, 18, 0, 0, 0, time.UTC),
		Layers: []inventory.Layer{{Digest: digest("0")}, {Digest: digest("1")}}}}
}

// The document with everything in it has the schema, and is ASCII where a name is not printable.
func TestSBOMJSON(t *testing.T) {
	s := everyKind()
	s.listed = s.all
	var b bytes.Buffer
	if err := writeSBOMJSON(&console{}, &b, s); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	for _, name := range []string{"common", "sbom"} {
		raw, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "schema", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err == nil {
			err = compiler.AddResource(doc.(map[string]any)["$id"].(string), doc)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("https://github.com/mullion/mullion/docs/schema/sbom.json")
	if err != nil {
		t.Fatal(err)
	}
	checkDocument(t, "sbom", b.Bytes(), schema, false)
	if strings.ContainsAny(b.String(), "\x1b\ufffd") || !strings.Contains(b.String(), `\ud800`) {
		t.Errorf("a name is not escaped in %.600s", b.String())
	}
	var doc struct {
		Components []struct{ Evidence []struct{ Layer *jsonLayer } }
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if n := 2 * len(inventory.Kinds()); len(doc.Components) != n {
		t.Errorf("%d components, want %d", len(doc.Components), n)
	}
	first := doc.Components[0].Evidence
	if first[0].Layer != nil || *first[1].Layer != (jsonLayer{1, s.subject.Layers[1].Digest}) {
		t.Errorf("layers %+v", first)
	}
}

func TestSBOMTable(t *testing.T) {
	s := everyKind()
	for _, width := range []int{0, 80, 40, 1} {
		var b bytes.Buffer
		if err := writeSBOMTable(&console{terminal: width > 0, width: width}, &b, s); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		for _, want := range []string{"\nUpdates: 2\n", "\nnot listed: 2 services, 2 drivers; --kind service,driver lists them\n", "\nskipped: 2; "} {
			if !strings.Contains(strings.ReplaceAll(out, "\n"+wrapIndent, " "), want) {
				t.Errorf("width %d: no %q in\n%s", width, want, out)
			}
		}
		if width == 0 && !strings.Contains(out, "  1      2024-08-13  KB5041160  10.0.20348.2655  a\\u001b[2J\\u000a\\ud800 long") || strings.Contains(out, "\nDrivers") {
			t.Errorf("width %d:\n%s", width, out)
		}
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(line) - 1; width >= 40 && (strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "not listed")) && n > width {
				t.Errorf("width %d: a line of %d columns: %q", width, n, line)
			}
		}
	}
	s.chosen = true
	var b bytes.Buffer
	if err := writeSBOMTable(&console{}, &b, s); err != nil || strings.Contains(b.String(), "not listed") {
		t.Errorf("%v, %s", err, b.String())
	}
}

// A table and the warnings do not pass the number of listed items off as that of skipped ones.
func TestSBOMSkipped(t *testing.T) {
	for _, x := range []struct {
		n            int
		table, warns string
	}{
		{3, "skipped: 3; -f json lists them with the reasons\n", ""},
		{inventory.MaxSkipped - 1, "skipped: 999; -f json lists them with the reasons\n", "warning: 989 more items are skipped; the document lists them\n"},
		{inventory.MaxSkipped, "skipped: more than 999; -f json lists 999 with the reasons\n", "warning: more than 989 more items are skipped; the document lists 989\n"},
	} {
		inv := &inventory.Inventory{}
		for range x.n {
			inv.Skipped = append(inv.Skipped, inventory.Skipped{Cataloger: "pe", Reason: "bad"})
		}
		var b, notes strings.Builder
		if err := writeSBOMTable(&console{}, &b, &sbom{all: inv, listed: inv}); err != nil || !strings.HasSuffix(b.String(), "\n"+x.table) {
			t.Errorf("%d: %v, %q", x.n, err, b.String())
		}
		warnSkipped(&console{err: &notes}, inv)
		if !strings.HasSuffix(notes.String(), x.warns) {
			t.Errorf("%d: %q", x.n, notes.String())
		}
	}
}

// A kind of many components is counted in a table, and listed when it is asked for.
func TestSBOMTableCounts(t *testing.T) {
	inv := &inventory.Inventory{Components: []inventory.Component{{Kind: inventory.OS, Name: "Windows", Evidence: inventory.FileEvidence("f")}}}
	for i := range maxTableKind + 1 {
		inv.Components = append(inv.Components, inventory.Component{Kind: inventory.Package, Name: fmt.Sprintf("Package-%d", i), Evidence: inventory.FileEvidence("f")})
	}
	for _, chosen := range []bool{false, true} {
		var b strings.Builder
		if err := writeSBOMTable(&console{}, &b, &sbom{all: inv, listed: inv, chosen: chosen}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "Package-7"); got != chosen {
			t.Errorf("chosen %v: listed %v", chosen, got)
		}
		if got := strings.Contains(b.String(), "not listed: 101 packages; --kind package lists them"); got == chosen {
			t.Errorf("chosen %v: counted %v\n%s", chosen, got, b.String())
		}
	}
}
