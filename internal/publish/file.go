package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is a file that is being written. It is not visible under its final name
// until Commit has returned nil; only where it replaces another one, a Commit that fails
// at its very end leaves the new one there, because the old one is gone by then.
type File struct {
	*os.File
	s    *staging
	old  fs.FileInfo // the file to replace as it was in the beginning, nil for none
	own  bool        // the parent is closed with the file
	done bool
	err  error // of a write
}

// fileName is the name of a file in its private folder.
const fileName = "file"

// Create begins to write the file at path, whose folder must exist. Without
// Options.Replace an existing file gives an error that matches fs.ErrExist, here and
// again in Commit. The caller must Close the file, also after Commit.
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

// CreateIn is Create in an open directory. name is a single component. root stays the
// caller's, who closes it after the file.
func CreateIn(root *os.Root, name string, o Options) (*File, error) {
	old, err := target(root, name, &o)
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
	f := &File{s: s, old: old}
	if err = o.step("create", fileName); err == nil {
		f.File, err = s.dir.OpenFile(fileName, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, mode)
	}
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return f, nil
}

// target returns the file that is to be replaced, nil for none, and refuses what must
// not be replaced.
func target(root *os.Root, name string, o *Options) (fs.FileInfo, error) {
	if err := o.step("stat", name); err != nil {
		return nil, err
	}
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !o.Replace:
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "replace", Path: name, Err: errors.New("not a regular file")}
	}
	return info, nil
}

// Write writes to the file. After an error Commit fails, too.
func (f *File) Write(b []byte) (int, error) {
	if err := f.s.o.step("write", f.s.target); err != nil {
		f.err = err
		return 0, err
	}
	n, err := f.File.Write(b)
	if err != nil {
		f.err = err
	}
	return n, err
}

// MakePrivate keeps a new file from everybody else, as Options.Private does, before it
// gets its name.
func (f *File) MakePrivate() error { return makePrivate(f.File) }

// Commit makes the file durable and gives it its final name.
func (f *File) Commit() error {
	if f.done {
		return fs.ErrClosed
	}
	if f.err != nil {
		return f.err
	}
	s := f.s
	old, err := target(s.parent, s.target, &s.o)
	if err != nil {
		return err
	}
	if old = f.permissionsOf(old); old != nil {
		if err := s.o.step("chmod", s.target); err != nil {
			return err
		}
		if err := takeOver(f.File, old); err != nil {
			return err
		}
	}
	if err := s.o.step("sync", s.target); err != nil {
		return err
	}
	if err := f.File.Sync(); err != nil {
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
	err = s.o.step("close", s.target)
	if cerr := f.File.Close(); !errors.Is(cerr, fs.ErrClosed) { // publish had to close it
		err = errors.Join(err, cerr)
	}
	if err = errors.Join(err, s.syncParent()); err != nil && !s.o.Replace {
		// The name may be lost in a crash. An error means absence.
		err = errors.Join(err, removeSame(s.parent, s.target, mine))
	}
	// The file is there, whatever becomes of the private folder, which the next writer
	// clears away if need be.
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
	return root.Remove(name)
}

// publish moves the file. Without Replace a file that came to be in the meantime is not
// replaced: a hard link fails where it exists. Where links cannot be made the name is
// looked at once more instead.
func (f *File) publish() error {
	s := f.s
	if !s.o.Replace {
		err := s.o.step("link", s.target)
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
	if _, err := target(s.parent, s.target, &s.o); err != nil {
		return err
	}
	if err := releaseBeforeRename(f.File); err != nil {
		return err
	}
	if err := s.o.step("rename", s.target); err != nil {
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
	err := s.o.step("close", s.target)
	if cerr := f.File.Close(); !errors.Is(cerr, fs.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return errors.Join(err, s.discard(), f.release(s))
}
