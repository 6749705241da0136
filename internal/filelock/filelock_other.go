//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package filelock

import "os"

func try(*os.File) (bool, error) { return true, nil }
