// Package sarif holds the test of the SARIF output against the schema of OASIS.
package sarif

import (
	"archive/tar"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/internal/testenv"
	_ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif" // go.mod pins the schema
	"github.com/xeipuuv/gojsonschema"
)

// schema returns the schema of SARIF 2.1.0 with errata 01. The module that carries it does
// not export it, so that it is read from the source.
func schema(t *testing.T) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.BasicLit); ok && v.Kind == token.STRING && strings.Contains(v.Value, "sarif-schema-2.1.0.json") {
			text, err = strconv.Unquote(v.Value)
		}
		return true
	})
	if text == "" || err != nil {
		t.Fatalf("the module has no schema: %v", err)
	}
	return text
}

// validate returns the reasons for which the schema refuses a document.
func validate(t *testing.T, s *gojsonschema.Schema, doc []byte) []gojsonschema.ResultError {
	t.Helper()
	r, err := s.Validate(gojsonschema.NewBytesLoader(doc))
	if err != nil {
		t.Fatalf("%v in %.500s", err, doc)
	}
	return r.Errors()
}

// TestSchema: the schema accepts the output of check for sound and broken images, layers,
// hives and CimFS images, with hostile names.
func TestSchema(t *testing.T) {
	s, err := gojsonschema.NewSchema(gojsonschema.NewStringLoader(schema(t)))
	if err != nil {
		t.Fatal(err)
	}
	if e := validate(t, s, []byte(`{"version":"2.1.0","runs":[{"tool":{}}]}`)); len(e) == 0 {
		t.Fatal("the schema accepts a run without a driver")
	}
	hello := filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	t.Chdir(t.TempDir())
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"Files", "Files/a", "Files/a", "Files/\u202e<b>\x1b", "Files/[x](http:)", "outside"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"bad.tar": b.String(), "junk": strings.Repeat("junk", 5000), ".mullion.yaml": "ignore:\n- {rule: duplicate-entry, reason: '<known>'}\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (int, []byte) {
		var out, errs bytes.Buffer
		status := cli.Main(args, strings.NewReader(""), &out, &errs)
		t.Logf("%q: %s", args, errs.Bytes())
		return status, out.Bytes()
	}
	if status, _ := run("hive", "new", "-o", "hive"); status != 0 {
		t.Fatal("no hive")
	}
	for _, c := range []struct {
		status  int
		args    string
		results bool
	}{
		{0, "check oci-archive:" + hello, false},
		{1, "check tar:bad.tar --severity info", true},
		{1, "check tar:bad.tar --severity info --all", true},
		{1, "check tar:junk", true},
		{0, "hive check hive", false},
	} {
		status, doc := run(append(strings.Fields(c.args), "--format", "sarif")...)
		if status != c.status || c.results != bytes.Contains(doc, []byte(`"ruleId"`)) {
			t.Errorf("%s: status %d, %.300s", c.args, status, doc)
		}
		for _, e := range validate(t, s, doc) {
			t.Errorf("%s: %v", c.args, e)
		}
	}
}
