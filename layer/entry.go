package layer

import "github.com/mullion/mullion/winfs"

// Kind tells what an entry does to the tree.
type Kind uint8

// The kinds of entry. A symbolic link, a junction and any other reparse point is
// a File or a Dir whose Reparse buffer is set, as it is in NTFS.
const (
	// File adds or replaces a file, with its main stream.
	File Kind = iota + 1
	// Dir adds a directory, or changes the metadata of one that is there.
	Dir
	// Link adds Path as another name of the file at Target: the one that this layer has
	// put there before, else that of the nearest layer below that has one, else the one
	// that this layer puts there later.
	Link
	// Whiteout hides whatever the layers below have at Path and under it. It does
	// not touch entries of its own layer, wherever they stand.
	Whiteout
	// Opaque hides all children that the layers below have in the directory Path.
	// It does not touch entries of its own layer, wherever they stand.
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

// Entry is one change that a layer makes, without the bytes of its streams. The
// zero value of a field means that the source said nothing about it.
type Entry struct {
	// Path is relative to the layer's root, backslash-separated WTF-8, validated
	// (winfs.ValidatePath): `Files\Windows\notepad.exe`.
	Path string
	Kind Kind
	// Target is the path of the file that a Link names again. Same form as Path.
	Target string

	// Attributes are the Win32 bits. 0 is "not given", for which NTFS takes
	// ARCHIVE. For a Dir the DIRECTORY bit is always set, for an entry with a
	// Reparse buffer the REPARSE_POINT bit.
	Attributes winfs.Attributes
	// Times are the four times; 0 in one of them is "not set".
	Times winfs.Times
	// Security is a self-relative security descriptor, nil if there is none.
	Security []byte
	// EAs are the extended attributes in the order of the source.
	EAs []winfs.EA
	// Reparse is a complete REPARSE_DATA_BUFFER, nil if there is none.
	Reparse []byte
	// ObjectID is the 64-byte NTFS object identifier, nil if there is none.
	ObjectID []byte
	// Size is the logical length in bytes of the main stream of a File, -1 when
	// the source cannot tell before the stream is read. It is 0 for other kinds.
	Size int64
	// NoMain tells that a File has no main stream at all, which is how BackupRead
	// reports most empty files and all links. Readers still yield an empty main
	// stream for it. It matters to no one but a writer that reproduces another
	// tool's bytes; the zero value is always right.
	NoMain bool
	// Defect is what the source says about the entry and does not make sense: a
	// descriptor that is no base64, say. The entry is without it. Who looks at names
	// and content goes on; [Copy] refuses such an entry, so that nothing is lost where
	// a layer is written. Nil for nearly all entries.
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
	// Sparse tells that the source stores the stream with holes. A reader that
	// knows where they are implements [ExtentReader].
	Sparse bool
}
