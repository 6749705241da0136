package layer

import "github.com/mullion/mullion/winfs"

// Kind is the effect of an entry on the tree.
type Kind uint8

// The kinds of entry. A symbolic link, a junction or any other reparse point is a File or a
// Dir with a Reparse buffer, as in NTFS.
const (
	// File adds or replaces a file, with its main stream.
	File Kind = iota + 1
	// Dir adds a directory, or changes the metadata of an existing one.
	Dir
	// Link adds Path as another name of the file at Target: the file that this layer has
	// added there before, else that of the nearest layer below that has one, else the one
	// that this layer adds there later.
	Link
	// Whiteout hides the entries of the layers below at Path and under it. It does not
	// affect entries of its own layer, before or after it.
	Whiteout
	// Opaque hides all children of the directory Path in the layers below. It does not
	// affect entries of its own layer, before or after it.
	Opaque
)

// String returns the lower-case name of the kind.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Dir:
		return "directory"
	case Link:
		return "hard link"
	case Whiteout:
		return "whiteout"
	case Opaque:
		return "opaque whiteout"
	}
	return "invalid kind"
}

// Entry is one change in a layer, without the bytes of its streams. The zero value of a
// field means that the source does not have it.
type Entry struct {
	// Path is relative to the layer's root, backslash-separated WTF-8, validated
	// (winfs.ValidatePath): `Files\Windows\notepad.exe`.
	Path string
	Kind Kind
	// Target is the path of the file that a Link names again. Same form as Path.
	Target string

	// Attributes are the Win32 bits. 0 means unset; NTFS then uses ARCHIVE. For a Dir the
	// DIRECTORY bit is always set, for an entry with a Reparse buffer the REPARSE_POINT
	// bit.
	Attributes winfs.Attributes
	// Times are the four times; 0 in one of them means unset.
	Times winfs.Times
	// Security is a self-relative security descriptor, nil if there is none.
	Security []byte
	// EAs are the extended attributes in the order of the source.
	EAs []winfs.EA
	// Reparse is a complete REPARSE_DATA_BUFFER, nil if there is none.
	Reparse []byte
	// ObjectID is the 64-byte NTFS object identifier, nil if there is none.
	ObjectID []byte
	// Size is the logical length in bytes of the main stream of a File, -1 if it is unknown
	// before the stream is read. It is 0 for other kinds.
	Size int64
	// NoMain reports that a File has no main stream at all; BackupRead reports most empty
	// files and all links in this way. Readers still yield an empty main stream for it.
	// Only a writer that reproduces another tool's bytes uses NoMain; the zero value is
	// always right.
	NoMain bool
	// Defect is set if part of the entry's metadata in the source is invalid: a descriptor
	// that is not base64, say. The entry is without that part. Consumers of names and
	// content may ignore it; [Copy] refuses such an entry, so that nothing is lost when a
	// layer is written. It is nil for nearly all entries.
	Defect error
}

// IsReparsePoint reports whether the entry carries reparse data.
func (e *Entry) IsReparsePoint() bool { return len(e.Reparse) > 0 }

// Stream describes one data stream of an entry.
type Stream struct {
	// Name is empty for the main stream; otherwise the bare name of an alternate
	// stream, without colons and without the $DATA type.
	Name string
	// Size is the logical length in bytes, holes included.
	Size int64
	// Sparse reports that the source stores the stream with holes. A reader that knows the
	// holes implements [ExtentReader].
	Sparse bool
}
