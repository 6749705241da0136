//go:build unix

package cli

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A named pipe where a file or a directory is needed is an error at once, and where a
// stream is read the wait for its writer ends with the command's context. A command that
// waits for ever fails the test by the test's own time limit.
func TestNamedPipes(t *testing.T) {
	dir := t.TempDir()
	pipe, hive, out := filepath.Join(dir, "pipe"), filepath.Join(dir, "hive"), filepath.Join(dir, "out")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := run1("hive", "new", "-o", hive); status != 0 {
		t.Fatal(stderr)
	}
	for _, args := range [][]string{
		{"cim", "info", pipe},
		{"cim", "check", pipe},
		{"cim", "rewrite", pipe, out},
		{"ls", "cim:" + pipe},
		{"ls", "wclayer:" + pipe},
		{"inspect", "oci:" + pipe},
		{"inspect", "oci-archive:" + pipe},
		{"inspect", "docker-archive:" + pipe},
		{"hive", "dump", pipe},
		{"hive", "recover", hive, "--log", pipe, "-o", out},
		{"hive", "recover", pipe, "--log", hive, "-o", out},
	} {
		if status, stdout, stderr := run1(args...); status == 0 || !strings.Contains(stdout+stderr, "not a regular file") && !strings.Contains(stderr, "not a directory") {
			t.Errorf("%v: status %d, %s%s", args, status, stdout, stderr)
		}
	}
	for _, args := range [][]string{
		{"ls", "tar:" + pipe},
		{"hive", "import", hive, pipe},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		var stdout, stderr bytes.Buffer
		if status := run(ctx, args, strings.NewReader(""), &stdout, &stderr); status == 0 || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%v: status %d, %s%s", args, status, &stdout, &stderr)
		}
		cancel()
	}
}
