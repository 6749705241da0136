// Package filelock distinguishes a file or directory in use from one that a dead process
// left behind: its owner holds a lock of the open file, which the system releases when
// the process ends. On Unix the locks are advisory and only bind programs that use them.
package filelock

import "os"

// Try takes the exclusive lock of an open file or, on Unix, directory, and does not
// wait. false means that another open file has it, of this process or another. Closing
// f releases it. Systems without such locks always grant it.
func Try(f *os.File) (bool, error) { return try(f) }
