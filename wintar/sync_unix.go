//go:build !windows

package wintar

import (
	"errors"
	"syscall"
)

// cannotSyncDir tells file systems that do not sync directories from failures.
func cannotSyncDir(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP)
}
