package cli

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// manyfaults N OUT.tar makes a layer with N symbolic links that earn a warning each.
func manyfaults(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"Files", "Hives"} {
		ts.Check(w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}))
	}
	for i := range n {
		ts.Check(w.WriteHeader(&tar.Header{Name: fmt.Sprintf("Files/link%07d", i), Typeflag: tar.TypeSymlink, Linkname: "Files/target"}))
	}
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o644))
}

func TestParseConfig(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"# nothing\n":                   "",
		"fail-on: never":                "",
		"ignore:":                       "",
		"ignore: []":                    "",
		"ignore: 1":                     "f:1: ignore is not a list",
		"a: &a [1]\n":                   `f:1: unknown key "a"; the keys are fail-on, ignore`,
		"fail-on: error\nfail-on: info": `f:2: a second "fail-on"`,
		"fail-on: [error]":              "f:1: the value is not a text",
		"fail-on: bad":                  "f:1: fail-on bad: want info, warning, error or never",
		"ignore:\n- rule: digest\n  reason: r\n  path: ''":                           "f:2: the entry has no path",
		"ignore:\n- reason: r":                                                       "f:2: the entry has no rule",
		"ignore:\n- rule: digest\n  reason: r\n  paths: ''":                          `f:4: unknown key "paths"; the keys are rule, path, reason`,
		"ignore:\n- digest":                                                          `f:2: there is no mapping with the keys rule, path, reason`,
		"ignore:\n- rule: digest\n  reason: r\n  path: " + strings.Repeat("a", 5000): "f:2: path",
		"\t": "f: yaml",
	} {
		_, err := parseConfig("f", []byte(text))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("fail-on: error\nignore:\n- {rule: digest, path: 'a/**', reason: r}\n"))
	f.Add([]byte("a: &a [*a, *a]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig("f", raw)
		var s *subjectError
		if err != nil && !errors.As(err, &s) {
			t.Errorf("%v has no place", err)
		}
		for _, x := range c.ignores {
			if err == nil && (x.Reason == "" || knownRule(x.Rule) != nil) {
				t.Errorf("%+v is accepted", x)
			}
		}
	})
}

func TestReferenceURI(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a:b.tar", nil, 0o600); err != nil {
		t.Skip(err)
	}
	for ref, want := range map[string]string{
		"tar:layers/a b.tar":            "layers/a%20b.tar",
		"oci-archive:a:b.tar":           "a%3Ab.tar",
		"oci:dir:v1":                    "dir",
		"docker://localhost:5000/app:1": "localhost%3A5000/app%3A1",
		"mcr.microsoft.com/nano:1":      "mcr.microsoft.com/nano%3A1",
		"containerd:k8s.io/app:1":       "k8s.io/app%3A1",
		"tar:/x%y/z.tar":                "file:///x%25y/z.tar",
		"cim:a\u202eb.cim":              "a%E2%80%AEb.cim",
	} {
		if got := referenceURI(ref); got != want {
			t.Errorf("%s is %s, want %s", ref, got, want)
		}
	}
}
