//go:build unix

package cli

import "syscall"

// closeToOthers keeps what the process makes from now on from other users, whatever mask
// it was started with. What is meant for others gets its permissions explicitly.
func closeToOthers() { syscall.Umask(0o077) }
