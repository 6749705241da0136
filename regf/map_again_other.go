//go:build !(linux && (amd64 || arm64 || riscv64 || loong64 || ppc64le))

package regf

import (
	"errors"
	"os"
)

// mapAgain is unsupported on this system: the pages of the file are read when they are needed.
func mapAgain(*os.File, int, int) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}
