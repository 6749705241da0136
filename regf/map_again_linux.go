//go:build linux && (amd64 || arm64 || riscv64 || loong64 || ppc64le)

package regf

import (
	"os"
	"syscall"
	"unsafe"
)

// mapAgain returns total bytes of memory of which the first are those of a file, mapped
// privately, and the rest is zero. below is the number of bytes of the file.
func mapAgain(f *os.File, below, total int) ([]byte, func() error, error) {
	b, err := syscall.Mmap(-1, 0, total, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, nil, err
	}
	unmap := func() error { return syscall.Munmap(b) }
	_, _, errno := syscall.Syscall6(syscall.SYS_MMAP, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(below),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_FIXED, f.Fd(), 0)
	if errno != 0 {
		return nil, nil, errnoOr(unmap(), errno)
	}
	return b, unmap, nil
}

func errnoOr(err error, errno syscall.Errno) error {
	if err != nil {
		return err
	}
	return errno
}
