//go:build !unix

package cache

import "io/fs"

// private is always true: the directory of a user's profile keeps others out, and the mode
// does not say more.
func private(fs.FileInfo) bool { return true }
