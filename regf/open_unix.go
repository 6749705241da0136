//go:build unix

package regf

import "syscall"

// openFlags keep a pipe that took the place of a file from being waited for.
const openFlags = syscall.O_NONBLOCK
