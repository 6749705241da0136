//go:build unix

package fusefs

import (
	"os"
	"syscall"
)

// allocated is how many bytes of the disk a file takes.
func allocated(st os.FileInfo) int64 { return st.Sys().(*syscall.Stat_t).Blocks * 512 }
