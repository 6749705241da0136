//go:build unix

package openfile

import "syscall"

// nonblock makes the open of a pipe return at once. It has no effect on regular files.
const nonblock = syscall.O_NONBLOCK
