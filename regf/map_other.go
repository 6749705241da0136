//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package regf

import (
	"errors"
	"os"
)

// mapFile maps nothing on this system: a mapped file could not be replaced while it is
// open. The caller reads pages when they are needed.
func mapFile(*os.File, int64) ([]byte, func() error, error) { return nil, nil, nil }

// mapWords is unsupported: no hive is mapped.
func mapWords(int) ([]uint32, func() error, error) { return nil, nil, errors.ErrUnsupported }
