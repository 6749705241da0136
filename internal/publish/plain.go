package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/internal/openfile"
)

// ErrForeign says that an entry that this program would have to trust is a link, a
// device or a directory of somebody else, or was replaced while it was opened.
var ErrForeign = errors.New("it is not a plain entry of this user")

// OpenFolder opens the directory name in root. Unlike [os.Root.OpenRoot] it follows no
// symbolic link: that the link stays in root does not make it the directory that was
// meant.
func OpenFolder(root *os.Root, name string) (*os.Root, error) {
	seen, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("not a directory: %w", ErrForeign)}
	}
	sub, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	got, err := sub.Stat(".")
	if err == nil && !os.SameFile(seen, got) {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrForeign}
	}
	if err != nil {
		return nil, errors.Join(err, sub.Close())
	}
	return sub, nil
}

// OpenPlain opens a regular file that has no other name, for reading and, if write is
// set, for writing. It follows no symbolic link and waits for no pipe.
func OpenPlain(root *os.Root, name string, write bool) (*os.File, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	seen, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	foreign := &fs.PathError{Op: "open", Path: name, Err: ErrForeign}
	if !seen.Mode().IsRegular() {
		return nil, foreign
	}
	f, err := root.OpenFile(name, flags|openFlags, 0)
	if err != nil {
		return nil, err
	}
	got, err := f.Stat()
	if err == nil && (!os.SameFile(seen, got) || !got.Mode().IsRegular() || links(got) > 1) {
		err = foreign
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// names lists a directory.
func names(root *os.Root) ([]string, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	list, err := d.Readdirnames(-1)
	return list, errors.Join(err, d.Close())
}

// split opens the directory of a path. The name in it is a single component.
func split(path string) (*os.Root, string, error) {
	dir, base := filepath.Split(filepath.Clean(path))
	if base == "" || base == "." || base == ".." {
		return nil, "", &fs.PathError{Op: "create", Path: path, Err: fs.ErrInvalid}
	}
	if dir == "" {
		dir = "."
	}
	root, err := openfile.Root(dir)
	return root, base, err
}

// SyncDir makes the names in a directory durable, where the system can.
func SyncDir(root *os.Root) error { return syncDir(root) }
