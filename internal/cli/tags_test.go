package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is advised to tags is what tags takes.
func TestRepositoryHint(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for repo, want := range map[string]string{
		"nope":                     "registry/name",
		"library/app":              "registry/name",
		dir:                        "is an OCI layout here",
		"localhost/app":            "",
		"localhost:5000/app":       "",
		"registry.example.com/app": "",
	} {
		var hinted *hintedError
		err := repositoryHint(repo, errors.New("no such host"))
		switch {
		case errors.As(err, &hinted) != (want != ""):
			t.Errorf("%s: %#v", repo, err)
		case want != "" && !strings.Contains(hinted.hint, want):
			t.Errorf("%s: hint %q, want %q in it", repo, hinted.hint, want)
		case want != "" && strings.Contains(hinted.hint, "oci:"):
			t.Errorf("%s: hint %q names a reference that tags does not take", repo, hinted.hint)
		}
	}
}
