package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is an unpublished file. It appears under its final name when Commit returns nil.
// If it replaces another file and the last step of Commit fails, the new file stays,
// because the old one is gone by then.
type File struct {
	*Part
	s    *staging
	old  fs.FileInfo // the file to replace as it was in the beginning, nil for none
	own  bool        // the parent is closed with the file
	done bool
}

// fileName is the name of a file in its private folder.
const fileName = "file"

// Create starts the file at path, whose directory must exist. Without Options.Replace an
// existing file is an error that matches fs.ErrExist, here and again in Commit. The
// caller must Close the file, also after Commit.
func Create(path string, o Options) (*File, error) {
	root, base, err := split(path)
	if err != nil {
		return nil, err
	}
	f, err := CreateIn(root, base, o)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	f.own = true
	return f, nil
}

// CreateIn is Create in an open directory. name is a single component. The caller closes
// root, after the file.
func CreateIn(root *os.Root, name string, o Options) (*File, error) {
	old, err := target(root, name, o.Replace)
	if err != nil {
		return nil, err
	}
	s, err := stage(root, name, o)
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o666)
	if old != nil || o.Private {
		mode = 0o600
	}
	p, err := createPart(s.dir, fileName, name, mode)
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return &File{Part: p, s: s, old: old}, nil
}

// target returns the file to replace, nil if there is none. Anything but a regular file
// is an error.
func target(root *os.Root, name string, replace bool) (fs.FileInfo, error) {
	if err := step("stat", name); err != nil {
		return nil, err
	}
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !replace:
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "replace", Path: name, Err: errors.New("not a regular file")}
	}
	return info, nil
}

// MakePrivate makes a new file readable by its owner only, as Options.Private does.
func (f *File) MakePrivate() error { return makePrivate(f.File) }

// Commit makes the file durable and moves it to its final name.
func (f *File) Commit() error {
	if f.done {
		return fs.ErrClosed
	}
	if f.err != nil {
		return f.err
	}
	s := f.s
	old, err := target(s.parent, s.target, s.o.Replace)
	if err != nil {
		return err
	}
	if old = f.permissionsOf(old); old != nil {
		if err := step("chmod", s.target); err != nil {
			return err
		}
		if err := takeOver(f.File, old); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	mine, err := f.File.Stat()
	if err != nil {
		return err
	}
	if err := f.publish(); err != nil {
		return err
	}
	f.done = true
	err = f.Part.Close() // publish may have had to close it
	if err = errors.Join(err, SyncDir(s.parent)); err != nil && !s.o.Replace {
		// The name may be lost in a crash. An error means absence.
		err = errors.Join(err, removeSame(s.parent, s.target, mine))
	}
	// The file is published even if the private folder cannot be removed. In that case
	// the next writer removes it.
	_ = s.discard()
	f.s = nil
	return errors.Join(err, f.release(s))
}

// permissionsOf returns the file whose owner and permissions the new one takes over, nil
// for none. now is the file that is replaced. A file that another user has put there since
// the beginning does not decide who can read the new one.
func (f *File) permissionsOf(now fs.FileInfo) fs.FileInfo {
	switch {
	case now == nil || f.old == nil:
		return nil
	case os.SameFile(now, f.old) && owner(now) == owner(f.old):
		return now
	}
	return f.old
}

// removeSame removes a file unless another one has its name by now.
func removeSame(root *os.Root, name string, mine fs.FileInfo) error {
	if there, err := root.Lstat(name); err != nil || !os.SameFile(mine, there) {
		return nil
	}
	return Remove(root, name)
}

// publish moves the file. Without Replace it makes a hard link, which fails if another
// process has created the name in the meantime. File systems without hard links get a
// second look at the name instead.
func (f *File) publish() error {
	s := f.s
	if !s.o.Replace {
		err := step("link", s.target)
		if err == nil {
			err = link(s, fileName, s.target)
		}
		if err == nil {
			return nil // the other name goes with the private folder
		}
		if errors.Is(err, fs.ErrExist) {
			return &fs.PathError{Op: "create", Path: s.target, Err: fs.ErrExist}
		}
	}
	if _, err := target(s.parent, s.target, s.o.Replace); err != nil {
		return err
	}
	if err := releaseBeforeRename(f.File); err != nil {
		return err
	}
	if err := step("rename", s.target); err != nil {
		return err
	}
	if err := move(s, fileName, s.target); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func (f *File) release(s *staging) error {
	if !f.own {
		return nil
	}
	f.own = false
	return s.parent.Close()
}

// Close releases the file; without a successful Commit it removes it. Closing
// twice is allowed.
func (f *File) Close() error {
	if f.s == nil {
		return nil
	}
	s := f.s
	f.s, f.done = nil, true
	return errors.Join(f.Part.Close(), s.discard(), f.release(s))
}
