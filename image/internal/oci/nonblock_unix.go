//go:build unix

package oci

import "syscall"

// NonBlock has the opening of a pipe return at once. It has no effect on regular files.
const NonBlock = syscall.O_NONBLOCK
