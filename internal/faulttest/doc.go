// Package faulttest is a file system that fails when a test wants it to, as a disk
// that is going bad does. It needs Linux and FUSE.
//
//	f := faulttest.Mount(t, disk, dir)
//	f.Fail(faulttest.Fsync, 3, 3)
//	err := … // something that writes below dir
//	done, failed := f.End()
//
// A program that maps files of it into its memory, as bolt does, must not be the
// process that serves it: a page that is not there yet would be waited for by the
// thread that has to bring it.
package faulttest

// The operations that can fail.
const (
	Write    = "write"
	Fsync    = "fsync" // of files and directories
	Create   = "create"
	Mkdir    = "mkdir"
	Link     = "link" // a hard link
	Rename   = "rename"
	Truncate = "truncate"
)
