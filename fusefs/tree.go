package fusefs

import (
	"errors"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/overlay"
)

// ErrUnsupported reports that this system has no FUSE that the package supports.
var ErrUnsupported = errors.New("FUSE is not supported on this system")

// Tree is a tree for a read-only file system. Its method and those of its files are called
// from several goroutines at once. Every overlay.Lower is a Tree.
type Tree interface {
	// Root returns the root directory.
	Root() (File, error)
}

// File is one file in a Tree, Entry a name in a directory and Stream the content of a file.
// They are documented in package overlay, whose writable tree uses such files too.
type (
	File   = overlay.File
	Entry  = overlay.Entry
	Stream = overlay.Stream
)

// CimTree returns the tree of a CimFS image, which must stay open.
func CimTree(im *cimfs.Image) overlay.Lower { return overlay.CimLower(im) }

// EmptyTree returns a tree with an empty root.
func EmptyTree() overlay.Lower { return overlay.NoLower() }
