//go:build !unix

package oci

// NonBlock is not needed where pipes are no files of a folder.
const NonBlock = 0
