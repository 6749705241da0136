//go:build unix

package snapshotter

import (
	"errors"

	"golang.org/x/sys/unix"
)

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
