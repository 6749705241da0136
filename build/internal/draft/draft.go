package draft

import (
	"io"
	"io/fs"
	"iter"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// Lower is the merged tree below a draft. An image.Tree is one, and so is a *Draft. Paths
// are compared without regard to case; a missing one is fs.ErrNotExist.
type Lower interface {
	Lookup(path string) (*layer.Item, error)
	Children(path string) iter.Seq2[*layer.Item, error]
	Open(path string) (layer.Reader, error)
}

// Content is the main stream of a file. It is opened when a layer with it is read, at any
// time after Write and possibly more than once, and then must have Size bytes. A Content is
// kept until the draft is.
type Content interface {
	Size() int64
	Open() (io.ReadCloser, error)
}

// Options are options of a draft.
type Options struct {
	// Now is the time of everything that is made or changed without a time of its own.
	// 0 leaves times unset.
	Now winfs.Filetime
	// Limits bound the draft: Entries the changes, Depth and MetadataLen each entry,
	// FileSize and TotalSize the content.
	Limits layer.Limits
}

// Meta is metadata of a new file or directory. Zero fields are those that Windows gives.
type Meta struct {
	// Owner is the owner, and the one that a creator owner entry of the parent stands for;
	// zero is the administrators.
	Owner winsec.SID
	// Security is a complete self-relative descriptor in place of the inherited one.
	Security []byte
	// Attributes; 0 is ARCHIVE for files and none for directories. DIRECTORY and
	// REPARSE_POINT are set by the draft.
	Attributes winfs.Attributes
	// Times; those that are 0 are LastWrite, and LastWrite is Options.Now.
	Times winfs.Times
}

// NoLower is the tree below a base layer: an empty root.
var NoLower Lower = noLower{}

type noLower struct{}

func (noLower) Lookup(path string) (*layer.Item, error) {
	if path != "" {
		return nil, fs.ErrNotExist
	}
	it := &layer.Item{Layer: -1, Links: 1}
	it.Kind, it.Attributes = layer.Dir, winfs.AttrDirectory
	return it, nil
}

func (noLower) Children(path string) iter.Seq2[*layer.Item, error] {
	return func(yield func(*layer.Item, error) bool) {
		if path != "" {
			yield(nil, fs.ErrNotExist)
		}
	}
}

func (noLower) Open(string) (layer.Reader, error) { return nil, fs.ErrNotExist }

// Draft is a tree with changes over a lower one. It is used by one goroutine at a time.
type Draft struct{}

// New returns a draft without changes. lower must not change while the draft is used.
func New(lower Lower, opt Options) *Draft { panic("not written yet") }

// Lookup returns the file or directory at a path, and for a link the link itself: only the
// directories above it are followed. The path of the item is the real one, as it is spelled.
func (d *Draft) Lookup(path string) (*layer.Item, error) { panic("not written yet") }

// Children yields the content of a directory in the order of NTFS.
func (d *Draft) Children(path string) iter.Seq2[*layer.Item, error] { panic("not written yet") }

// Open returns a reader of the one entry at a path with its streams. The caller closes it.
func (d *Draft) Open(path string) (layer.Reader, error) { panic("not written yet") }

// Mkdir makes a directory in one that exists.
func (d *Draft) Mkdir(path string, m Meta) error { panic("not written yet") }

// MkdirAll makes a directory with its parents. Those that exist stay as they are.
func (d *Draft) MkdirAll(path string, m Meta) error { panic("not written yet") }

// Write makes a file in a directory that exists, or replaces the content of one: its alternate
// streams go, its metadata stays where m says nothing, as when a program creates a file over
// another one (CREATE_ALWAYS).
func (d *Draft) Write(path string, c Content, m Meta) error { panic("not written yet") }

// Copy makes or replaces a file with the streams and extended attributes of another file of
// the draft, as CopyFile does. A link is copied as a link.
func (d *Draft) Copy(from, to string, m Meta) error { panic("not written yet") }

// Import is Copy from another tree, which must not change nor be closed while the draft is
// used.
func (d *Draft) Import(tree Lower, from, to string, m Meta) error { panic("not written yet") }

// Link makes path another name of the file target.
func (d *Draft) Link(path, target string) error { panic("not written yet") }

// Reparse makes a file, or with dir a directory, with a reparse buffer, such as a link; or
// sets the buffer of a file or empty directory that exists.
func (d *Draft) Reparse(path string, dir bool, buffer []byte, m Meta) error { panic("not written yet") }

// Remove removes a file, a link or an empty directory.
func (d *Draft) Remove(path string) error { panic("not written yet") }

// RemoveAll removes a file or directory with all that is in it. A link is removed, never its
// target. That nothing is there is no error.
func (d *Draft) RemoveAll(path string) error { panic("not written yet") }

// Rename moves a file or directory with its metadata. The new name must be free, or differ
// from the old one in case alone.
func (d *Draft) Rename(from, to string) error { panic("not written yet") }

// Set changes the metadata of a file or directory: attributes, times, security, extended
// attributes, object identifier. Other fields of the entry are not to be changed.
func (d *Draft) Set(path string, change func(*layer.Entry) error) error { panic("not written yet") }

// Layer returns the changes as a layer, in canonical order. The draft must not be changed
// before the reader is closed.
func (d *Draft) Layer() (layer.Reader, error) { panic("not written yet") }

// Empty reports whether there are no changes.
func (d *Draft) Empty() bool { panic("not written yet") }

// Close releases temporary files of content. Trees over the draft cannot be used after it.
func (d *Draft) Close() error { panic("not written yet") }
