package regf

import "syscall"

// releasePages gives the memory of a mapping back that was not written to: pages
// that are read again come from the file, which the system nearly always still has.
func releasePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_DONTNEED) }

const canRelease = true
