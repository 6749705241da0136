//go:build !unix

package openfile

// nonblock is not needed where a pipe has no name in a directory.
const nonblock = 0
