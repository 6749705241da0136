package overlay

import (
	"io"
	"io/fs"
	"iter"

	"github.com/mullion/mullion/winfs"
)

// Lower is a read-only tree. Its methods and those of its files are called from
// several goroutines at once. Two files with one ID are the same file.
type Lower interface {
	// Root returns the root directory.
	Root() (File, error)
	// File returns the file with an ID; fs.ErrNotExist if there is none.
	File(id uint64) (File, error)
	// Identity returns a short text that is the same whenever the same tree is opened, and
	// differs between trees.
	Identity() string
}

// File is a file or directory of a Lower.
type File interface {
	// ID returns the inode number: unique in the tree, below 1<<40, not 0, the same for
	// each name.
	ID() uint64
	// IsDir reports whether the file is a directory.
	IsDir() bool
	// Size returns the length of the main stream in bytes, 0 for a directory.
	Size() int64
	// NumLinks returns the number of names of the file.
	NumLinks() (int, error)
	// Attributes, Times, Security, EAs and Reparse return the metadata in the forms of
	// Windows; the slices are nil if there is none.
	Attributes() winfs.Attributes
	Times() winfs.Times
	Security() ([]byte, error)
	EAs() ([]byte, error)
	Reparse() ([]byte, error)
	// Child finds a name in a directory without regard to case. If it does not exist, the
	// error is fs.ErrNotExist.
	Child(name string) (File, error)
	// Entries yields the names of a directory.
	Entries() iter.Seq2[Entry, error]
	// Open opens the main stream, Streams the alternate ones.
	Open() (Stream, error)
	Streams() ([]Stream, error)
}

// Entry is one name in a directory.
type Entry struct {
	Name string // WTF-8
	ID   uint64
	// Dir reports whether it is a directory, if DirKnown is set: if that is known without
	// opening it.
	Dir, DirKnown bool
}

// Stream is the content of a file or of an alternate stream. It needs no Close.
type Stream interface {
	io.ReaderAt
	Name() string // bare, "" for the main stream
	Size() int64
}

// NoLower returns the lower tree of a base layer: an empty root.
func NoLower() Lower { return emptyLower{} }

type emptyLower struct{}

func (emptyLower) Root() (File, error) { return emptyRoot{}, nil }
func (emptyLower) Identity() string    { return "empty" }
func (emptyLower) File(id uint64) (File, error) {
	if id == 1 {
		return emptyRoot{}, nil
	}
	return nil, fs.ErrNotExist
}

type emptyRoot struct{}

func (emptyRoot) ID() uint64                       { return 1 }
func (emptyRoot) IsDir() bool                      { return true }
func (emptyRoot) Size() int64                      { return 0 }
func (emptyRoot) NumLinks() (int, error)           { return 1, nil }
func (emptyRoot) Attributes() winfs.Attributes     { return winfs.AttrDirectory }
func (emptyRoot) Times() winfs.Times               { return winfs.Times{} }
func (emptyRoot) Security() ([]byte, error)        { return nil, nil }
func (emptyRoot) EAs() ([]byte, error)             { return nil, nil }
func (emptyRoot) Reparse() ([]byte, error)         { return nil, nil }
func (emptyRoot) Child(string) (File, error)       { return nil, fs.ErrNotExist }
func (emptyRoot) Entries() iter.Seq2[Entry, error] { return func(func(Entry, error) bool) {} }
func (emptyRoot) Open() (Stream, error)            { return nil, ErrIsDirectory }
func (emptyRoot) Streams() ([]Stream, error)       { return nil, nil }
