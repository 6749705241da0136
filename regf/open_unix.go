//go:build unix

package regf

import "syscall"

// openFlags avoid waiting for a pipe that has taken the place of a file.
const openFlags = syscall.O_NONBLOCK
