package regf

import "syscall"

// releasePages releases the memory of a mapping that was not written to: pages that are
// read again come from the file, which the system nearly always still caches.
func releasePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_DONTNEED) }

const canRelease = true
