//go:build !linux

package regf

// releasePages does nothing on this system.
func releasePages([]byte) {}

const canRelease = false
