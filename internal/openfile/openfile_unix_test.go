//go:build unix

package openfile_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mullion/mullion/internal/openfile"
)

// folder returns a directory with a pipe, a regular file and a link to the pipe.
func folder(t *testing.T) (dir string, root *os.Root) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func TestPipesAreRefused(t *testing.T) {
	dir, root := folder(t)
	for _, name := range []string{"pipe", "link", "."} {
		if _, err := openfile.Regular(filepath.Join(dir, name)); !errors.Is(err, openfile.ErrIrregular) {
			t.Errorf("Regular(%s): %v", name, err)
		}
		if _, err := openfile.RegularIn(root, name); !errors.Is(err, openfile.ErrIrregular) {
			t.Errorf("RegularIn(%s): %v", name, err)
		}
	}
	for _, name := range []string{"pipe", "link", "file"} {
		if _, err := openfile.Root(filepath.Join(dir, name)); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("Root(%s): %v", name, err)
		}
	}
	f, err := openfile.Regular(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "text" {
		t.Errorf("read %q, %v", b, err)
	}
}

// A pipe without a writer is waited for, and only as long as the context lasts.
func TestStreamEndsWithContext(t *testing.T) {
	dir, _ := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openfile.Stream(ctx, filepath.Join(dir, "pipe")); !errors.Is(err, context.Canceled) {
		t.Fatalf("open without a writer: %v", err)
	}
	// The first call still holds its end of the first pipe.
	dir, _ = folder(t)
	pipe := filepath.Join(dir, "pipe")
	written := make(chan error, 1)
	go func() {
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err == nil {
			_, err = w.WriteString("text")
			err = errors.Join(err, w.Close())
		}
		written <- err
	}()
	f, err := openfile.Stream(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || string(b) != "text" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
