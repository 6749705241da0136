package publish

import "testing"

// Inject has f called before each operation of this package for the rest of the test.
// Tests that inject do not run in parallel.
func Inject(t testing.TB, f func(op, name string) error) {
	seam = f
	t.Cleanup(func() { seam = nil })
}

// The names in a private folder.
const (
	LockName    = lockName
	RandomBytes = randomBytes
)
