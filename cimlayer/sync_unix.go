//go:build !windows

package cimlayer

import "os"

func syncDirectory(f *os.File) error { return f.Sync() }
