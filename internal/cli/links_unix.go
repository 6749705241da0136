//go:build unix

package cli

import (
	"os"
	"syscall"
)

// hardLinks returns the number of hard links of a regular file, and 1 for other files.
func hardLinks(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
		return uint64(st.Nlink), nil
	}
	return 1, nil
}
