//go:build linux || darwin

package plaindir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func setXattr(f *os.File, name string, value []byte) error {
	err := unix.Fsetxattr(int(f.Fd()), name, value, 0)
	switch {
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EOPNOTSUPP):
		return errNoAttributes
	case errors.Is(err, unix.E2BIG), errors.Is(err, unix.ERANGE), errors.Is(err, unix.ENOSPC):
		// ENOSPC is what ext4 says; a full disk shows itself in the content.
		return errNoRoom
	case err != nil:
		return &os.PathError{Op: "setxattr " + name, Path: f.Name(), Err: err}
	}
	return nil
}
