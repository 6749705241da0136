package publish

// seam is called before each operation on the disk; its error is returned in place of
// the operation. It is nil in every program. Only the tests of this package can set it:
// they publish through every writer of the module (see conformance_test.go), so that no
// writer needs a hook of its own.
var seam func(op, name string) error

func step(op, name string) error {
	if seam == nil {
		return nil
	}
	return seam(op, name)
}
