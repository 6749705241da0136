// Package atomicfile writes files that are complete or absent.
//
// A file is written under a temporary name beside its final one, made durable, and
// renamed. The temporary name is fixed, so that the next run finds and reuses what
// a killed process left behind; a lock on the temporary file, which the system
// drops when a process dies, tells a leftover from the work of a live process.
//
// A file that replaces another takes over its permissions and, as far as the system
// lets it, its owner.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrBusy says that another process is writing the same file.
var ErrBusy = errors.New("another process is writing it")

// File is a file that is being written. It is not visible under its final name
// until Commit has returned nil; only where it replaces another one, a Commit that fails
// at its very end leaves the new one there, because the old one is gone by then.
type File struct {
	*os.File
	root  *os.Root
	name  string
	temp  string
	force bool
	done  bool
}

// TempName returns the name that a file with this base name has while it is being
// written.
func TempName(base string) string { return "." + base + ".mullion-tmp" }

// Create begins to write the file at path, whose folder must exist. Without force
// an existing file gives an error that matches fs.ErrExist, here and again in
// Commit. The caller must Close the file, also after Commit.
func Create(path string, force bool) (*File, error) {
	dir, base := filepath.Split(filepath.Clean(path))
	if base == "" || base == "." || base == ".." {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrInvalid}
	}
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &File{root: root, name: base, temp: TempName(base), force: force}
	old, err := f.target()
	if err != nil {
		root.Close()
		return nil, err
	}
	mode := fs.FileMode(0o666)
	if old != nil { // nobody else reads it before Commit knows who may
		mode = 0o600
	}
	if err := f.open(mode); err != nil {
		root.Close()
		return nil, err
	}
	return f, nil
}

// target returns the file that is to be replaced, nil for none, and refuses what must
// not be replaced.
func (f *File) target() (fs.FileInfo, error) {
	info, err := f.root.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !f.force:
		return nil, &fs.PathError{Op: "create", Path: f.name, Err: fs.ErrExist}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "replace", Path: f.name, Err: errors.New("not a regular file")}
	}
	return info, nil
}

// open opens and locks the temporary file, reusing a leftover.
func (f *File) open(mode fs.FileMode) error {
	for range 10 {
		file, err := f.root.OpenFile(f.temp, os.O_RDWR|os.O_CREATE|openFlags, mode)
		if err != nil {
			return err
		}
		if err := lock(file); err != nil {
			file.Close()
			if errors.Is(err, ErrBusy) {
				return &fs.PathError{Op: "create", Path: f.name, Err: ErrBusy}
			}
			return err
		}
		// Between opening and locking, the process that held the lock may have
		// renamed the file to its final name or removed it: then this is not the
		// temporary file any more and must not be touched.
		mine, err := file.Stat()
		if err == nil {
			var there fs.FileInfo
			if there, err = f.root.Lstat(f.temp); err == nil && os.SameFile(mine, there) && mine.Mode().IsRegular() {
				if err := file.Truncate(0); err != nil {
					return errors.Join(err, f.root.Remove(f.temp), file.Close())
				}
				f.File = file
				return nil
			}
		}
		file.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && !mine.Mode().IsRegular() {
			return &fs.PathError{Op: "create", Path: f.temp, Err: errors.New("not a regular file")}
		}
	}
	return &fs.PathError{Op: "create", Path: f.name, Err: ErrBusy}
}

// Commit makes the file durable and gives it its final name.
func (f *File) Commit() error {
	if f.done {
		return fs.ErrClosed
	}
	old, err := f.target()
	if err != nil {
		return err
	}
	if old != nil {
		if err := takeOver(f.File, old); err != nil {
			return err
		}
	}
	if err := f.File.Sync(); err != nil {
		return err
	}
	if err := f.publish(); err != nil {
		return err
	}
	f.done = true
	if old != nil {
		err = takeOverRest(f.File, old)
	}
	if cerr := f.File.Close(); !errors.Is(cerr, fs.ErrClosed) { // publish had to close it
		err = errors.Join(err, cerr)
	}
	if err = errors.Join(err, syncDir(f.root)); err != nil && !f.force {
		err = errors.Join(err, f.root.Remove(f.name))
	}
	return err
}

// publish renames. Without force a file that came to be in the meantime is not
// replaced: a hard link fails where it exists. Where links cannot be made the
// name is looked at once more instead.
func (f *File) publish() error {
	if !f.force {
		err := f.root.Link(f.temp, f.name)
		if err == nil {
			if err := f.root.Remove(f.temp); err != nil {
				return errors.Join(err, f.root.Remove(f.name))
			}
			return nil
		}
		if errors.Is(err, fs.ErrExist) {
			return &fs.PathError{Op: "create", Path: f.name, Err: fs.ErrExist}
		}
	}
	if _, err := f.target(); err != nil {
		return err
	}
	if err := releaseBeforeRename(f.File); err != nil {
		return err
	}
	if err := f.root.Rename(f.temp, f.name); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Close releases the file; without a successful Commit it removes it. Closing
// twice is allowed.
func (f *File) Close() error {
	if f.root == nil {
		return nil
	}
	var errs []error
	if !f.done {
		f.done = true
		errs = append(errs, f.root.Remove(f.temp), f.File.Close())
	}
	errs = append(errs, f.root.Close())
	f.root = nil
	return errors.Join(errs...)
}
