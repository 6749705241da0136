//go:build unix || windows

package filelock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/filelock"
)

func TestTry(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if ok, err := filelock.Try(first); !ok || err != nil {
		t.Fatalf("the first: %v, %v", ok, err)
	}
	if ok, err := filelock.Try(second); ok || err != nil {
		t.Errorf("the second while the first has it: %v, %v", ok, err)
	}
	// What is locked can be read and written: the lock is about nothing in the file.
	if _, err := second.WriteString("x"); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if ok, err := filelock.Try(second); !ok || err != nil {
		t.Errorf("the second after the first: %v, %v", ok, err)
	}
}
