package filelock

import (
	"os"
	"syscall"
	"unsafe"
)

var procLockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

func try(f *os.File) (bool, error) {
	const (
		failImmediately = 1
		exclusive       = 2
		lockViolation   = syscall.Errno(33)
	)
	// One byte far beyond any data: here a locked range cannot be read by others.
	at := syscall.Overlapped{OffsetHigh: 0x7FFFFFFF}
	ok, _, err := procLockFileEx.Call(f.Fd(), failImmediately|exclusive, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	if ok != 0 {
		return true, nil
	}
	if err == lockViolation || err == syscall.ERROR_IO_PENDING {
		return false, nil
	}
	return false, err
}
