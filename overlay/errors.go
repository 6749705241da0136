package overlay

import (
	"errors"
	"fmt"
)

// The errors of the operations, with their POSIX numbers where there is one. A missing name
// is fs.ErrNotExist and an existing one fs.ErrExist.
var (
	// ErrName reports that Windows cannot hold a name (EINVAL). The winfs.NameError in the
	// chain has the reason.
	ErrName = errors.New("name is impossible on Windows")
	// ErrNameTooLong reports that a component or path is too long (ENAMETOOLONG).
	ErrNameTooLong = errors.New("name is too long")
	// ErrNotDirectory reports that a directory is needed (ENOTDIR).
	ErrNotDirectory = errors.New("not a directory")
	// ErrIsDirectory reports an operation that is not possible on a directory (EISDIR).
	ErrIsDirectory = errors.New("is a directory")
	// ErrNotEmpty reports that a directory contains names (ENOTEMPTY).
	ErrNotEmpty = errors.New("directory is not empty")
	// ErrInvalid reports an invalid argument (EINVAL).
	ErrInvalid = errors.New("invalid argument")
	// ErrTooLarge reports that a limit of Windows or of this package was exceeded
	// (EFBIG).
	ErrTooLarge = errors.New("too large")
	// ErrTooManyLinks reports that a file has MaxLinks names (EMLINK).
	ErrTooManyLinks = errors.New("file has too many names")
	// ErrMoved reports an attempt to move a directory below itself (EINVAL).
	ErrMoved = errors.New("directory cannot be moved below itself")
	// ErrBusy reports that another process, or this one, has the tree open.
	ErrBusy = errors.New("the tree is in use")
	// ErrCorrupt reports that the journal contradicts itself or the lower tree.
	ErrCorrupt = errors.New("corrupt journal")
	// ErrOtherLower reports that the journal was created for another lower tree.
	ErrOtherLower = errors.New("the journal belongs to another lower tree")
	// ErrClosed reports that the tree was closed.
	ErrClosed = errors.New("tree is closed")
	// ErrBroken reports that writing the journal has failed and that it could not be
	// repaired; the tree can still be read.
	ErrBroken = errors.New("journal cannot be written")
)

// Error is an error with its operation and path.
type Error struct {
	Op   string // "open", "rename"
	Path string // in the tree, or of the directory
	Err  error
}

// Error formats as "overlay: op path: cause".
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("overlay: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("overlay: %s %q: %v", e.Op, e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
