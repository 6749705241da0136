// Package junit holds the test of the JUnit output with a reader of others.
package junit

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	junit "github.com/joshdk/go-junit"
	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/internal/testenv"
)

func run(t *testing.T, want int, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	if status := cli.Main(args, strings.NewReader(""), &out, &errs); status != want {
		t.Fatalf("%q: status %d, %s", args, status, errs.Bytes())
	}
	return out.Bytes()
}

// TestReader: a reader of JUnit documents finds a suite for each layer, and in the suites
// what check has found, with its status.
func TestReader(t *testing.T) {
	hello := filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	suites, err := junit.Ingest(run(t, 0, "check", "--no-cache", "--format", "junit", "oci-archive:"+hello))
	if err != nil || len(suites) != 2 || suites[0].Totals.Passed != 1 || suites[1].Totals.Failed != 0 || !strings.HasPrefix(suites[1].Name, "layer 1 ") {
		t.Errorf("%+v, %v", suites, err)
	}
	t.Chdir(t.TempDir())
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"Files", "Files/a", "Files/a", "Files/\u202e]]><b>"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("bad.tar", b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	suites, err = junit.Ingest(run(t, 1, "check", "--format", "junit", "--fail-on", "error", "--ignore", "descriptor-missing", "tar:bad.tar"))
	if err != nil || len(suites) != 1 {
		t.Fatalf("%+v, %v", suites, err)
	}
	s := suites[0]
	if s.Totals.Failed == 0 || s.Totals.Skipped == 0 || s.Totals.Passed == 0 || s.Totals.Tests != len(s.Tests) {
		t.Errorf("%+v", s.Totals)
	}
	duplicate := false
	for _, c := range s.Tests {
		switch {
		case strings.HasPrefix(c.Name, "duplicate-entry ") && c.Status == junit.StatusFailed:
			duplicate = duplicate || strings.Contains(c.Error.Error(), "has the same path")
		case strings.HasPrefix(c.Name, "descriptor-missing ") && c.Status != junit.StatusSkipped:
			t.Errorf("%+v is not skipped", c)
		}
	}
	if !duplicate {
		t.Errorf("the failure is not there: %+v", s.Tests)
	}
}
