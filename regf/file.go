package regf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// flushStep is how much is written before the disk is asked to begin with it, so
// that flushing at the end finds most of the work done.
const flushStep = 4 << 20

// writeFile writes a file so that it appears complete or not at all: a temporary
// sibling is written, flushed and renamed. Everything happens inside the
// directory that is opened first. A file that replaces another takes over its
// permissions and, as far as the system lets it, its owner.
func writeFile(name string, b []byte, overwrite bool) (err error) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	mode := fs.FileMode(0o666)
	old, err := root.Lstat(base)
	switch {
	case err == nil && !overwrite:
		return ErrExists
	case err == nil && !old.Mode().IsRegular():
		return fmt.Errorf("%w: target is not a regular file", ErrExists)
	case err == nil:
		mode = 0o600 // until it is known who may read it
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, tmp, err := createSibling(root, base, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(root.Remove(tmp)))
		}
	}()
	for off := 0; off < len(b) && err == nil; off += flushStep {
		part := b[off:min(off+flushStep, len(b))]
		if _, err = f.Write(part); err == nil {
			startWriteback(f, int64(off), int64(len(part)))
		}
	}
	if err == nil && old != nil {
		err = takeOver(f, old)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !overwrite {
		// A link fails where the target has appeared meanwhile; where links do not exist
		// the check above has to do.
		switch err := root.Link(tmp, base); {
		case err == nil:
			return errors.Join(root.Remove(tmp), syncDir(root))
		case errors.Is(err, fs.ErrExist):
			return errors.Join(ErrExists, root.Remove(tmp))
		}
	}
	if err := root.Rename(tmp, base); err != nil {
		return err
	}
	return syncDir(root)
}

func createSibling(root *os.Root, base string, mode fs.FileMode) (*os.File, string, error) {
	for i := range 1000 {
		tmp := fmt.Sprintf(".%s.%d.%d.tmp", base, os.Getpid(), i)
		f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return f, tmp, err
		}
	}
	return nil, "", ErrExists
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
