package cimfs

import (
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// Options are the settings of a writer. The zero value, or nil, writes version 3
// as Windows does.
type Options struct {
	// Version is V1 or V3; 0 means V3, or for a fork the version of the parent, which
	// is the only one that a fork may have.
	Version Version
	// GUID names the region files. Zero derives it from the content of the image, so
	// that equal input has equal names.
	GUID winfs.GUID
	// Parent is the name of an image in the same directory to fork from, or "".
	Parent string
	// PlainExecutables turns the expansion of PE images off: they are stored as they
	// are, which is legal and costs Windows the direct mapping of their sections.
	PlainExecutables bool
	// ProvenOnly refuses, with ErrUnproven, everything whose encoding is inferred.
	// The package comment has the table.
	ProvenOnly bool
	// DefaultSecurity is the descriptor of every file and directory added without
	// one. Nil leaves such files without, as the root of genuine images is; mounted,
	// Windows then behaves oddly, and writers of layers use NullDACL.
	DefaultSecurity []byte
}

// NullDACL is the self-relative descriptor without a DACL, which Microsoft's layer
// writer uses for files that come without one.
func NullDACL() []byte { return winsec.NullDACL() }

// Meta is the metadata of a file or directory besides its streams.
type Meta struct {
	// Attributes: READONLY, HIDDEN, SYSTEM, ARCHIVE and SPARSE are kept; the format has
	// no room for others, which are dropped. DIRECTORY and
	// REPARSE_POINT follow from the record.
	Attributes winfs.Attributes
	Times      winfs.Times
	// Security is a self-relative security descriptor of at most 65,535 bytes, or
	// nil.
	Security []byte
	// EAs is a list of FILE_FULL_EA_INFORMATION of at most 65,535 bytes, stored as it
	// is, or nil.
	EAs []byte
	// Reparse is a complete REPARSE_DATA_BUFFER of at most 65,535 bytes, or nil.
	Reparse []byte
	// Hole makes the main stream of a file all zeros, of the size given, with nothing
	// stored and nothing to be written.
	Hole bool
}
