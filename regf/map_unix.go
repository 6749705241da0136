//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package regf

import (
	"os"
	"syscall"
	"unsafe"
)

// mapFile maps a file privately: pages that are written to are copied, the file does not
// change. A nil slice without error means that the caller should read the file instead.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if size == 0 || int64(int(size)) != size {
		return nil, nil, nil
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	return b, func() error { return syscall.Munmap(b) }, nil
}

// mapWords returns n zero words. The system allocates their pages on first use, whereas the
// runtime would clear them all.
func mapWords(n int) ([]uint32, func() error, error) {
	b, err := syscall.Mmap(-1, 0, 4*n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), n), func() error { return syscall.Munmap(b) }, nil
}
