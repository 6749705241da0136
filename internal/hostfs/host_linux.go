package hostfs

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mullion/mullion/winfs"
)

// createFlag is an additional flag of open. A new file ignores it, but without it package
// os makes four system calls for each file to find out whether the file can be polled.
const createFlag = syscall.O_NONBLOCK

func setRecord(f *os.File, b []byte) error {
	err := unix.Fsetxattr(int(f.Fd()), recordName, b, 0)
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EPERM) {
		return ErrNoAttributes
	}
	if err != nil {
		return &os.PathError{Op: "fsetxattr", Path: f.Name(), Err: err}
	}
	return nil
}

func getRecord(f *os.File) ([]byte, error) {
	b := make([]byte, maxRecord)
	n, err := unix.Fgetxattr(int(f.Fd()), recordName, b)
	switch {
	case err == nil:
		return b[:n], nil
	case errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.ENOTSUP):
		return nil, nil
	case errors.Is(err, syscall.ERANGE):
		return nil, ErrMetadata
	}
	return nil, &os.PathError{Op: "fgetxattr", Path: f.Name(), Err: err}
}

func timespec(t winfs.Filetime) unix.Timespec {
	w, ok := hostTime(t)
	if !ok {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.Timespec{Sec: w.Unix(), Nsec: int64(w.Nanosecond())}
}

// futimens sets times by descriptor, for which package unix has no function that
// takes nanoseconds: a null path means the descriptor itself (utimensat(2)).
func futimens(f *os.File, atime, mtime unix.Timespec) error {
	ts := [2]unix.Timespec{atime, mtime}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, f.Fd(), 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "futimens", Path: f.Name(), Err: errno}
	}
	return nil
}

func syncVolume(f *os.File) error {
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: f.Name(), Err: err}
	}
	return nil
}
