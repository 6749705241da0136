//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package cimfs

import "os"

// lockFile cannot lock here: two writers of one image name are not kept apart.
func lockFile(*os.File) (bool, error) { return true, nil }
