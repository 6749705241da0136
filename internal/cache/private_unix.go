//go:build unix

package cache

import (
	"io/fs"
	"os"
	"syscall"
)

// private reports whether a file or directory belongs to the user of this process and
// nobody else may open it.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
