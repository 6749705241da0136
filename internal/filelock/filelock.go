// Package filelock tells a file or folder in use from one that a dead process left
// behind: its owner holds the lock of the open file, which the system drops with the
// process, however that ends. The locks are advisory on Unix and bind nobody who does
// not ask.
package filelock

import "os"

// Try takes the exclusive lock of an open file or, on Unix, directory, and does not
// wait. false means that another open file has it, of this process or another. Closing
// f releases it. Systems without such locks always grant it.
func Try(f *os.File) (bool, error) { return try(f) }
