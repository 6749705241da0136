//go:build !linux && !darwin

package plaindir

import "os"

func setXattr(*os.File, string, []byte) error { return errNoAttributes }
