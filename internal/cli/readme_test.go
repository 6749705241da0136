package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// The commands that README.md lists to be run in order succeed. Those that compare exit
// with 1 if there is a difference.
func TestReadme(t *testing.T) {
	root := testenv.Root(t)
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "in this order")
	if !found {
		t.Fatal("README.md has no lines to run in order")
	}
	t.Setenv("MULLION_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	differ := map[string]int{"mullion diff tar:base.tar.gz oci:layout:v1": 1}
	ran := 0
	for line := range strings.Lines(text) {
		command, is := strings.CutPrefix(line, "    ")
		if !is && ran > 0 {
			break
		}
		if !is {
			continue
		}
		command = strings.TrimSpace(command)
		ran++
		words := splitWords(strings.ReplaceAll(command, "examples/", filepath.ToSlash(root)+"/examples/"))
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), words[1:], strings.NewReader(""), &stdout, &stderr)
		if status != differ[command] {
			t.Errorf("%s: status %d, %s", command, status, &stderr)
		}
	}
	if ran < 15 {
		t.Errorf("%d lines were run", ran)
	}
}
