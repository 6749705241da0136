//go:build !unix

package image

// nonblock is not needed where pipes are no files of a folder.
const nonblock = 0
