// Package sbom holds the tests of the bills of materials against the public schemas of their
// formats.
package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/inventory"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The modules that carry the schemas. No package of theirs is built: they are downloaded,
// and Go compares them with these sums.
const (
	cyclonedx    = "github.com/CycloneDX/cyclonedx-go@v0.12.0"
	cyclonedxSum = "h1:/7Jum36UA6V043tQZ/fE3jf+Nf9gn/qxUFfd7QReMy8="
	syft         = "github.com/anchore/syft@v1.57.1"
	syftSum      = "h1:lrbWhc8hbZJSKekMdB3PKetO0upE+lv9ihUfv9CXgfU="
)

// module returns the directory of a module.
func module(t *testing.T, version, sum string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "mod", "download", "-json", version)
	cmd.Dir = t.TempDir() // outside of modules, so that no go.mod changes
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var m struct{ Dir, Sum, Error string }
	if err = errors.Join(err, json.Unmarshal(out, &m)); err != nil || m.Error != "" {
		t.Fatalf("%v: %s%s", err, m.Error, stderr.Bytes())
	}
	if m.Sum != sum {
		t.Fatalf("%s has the sum %s, want %s", version, m.Sum, sum)
	}
	return m.Dir
}

// compile reads schemas, by URL, and compiles the one at main.
func compile(t *testing.T, main string, files map[string]string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for url, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err == nil {
			err = c.AddResource(url, doc)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(main)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A format is one of a bill of materials, with the schemas that a document has to fit.
type format struct {
	name    string
	write   func(io.Writer, *inventory.Inventory, inventory.Subject) error
	schemas []*jsonschema.Schema
	broken  [2]string // a text in each document and one in its place that the schema refuses
}

func formats(t *testing.T) []format {
	const at = "http://cyclonedx.org/schema/"
	dir := filepath.Join(module(t, cyclonedx, cyclonedxSum), "schema")
	cdx := compile(t, at+"bom-1.6.schema.json", map[string]string{
		at + "bom-1.6.schema.json":  filepath.Join(dir, "bom-1.6.schema.json"),
		at + "spdx.schema.json":     filepath.Join(dir, "spdx.schema.json"),
		at + "jsf-0.82.schema.json": filepath.Join(dir, "jsf-0.82.schemax.json"),
	})
	dir = filepath.Join(module(t, syft, syftSum), "schema")
	one := func(file ...string) *jsonschema.Schema {
		name := filepath.Join(append([]string{dir}, file...)...)
		return compile(t, "https://schemas.example/"+filepath.Base(name), map[string]string{"https://schemas.example/" + filepath.Base(name): name})
	}
	return []format{
		{"CycloneDX", inventory.WriteCycloneDX, []*jsonschema.Schema{cdx}, [2]string{`"type": "operating-system"`, `"type": "system"`}},
		{"SPDX", inventory.WriteSPDX, []*jsonschema.Schema{one("spdx-json", "spdx-schema-2.3.json")}, [2]string{"OPERATING_SYSTEM", "OPERATING-SYSTEM"}},
		// The version that is named, and the newest that the module has.
		{"Syft", inventory.WriteSyft, []*jsonschema.Schema{one("json", "schema-16.0.24.json"), one("json", "schema-16.1.13.json")}, [2]string{`"foundBy"`, `"finder"`}},
	}
}

// every is an inventory in which each kind and field occurs, with texts that need escapes.
func every() (*inventory.Inventory, inventory.Subject) {
	const hostile = "a\x1b[2J\n<b>&\"\\ \u202e\xed\xa0\x80\xff\x00\u2028é"
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 32) }
	inv := &inventory.Inventory{}
	kinds := []inventory.Kind{inventory.OS, inventory.Update, inventory.Package, inventory.Feature, inventory.Program,
		inventory.Runtime, inventory.Library, inventory.Service, inventory.Driver, inventory.Executable, "new"}
	for i, k := range kinds {
		key := inventory.Evidence{Hive: hives.Software, Key: `Microsoft\` + hostile, Layer: i%4 - 1}
		file := inventory.Evidence{Path: `Files\` + hostile, Layer: i%4 - 1}
		c := inventory.Component{
			Kind: k, Name: hostile, Version: "10.0.20348.2655", Publisher: hostile, Architecture: "amd64", Language: "de-DE",
			KB: "KB5041160", ProductID: "11924", State: inventory.Installed, Installed: time.Date(2024, 8, 13, 10, 0, 0, 0, time.UTC),
			ProductCode: "{0D3E9E15-DE7A-300B-96F1-B4AF12B96488}", CPEs: []string{"cpe:2.3:o:microsoft:windows_server_2022:10.0.20348.2655:*:*:*:*:*:*:*", "cpe:2.3:a:b:c:1:*:*:*:*:*:*:*"},
			PURL: "pkg:generic/microsoft/windows_server_2022@10.0.20348.2655", SHA256: strings.Repeat("ab", 32),
			Licenses: []string{"MIT", hostile, "MIT OR Apache-2.0"}, Properties: []inventory.Property{{Name: "edition", Value: hostile}},
			Evidence: []inventory.Evidence{file, key}, FoundBy: "test",
		}
		inv.Components = append(inv.Components, c, c,
			inventory.Component{Kind: k, Evidence: []inventory.Evidence{key}},
			inventory.Component{Kind: k, Name: fmt.Sprint(i), Licenses: []string{"MIT OR Apache-2.0"}, PURL: "pkg:npm/%40scope/name@1", Evidence: []inventory.Evidence{file}})
		inv.Skipped = append(inv.Skipped, inventory.Skipped{Cataloger: "test", Evidence: file, Reason: hostile}, inventory.Skipped{Cataloger: "test", Reason: hostile})
	}
	return inv, inventory.Subject{Name: hostile, Digest: digest("ab"), Architecture: "amd64", Created: time.Date(2024, 9, 10, 18, 0, 0, 1, time.UTC),
		Layers: []inventory.Layer{{Digest: digest("01"), DiffID: digest("11"), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: 1 << 40}, {}}}
}

// TestSchemas: the public schemas accept the documents of an inventory with everything in it,
// of an empty one, and of the example image, and each refuses one with a fault.
func TestSchemas(t *testing.T) {
	img, err := image.Open(t.Context(), "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	hello, subject, err := inventory.Of(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	all, s := every()
	for _, f := range formats(t) {
		for _, c := range []struct {
			name string
			inv  *inventory.Inventory
			of   inventory.Subject
		}{{"everything", all, s}, {"nothing", &inventory.Inventory{}, inventory.Subject{}}, {"hello", hello, subject}} {
			var b bytes.Buffer
			if err := f.write(&b, c.inv, c.of); err != nil {
				t.Fatalf("%s of %s: %v", f.name, c.name, err)
			}
			for _, schema := range f.schemas {
				if err := validate(schema, b.String()); err != nil {
					t.Errorf("%s of %s: %v", f.name, c.name, err)
				}
				bad := strings.ReplaceAll(b.String(), f.broken[0], f.broken[1])
				if c.name != "nothing" && validate(schema, bad) == nil {
					t.Errorf("%s of %s: the schema accepts %s", f.name, c.name, f.broken[1])
				}
			}
		}
	}
}

func validate(s *jsonschema.Schema, doc string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
	if err != nil {
		return err
	}
	return s.Validate(v)
}
