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
// device or a directory of another user, or was replaced while it was opened.
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
	root, err := openfile.Root(filepath.Clean(dir)) // without the slash at its end
	return root, base, err
}

// SyncDir makes the names in a directory durable, where the system can.
func SyncDir(root *os.Root) error {
	if err := step("syncdir", "."); err != nil {
		return err
	}
	return syncDir(root)
}

// SyncTree makes the names in a directory and in all below it durable.
func SyncTree(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		sub, err := root.OpenRoot(p)
		if err != nil {
			return err
		}
		return errors.Join(SyncDir(sub), sub.Close())
	})
}

// Rename renames a published file or directory within its directory, replacing a file of
// the new name. The caller makes it durable ([SyncDir]).
func Rename(root *os.Root, from, to string) error {
	if err := step("rename", to); err != nil {
		return err
	}
	return root.Rename(from, to)
}

// Remove removes a file or an empty directory.
func Remove(root *os.Root, name string) error {
	if err := step("remove", name); err != nil {
		return err
	}
	return root.Remove(name)
}

// RemoveAll removes a file or a directory with all that is in it. One that does not
// exist is no error.
func RemoveAll(root *os.Root, name string) error {
	if err := step("remove", name); err != nil {
		return err
	}
	return root.RemoveAll(name)
}
