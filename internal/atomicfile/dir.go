package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// lockName is the file that marks a temporary folder as being worked in.
const lockName = ".mullion-lock"

// Dir is a folder that is being filled. It is not visible under its final name
// until Commit has returned nil.
type Dir struct {
	parent *os.Root
	name   string
	temp   string
	path   string // of the temporary folder
	lock   *os.File
	done   bool
}

// CreateDir begins to fill the folder at path, whose parent must exist. An existing
// folder gives an error that matches fs.ErrExist unless it is empty. What a killed
// process left behind is removed first. The caller must Close the folder, also after
// Commit.
func CreateDir(path string) (*Dir, error) {
	path = filepath.Clean(path)
	parent, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrInvalid}
	}
	if parent == "" {
		parent = "."
	}
	root, err := os.OpenRoot(parent)
	if err != nil {
		return nil, err
	}
	d := &Dir{parent: root, name: base, temp: TempName(base), path: filepath.Join(parent, TempName(base))}
	if err = d.checkTarget(); err == nil {
		err = d.open()
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return d, nil
}

// checkTarget refuses a target that exists and is not an empty folder.
func (d *Dir) checkTarget() error {
	f, err := d.parent.Open(d.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		if names, _ := f.Readdirnames(1); len(names) == 0 {
			return nil
		}
	}
	return &fs.PathError{Op: "create", Path: d.name, Err: fs.ErrExist}
}

// open makes, locks and empties the temporary folder.
func (d *Dir) open() error {
	for range 10 {
		if err := d.parent.Mkdir(d.temp, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		name := filepath.Join(d.temp, lockName)
		file, err := d.parent.OpenFile(name, os.O_RDWR|os.O_CREATE|openFlags, 0o666)
		if errors.Is(err, fs.ErrNotExist) { // published by another process just now
			continue
		}
		if err != nil {
			d.parent.Remove(d.temp) // unless it is a leftover; whoever is about to lock it makes it again
			return err
		}
		if err := lock(file); err != nil {
			file.Close()
			if errors.Is(err, ErrBusy) {
				return &fs.PathError{Op: "create", Path: d.name, Err: ErrBusy}
			}
			return err
		}
		mine, err := file.Stat()
		if err == nil {
			var there fs.FileInfo
			if there, err = d.parent.Lstat(name); err == nil && os.SameFile(mine, there) {
				d.lock = file
				return d.empty()
			}
		}
		file.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return &fs.PathError{Op: "create", Path: d.name, Err: ErrBusy}
}

// empty removes a leftover, all but the lock.
func (d *Dir) empty() error {
	f, err := d.parent.Open(d.temp)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	for _, n := range names {
		if n != lockName {
			err = errors.Join(err, d.parent.RemoveAll(filepath.Join(d.temp, n)))
		}
	}
	return err
}

// Path returns the path of the temporary folder, to be filled.
func (d *Dir) Path() string { return d.path }

// OpenRoot opens the temporary folder. The caller closes it before Commit.
func (d *Dir) OpenRoot() (*os.Root, error) { return d.parent.OpenRoot(d.temp) }

// Commit gives the folder its final name. The files in it must be durable.
func (d *Dir) Commit() error {
	if d.done {
		return fs.ErrClosed
	}
	if err := d.checkTarget(); err != nil {
		return err
	}
	sub, err := d.OpenRoot()
	if err != nil {
		return err
	}
	err = errors.Join(syncDir(sub), sub.Close())
	if err != nil {
		return err
	}
	if err := releaseBeforeRename(d.lock); err != nil {
		return err
	}
	if err := d.rename(); err != nil {
		return err
	}
	d.done = true
	// The lock moved with the folder: nobody could take it for a leftover.
	err = d.parent.Remove(filepath.Join(d.name, lockName))
	d.lock.Close()
	if err = errors.Join(err, syncDir(d.parent)); err != nil {
		err = errors.Join(err, d.parent.RemoveAll(d.name))
	}
	return err
}

// rename publishes. An empty folder under the final name is replaced, which some
// systems do only after it is gone.
func (d *Dir) rename() error {
	err := d.parent.Rename(d.temp, d.name)
	if err == nil {
		return nil
	}
	if d.checkTarget() == nil && d.parent.Remove(d.name) == nil {
		return d.parent.Rename(d.temp, d.name)
	}
	return err
}

// Close releases the folder; without a successful Commit it removes it. Closing
// twice is allowed.
func (d *Dir) Close() error {
	if d.parent == nil {
		return nil
	}
	var errs []error
	if !d.done {
		d.done = true
		errs = append(errs, d.empty())
		if err := releaseBeforeRename(d.lock); err != nil {
			errs = append(errs, err)
		}
		errs = append(errs, d.parent.RemoveAll(d.temp))
		d.lock.Close()
	}
	errs = append(errs, d.parent.Close())
	d.parent = nil
	return errors.Join(errs...)
}
