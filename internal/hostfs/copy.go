package hostfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// MaxLinks is the number of names that NTFS allows a file besides the first.
const MaxLinks = 1023

// LinkOrCopy makes newname a further name of a file of a parent, or a copy where
// the host or NTFS allows none.
func LinkOrCopy(from Directory, oldname string, to Directory, newname string) error {
	fi, err := from.Stat(oldname)
	if err != nil {
		return err
	}
	if _, _, links := FileIdentity(fi); links <= MaxLinks {
		err := to.Link(from, oldname, newname)
		if err == nil || !LinkRefused(err) {
			return err
		}
	}
	return CopyFile(from, oldname, to, newname)
}

// CopyFile copies content, modification time and record, or everything that NTFS
// has of a file.
func CopyFile(from Directory, oldname string, to Directory, newname string) error {
	if NativeObjects {
		return CopyNative(from, oldname, to, newname, false)
	}
	src, err := from.Open(oldname)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%w: %s", ErrHostFile, oldname)
	}
	dst, err := to.Create(newname, fi.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	return FirstError(copyInto(dst, src, fi), dst.Close())
}

// copyBytes hides all methods but Read and Write, so that every write passes
// through the interface.
func copyBytes(dst, src File) error {
	_, err := io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
	return err
}

func copyInto(dst, src File, fi fs.FileInfo) error {
	if err := copyBytes(dst, src); err != nil {
		return err
	}
	if rec, err := src.Record(); err != nil {
		return err
	} else if rec != nil {
		if err := dst.SetRecord(rec); err != nil && !errors.Is(err, ErrNoAttributes) {
			return err
		}
	}
	t, err := winfs.FiletimeFromTime(fi.ModTime())
	if err != nil {
		return nil // no Windows time: the copy is as new as it is
	}
	return dst.SetTimes(winfs.Times{LastWrite: t, LastAccess: t})
}

// CopyContent copies the bytes of a file and nothing else.
func CopyContent(from Directory, oldname string, to Directory, newname string) error {
	src, err := from.Open(oldname)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := to.Create(newname, fi.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	return FirstError(copyBytes(dst, src), dst.Close())
}

// SyncTree flushes every directory below d, and every file if files is set.
func SyncTree(d Directory, files bool) error {
	list, err := d.List()
	if err != nil {
		return err
	}
	for _, e := range list {
		switch {
		case e.IsDir():
			sub, err := d.Enter(e.Name())
			if err != nil {
				return err
			}
			if err := FirstError(SyncTree(sub, files), sub.Close()); err != nil {
				return err
			}
		case files && e.Type().IsRegular():
			f, err := d.Open(e.Name())
			if err != nil {
				return err
			}
			if err := FirstError(f.Sync(), f.Close()); err != nil {
				return err
			}
		}
	}
	err = d.Sync()
	if errors.Is(err, fs.ErrPermission) {
		return nil // the host does not allow flushing a directory
	}
	return err
}

// EnterPath opens a directory that is not directly below d, refusing anything that
// is not a directory on the way.
func EnterPath(d Directory, way ...string) (Directory, error) {
	cur := d
	for _, name := range way {
		fi, err := cur.Stat(name)
		if err == nil && !fi.IsDir() {
			err = fmt.Errorf("%w: %s", layer.ErrNotDirectory, name)
		}
		var next Directory
		if err == nil {
			next, err = cur.Enter(name)
		}
		if cur != d {
			err = errors.Join(err, cur.Close())
		}
		if err != nil {
			return nil, err
		}
		cur = next
	}
	return cur, nil
}

// FirstError returns the first error that is not nil.
func FirstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// NoEOF turns the end of a file, where more was promised, into an error.
func NoEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
