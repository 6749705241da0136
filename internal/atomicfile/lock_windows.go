package atomicfile

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

const openFlags = 0

func lock(f *os.File) error {
	var o windows.Overlapped
	// One byte far beyond any data, so that the lock is not in the way of reads.
	o.OffsetHigh = 0x7FFFFFFF
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &o)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrBusy
	}
	return err
}

// inherit does nothing: the folder gives both files their descriptors.
func inherit(*os.File, fs.FileInfo) error { return nil }

// releaseBeforeRename closes the file: os.Root opens without the right to rename
// what is open.
func releaseBeforeRename(f *os.File) error { return f.Close() }

// syncDir does nothing: NTFS journals the rename.
func syncDir(*os.Root) error { return nil }
