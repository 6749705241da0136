package overlay

import (
	"os"
	"syscall"
	"unsafe"
)

var procLockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

// lockFile takes the exclusive lock of an open file, which the system releases
// when the process ends; false means that another process has it.
func lockFile(f *os.File) (bool, error) {
	const (
		failImmediately = 1
		exclusive       = 2
		lockViolation   = syscall.Errno(33)
	)
	var ov syscall.Overlapped
	ok, _, err := procLockFileEx.Call(f.Fd(), failImmediately|exclusive, 0, 1, 0, uintptr(unsafe.Pointer(&ov)))
	if ok != 0 {
		return true, nil
	}
	if err == lockViolation || err == syscall.ERROR_IO_PENDING {
		return false, nil
	}
	return false, err
}
