package fusefs

import (
	"errors"
	"io"
	"io/fs"
	"iter"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/winfs"
)

// ErrUnsupported says that this system has no FUSE that the package can serve.
var ErrUnsupported = errors.New("FUSE is not supported on this system")

// Tree is what a file system shows. Its methods and those of its files are called
// from several goroutines at once.
type Tree interface {
	// Root returns the root directory.
	Root() (File, error)
}

// File is a file or directory of a Tree.
type File interface {
	// ID is the inode number: unique in the tree, not 0, the same under each name.
	ID() uint64
	// IsDir reports whether the file is a directory.
	IsDir() bool
	// Size is the length of the main stream in bytes, 0 for a directory.
	Size() int64
	// NumLinks counts the names of the file.
	NumLinks() (int, error)
	// Attributes, Times, Security, EAs and Reparse are the metadata in the forms of
	// Windows; the slices are nil where there is nothing.
	Attributes() winfs.Attributes
	Times() winfs.Times
	Security() ([]byte, error)
	EAs() ([]byte, error)
	Reparse() ([]byte, error)
	// Child finds a name in a directory without regard to case. What is not there
	// gives fs.ErrNotExist.
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
	// Dir tells whether it is a directory where that is known without opening it.
	Dir, DirKnown bool
}

// Stream is the content of a file or of an alternate stream.
type Stream interface {
	io.ReaderAt
	Name() string // bare, "" for the main stream
	Size() int64
}

// CimTree returns the tree of a CimFS image, which must stay open.
func CimTree(im *cimfs.Image) Tree { return cimTree{im} }

type cimTree struct{ im *cimfs.Image }

func (t cimTree) Root() (File, error) {
	f, err := t.im.Root()
	if err != nil {
		return nil, err
	}
	return cimFile{f}, nil
}

// cimFile adapts the methods whose types differ; the others are those of the
// image's file.
type cimFile struct{ *cimfs.File }

func (f cimFile) ID() uint64 { return uint64(f.File.ID()) }

func (f cimFile) NumLinks() (int, error) {
	if f.IsDir() {
		return 1, nil
	}
	links, err := f.Links()
	return max(len(links), 1), err
}

func (f cimFile) Child(name string) (File, error) {
	c, err := f.File.Child(name)
	if err != nil {
		if errors.Is(err, cimfs.ErrNotDirectory) || errors.Is(err, cimfs.ErrName) {
			err = fs.ErrNotExist
		}
		return nil, err
	}
	return cimFile{c}, nil
}

func (f cimFile) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range f.File.Entries() {
			if !yield(Entry{Name: e.Name, ID: uint64(e.ID)}, err) || err != nil {
				return
			}
		}
	}
}

func (f cimFile) Open() (Stream, error) { return f.Data() }

func (f cimFile) Streams() ([]Stream, error) {
	if !f.HasStreams() {
		return nil, nil
	}
	list, err := f.File.Streams()
	out := make([]Stream, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out, err
}
