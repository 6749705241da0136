package wclayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// maxLinks is how many names NTFS gives one file besides the first.
const maxLinks = 1023

// linkOrCopy makes newname a further name of a file of a parent, or a copy where
// the host or NTFS allows none.
func linkOrCopy(from directory, oldname string, to directory, newname string) error {
	fi, err := from.stat(oldname)
	if err != nil {
		return err
	}
	if _, _, links := fileIdentity(fi); links <= maxLinks {
		err := to.link(from, oldname, newname)
		if err == nil || !linkRefused(err) {
			return err
		}
	}
	return copyFile(from, oldname, to, newname)
}

// copyFile copies content, modification time and record, or everything that NTFS
// has of a file.
func copyFile(from directory, oldname string, to directory, newname string) error {
	if nativeObjects {
		return copyNative(from, oldname, to, newname, false)
	}
	src, err := from.open(oldname)
	if err != nil {
		return err
	}
	defer src.close()
	fi, err := src.stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%w: %s", ErrHostFile, oldname)
	}
	dst, err := to.create(newname, fi.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	return firstError(copyInto(dst, src, fi), dst.close())
}

// copyBytes hides all methods but Read and Write, so that every write passes
// through the interface.
func copyBytes(dst, src file) error {
	_, err := io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
	return err
}

func copyInto(dst, src file, fi fs.FileInfo) error {
	if err := copyBytes(dst, src); err != nil {
		return err
	}
	if rec, err := src.record(); err != nil {
		return err
	} else if rec != nil {
		if err := dst.setRecord(rec); err != nil && !errors.Is(err, errNoAttributes) {
			return err
		}
	}
	t, err := winfs.FiletimeFromTime(fi.ModTime())
	if err != nil {
		return nil // no Windows time: the copy is as new as it is
	}
	return dst.setTimes(winfs.Times{LastWrite: t, LastAccess: t})
}

// copyContent copies the bytes of a file and nothing else.
func copyContent(from directory, oldname string, to directory, newname string) error {
	src, err := from.open(oldname)
	if err != nil {
		return err
	}
	defer src.close()
	fi, err := src.stat()
	if err != nil {
		return err
	}
	dst, err := to.create(newname, fi.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	return firstError(copyBytes(dst, src), dst.close())
}

// syncTree flushes every directory below d, and every file if files is set.
func syncTree(d directory, files bool) error {
	list, err := d.list()
	if err != nil {
		return err
	}
	for _, e := range list {
		switch {
		case e.IsDir():
			sub, err := d.enter(e.Name())
			if err != nil {
				return err
			}
			if err := firstError(syncTree(sub, files), sub.close()); err != nil {
				return err
			}
		case files && e.Type().IsRegular():
			f, err := d.open(e.Name())
			if err != nil {
				return err
			}
			if err := firstError(f.sync(), f.close()); err != nil {
				return err
			}
		}
	}
	err = d.sync()
	if errors.Is(err, fs.ErrPermission) {
		return nil // a host that lets nobody flush a directory
	}
	return err
}

// enterPath opens a directory that is not directly below d, refusing anything that
// is not a directory on the way.
func enterPath(d directory, way ...string) (directory, error) {
	cur := d
	for _, name := range way {
		fi, err := cur.stat(name)
		if err == nil && !fi.IsDir() {
			err = fmt.Errorf("%w: %s", layer.ErrNotDirectory, name)
		}
		var next directory
		if err == nil {
			next, err = cur.enter(name)
		}
		if cur != d {
			err = errors.Join(err, cur.close())
		}
		if err != nil {
			return nil, err
		}
		cur = next
	}
	return cur, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// noEOF turns the end of a file, where more was promised, into an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
