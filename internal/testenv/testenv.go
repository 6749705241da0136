// Package testenv finds the files and programs that the tests need and the repository
// does not contain: the corpus of genuine files, and the oracles, programs of other
// projects whose answers are compared with ours. On a newcomer's machine a missing one
// skips the test; with MULLION_REQUIRE=1, as .ci/run sets it, it fails the test.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Required reports whether missing things are failures.
func Required() bool { return os.Getenv("MULLION_REQUIRE") == "1" }

// Root returns the root folder of the module.
func Root(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("cannot find the module's directory")
	}
	// A test that was built on another system and runs under Wine has a path without a
	// drive, which is the drive of the package's folder, where tests start.
	root, err := filepath.Abs(filepath.Join(filepath.Dir(file), "..", ".."))
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

// Corpus returns a path inside the corpus of genuine files, which is at
// $MULLION_CORPUS or in ../shared/corpus beside the module. Where there is no
// corpus the test is skipped; .ci/run sets MULLION_REQUIRE_CORPUS=1 where there
// is one, so that a wrong path cannot hide.
func Corpus(tb testing.TB, elem ...string) string {
	tb.Helper()
	dir := os.Getenv("MULLION_CORPUS")
	if dir == "" {
		dir = filepath.Join(Root(tb), "..", "shared", "corpus")
	}
	p := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		if os.Getenv("MULLION_REQUIRE_CORPUS") == "1" {
			tb.Fatalf("corpus file is required: %v", err)
		}
		tb.Skipf("no corpus: %v", err)
	}
	return p
}

// Program returns the path of an oracle, skipping or failing the test where it
// is not installed.
func Program(tb testing.TB, name, debianPackage string) string {
	tb.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		Missing(tb, name+" (Debian package "+debianPackage+") is not installed")
	}
	return p
}

// Missing skips the test, or fails it where everything is required.
func Missing(tb testing.TB, why string) {
	tb.Helper()
	if Required() {
		tb.Fatal(why)
	}
	tb.Skip(why)
}
