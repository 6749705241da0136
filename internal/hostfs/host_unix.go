//go:build linux || darwin || freebsd || netbsd || openbsd

package hostfs

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mullion/mullion/winfs"
)

// LongPath is for Windows, where an ordinary path is limited to 260 units.
func LongPath(path string) string { return path }

func linkAt(from *os.File, oldname string, to *os.File, newname string) error {
	if err := unix.Linkat(int(from.Fd()), oldname, int(to.Fd()), newname, 0); err != nil {
		return &os.LinkError{Op: "linkat", Old: oldname, New: newname, Err: err}
	}
	return nil
}

// LinkRefused reports whether a hard link cannot be made for a reason that a copy
// does not share.
func LinkRefused(err error) bool {
	return errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EMLINK) ||
		errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported)
}

// setHostTimes sets the modification and access time. A host that cannot hold a
// time as old or as late as a Windows file has them clamps or refuses it, which
// is no error: the exact times are in the record.
func setHostTimes(f *os.File, t winfs.Times) error {
	if t.LastWrite == 0 && t.LastAccess == 0 {
		return nil
	}
	err := futimens(f, timespec(t.LastAccess), timespec(t.LastWrite))
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOVERFLOW) || errors.Is(err, syscall.ERANGE) {
		return nil
	}
	return err
}

// FileIdentity returns the numbers that identify a file on the host, and the number of its names.
func FileIdentity(fi os.FileInfo) (device, inode uint64, links uint64) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino), uint64(st.Nlink)
	}
	return 0, 0, 1
}

// ErrNameTooLong is the error for a name that the host cannot have.
const ErrNameTooLong = syscall.ENAMETOOLONG
