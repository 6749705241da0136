package publish

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is an unpublished directory. It appears under its final name when Commit returns
// nil.
type Dir struct {
	s    *staging
	root *os.Root
	own  bool // the parent is closed with the directory
	done bool
}

// treeName is the name of a directory in its private folder.
const treeName = "tree"

// CreateDir starts the directory at path, whose parent must exist. An existing directory
// is an error that matches fs.ErrExist unless it is empty. The caller must Close the
// directory, also after Commit.
func CreateDir(path string, o Options) (*Dir, error) {
	root, base, err := split(path)
	if err != nil {
		return nil, err
	}
	d, err := CreateDirIn(root, base, o)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	d.own = true
	return d, nil
}

// CreateDirIn is CreateDir in an open directory. name is a single component. The caller
// closes root, after the directory.
func CreateDirIn(root *os.Root, name string, o Options) (*Dir, error) {
	if err := vacant(root, name); err != nil {
		return nil, err
	}
	s, err := stage(root, name, o)
	if err != nil {
		return nil, err
	}
	d := &Dir{s: s}
	mode := fs.FileMode(0o777)
	if o.Private {
		mode = 0o700
	}
	if err = step("mkdir", treeName); err == nil {
		err = s.dir.Mkdir(treeName, mode)
	}
	if err == nil {
		d.root, err = OpenFolder(s.dir, treeName)
	}
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return d, nil
}

// vacant refuses a name that is taken by something other than an empty directory.
func vacant(root *os.Root, name string) error {
	if err := step("stat", name); err != nil {
		return err
	}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		if sub, err := OpenFolder(root, name); err == nil {
			list, err := names(sub)
			sub.Close()
			if err == nil && len(list) == 0 {
				return nil
			}
		}
	}
	return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
}

// Root returns the directory, to be filled. It belongs to the Dir.
func (d *Dir) Root() *os.Root { return d.root }

// Link adds the name to in the directory to a file that is called from in the directory
// in which it will appear. Both are paths with several components, none of which may be a
// symbolic link that leads outside. The name is durable when its directory is.
func (d *Dir) Link(from, to string) error {
	return d.s.parent.Link(from, filepath.Join(d.s.name, treeName, to))
}

// Path returns a path of the directory for messages, and for programs that need one.
// Another process of the same user could replace a directory on that path.
func (d *Dir) Path() string { return filepath.Join(d.s.parent.Name(), d.s.name, treeName) }

// Commit makes the names in the directory durable and moves it to its final name. The
// contents of the files and the names in subdirectories must be durable already.
func (d *Dir) Commit() error { return d.commit(true) }

// CommitNow is Commit for a directory that need not survive a power failure.
func (d *Dir) CommitNow() error { return d.commit(false) }

func (d *Dir) commit(sync bool) error {
	if d.done {
		return fs.ErrClosed
	}
	s := d.s
	if err := vacant(s.parent, s.target); err != nil {
		return err
	}
	if sync {
		if err := SyncDir(d.root); err != nil {
			return err
		}
	}
	mine, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	if err := d.root.Close(); err != nil { // some systems move no open directory
		return err
	}
	if err := d.rename(); err != nil {
		return err
	}
	d.done = true
	if sync {
		if err := SyncDir(s.parent); err != nil {
			// The name may be lost in a crash, and an error means that there is no
			// directory: it is moved back and removed with the private folder.
			return errors.Join(err, d.takeBack(mine), d.Close())
		}
	}
	// The directory is published even if the private folder cannot be removed. In that
	// case the next writer removes it.
	_ = d.Close()
	return nil
}

func (d *Dir) takeBack(mine fs.FileInfo) error {
	s := d.s
	if there, err := s.parent.Lstat(s.target); err != nil || !os.SameFile(mine, there) {
		return nil
	}
	return Rename(s.parent, s.target, filepath.Join(s.name, treeName))
}

// rename publishes. An empty directory under the final name is replaced, which some
// systems do only after it is gone.
func (d *Dir) rename() error {
	s := d.s
	if err := step("rename", s.target); err != nil {
		return err
	}
	err := move(s, treeName, s.target)
	if err == nil {
		return nil
	}
	if vacant(s.parent, s.target) == nil && Remove(s.parent, s.target) == nil {
		return move(s, treeName, s.target)
	}
	return err
}

// Close releases the directory; without a successful Commit it removes it. Closing
// twice is allowed.
func (d *Dir) Close() error {
	if d.s == nil {
		return nil
	}
	s := d.s
	d.s, d.done = nil, true
	d.root.Close()
	err := s.discard()
	if d.own {
		err = errors.Join(err, s.parent.Close())
	}
	return err
}
