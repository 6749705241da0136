//go:build !unix

package plaindir

import "io/fs"

type inode struct{}

// inodeOf knows no hard links here: each name is read as a file of its own.
func inodeOf(fs.FileInfo) (inode, bool) { return inode{}, false }
