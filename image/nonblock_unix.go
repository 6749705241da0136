//go:build unix

package image

import "syscall"

// nonblock has the opening of a pipe return at once. It has no effect on regular files.
const nonblock = syscall.O_NONBLOCK
