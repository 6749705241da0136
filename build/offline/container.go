package offline

import (
	"io"
	"iter"

	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Container is what commands change: the files, the registry and the variables that a
// process in a container of the image would have. One goroutine uses it at a time. Close it
// when its files are no longer read.
type Container struct {
	Files    Files
	Registry *Registry
	// Env are the NAME=value words of the image's configuration, which override the
	// variables in the registry. Commands do not change them: what SetX writes is in the
	// registry.
	Env []string
	// WorkDir is the directory in which a command starts, `C:\app`; "" is `C:\`. It must
	// exist.
	WorkDir string
	// User is the account of the image's configuration. Only ContainerAdministrator, which
	// "" is too, runs commands offline.
	User string
	// Now is the time of keys and files that commands make or change.
	Now winfs.Filetime
	// Output receives what the commands print, nil to discard it. It is for people: the texts
	// of programs are not all those of Windows.
	Output io.Writer
	// MaxArchive is the number of bytes that one Expand-Archive may read and may write, 0 for
	// 16 GiB.
	MaxArchive int64

	user *userHive // HKEY_CURRENT_USER, opened on first use
	temp []*tempfile.File
}

// Files is the tree of files that commands read and change. Paths are those of a layer,
// `Files\Users\x`, compared without regard to case; a missing file is fs.ErrNotExist, one
// that exists already fs.ErrExist. No path that is passed leads through a link: links are
// resolved before.
type Files interface {
	// Lookup returns the file or directory of a path, and for a link the link itself.
	Lookup(path string) (*layer.Item, error)
	// Children yields the files and directories in a directory, in the order of their names.
	Children(path string) iter.Seq2[*layer.Item, error]
	// Open returns a reader of the one entry at the path with its streams.
	Open(path string) (layer.Reader, error)

	// Mkdir makes a directory in one that exists.
	Mkdir(path string, m Meta) error
	// Write makes or replaces a file in a directory that exists. A file that exists keeps
	// its metadata where m says nothing.
	Write(path string, c Content, m Meta) error
	// Copy makes or replaces a file with the main and alternate streams and the extended
	// attributes of another one.
	Copy(from, to string, m Meta) error
	// Link makes path another name of the file target.
	Link(path, target string) error
	// Reparse makes a file or an empty directory with a reparse buffer.
	Reparse(path string, dir bool, buffer []byte, m Meta) error
	// Remove removes a file, a link or an empty directory; RemoveAll a directory with all
	// that is in it. A link is removed, never its target.
	Remove(path string) error
	RemoveAll(path string) error
	// Rename moves a file or directory with its metadata. The new name must be free.
	Rename(from, to string) error
	// Set changes the metadata of a file or directory.
	Set(path string, f func(*layer.Entry) error) error
}

// Meta is metadata of a new file or directory. Zero fields are those that Windows gives: a
// descriptor inherited from the parent, the attribute ARCHIVE of files, the time of now.
type Meta struct {
	Attributes winfs.Attributes
	Times      winfs.Times
	Security   []byte // a complete self-relative descriptor
}

// Content is the main stream of a file. Open may be called more than once, and as long as
// the Files exist.
type Content interface {
	Size() int64
	Open() (io.ReadCloser, error)
}
