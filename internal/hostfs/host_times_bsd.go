//go:build darwin || freebsd || netbsd || openbsd

package hostfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mullion/mullion/winfs"
)

// timespec returns nil for a time that is not set.
func timespec(t winfs.Filetime) *unix.Timeval {
	w, ok := hostTime(t)
	if !ok {
		return nil
	}
	tv := unix.NsecToTimeval(int64(w.Nanosecond()))
	tv.Sec = w.Unix()
	return &tv
}

// futimens sets both times, with the resolution of a microsecond that these hosts have for
// descriptors. A missing time is set to the other one.
func futimens(f *os.File, atime, mtime *unix.Timeval) error {
	if atime == nil {
		atime = mtime
	}
	if mtime == nil {
		mtime = atime
	}
	if err := unix.Futimes(int(f.Fd()), []unix.Timeval{*atime, *mtime}); err != nil {
		return &os.PathError{Op: "futimes", Path: f.Name(), Err: err}
	}
	return nil
}

// syncVolume is not there: sync(2) only schedules on these hosts.
func syncVolume(*os.File) error { return errors.ErrUnsupported }
