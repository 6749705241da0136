//go:build unix

package cli

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe is rejected: opening it would block until a writer opens it.
func TestHivePipeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{
		{"hive", "add", path, "New"}, {"hive", "delete", path, "New"}, {"hive", "query", path}, {"hive", "add", path, "New", "--force"},
		{"hive", "add", "/dev/null", "New"}, {"hive", "check", path},
	} {
		if status, _, errs := run1(args...); status == 0 || !strings.Contains(errs, "not a regular file") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}
