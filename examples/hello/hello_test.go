package hello

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The archive in the repository is what the generator writes, byte for byte.
func TestReproducible(t *testing.T) {
	out := filepath.Join(t.TempDir(), "hello.tar")
	if err := Write(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("hello.tar is not what the generator writes; run go generate ./examples/hello")
	}
}
