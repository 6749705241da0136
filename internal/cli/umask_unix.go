//go:build unix

package cli

import "syscall"

// closeToOthers makes files that the process creates inaccessible to other users. Files
// for other users get their permissions explicitly.
func closeToOthers() { syscall.Umask(0o077) }
