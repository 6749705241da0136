package hostfs

import (
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"github.com/mullion/mullion/winfs"
)

// NativeObjects reports that the file system keeps Windows metadata itself.
const NativeObjects = true

const (
	WriteAccess = windows.GENERIC_READ | windows.GENERIC_WRITE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.ACCESS_SYSTEM_SECURITY
	ReadAccess  = windows.GENERIC_READ | windows.READ_CONTROL | windows.ACCESS_SYSTEM_SECURITY
)

// EntryKind returns the kind of a directory entry from its attributes: by the mode bits of
// package os, junctions and links to directories are not directories.
func EntryKind(e fs.DirEntry) (dir, regular, reparse bool, err error) {
	fi, err := e.Info()
	if err != nil {
		return false, false, false, err
	}
	a := winfs.Attributes(0)
	if d, ok := fi.Sys().(*syscall.Win32FileAttributeData); ok {
		a = winfs.Attributes(d.FileAttributes)
	}
	dir = a&winfs.AttrDirectory != 0
	return dir, !dir, a&winfs.AttrReparsePoint != 0, nil
}

// osFile is the open file of the host under a file or directory.
func osFile(k KeptRecord) (*os.File, error) {
	switch k := k.(type) {
	case Directory:
		return k.Host().File()
	case *hostFile:
		return k.File, nil
	}
	return nil, fs.ErrInvalid
}

// NativeTimes returns the times that NTFS has of a file or directory.
func NativeTimes(k KeptRecord) (winfs.Times, error) {
	f, err := osFile(k)
	if err != nil {
		return winfs.Times{}, err
	}
	t, _, err := BasicInfo(f)
	return t, err
}

// NativeAttributes returns the attributes that NTFS has of a file or directory.
func NativeAttributes(k KeptRecord) (winfs.Attributes, error) {
	f, err := osFile(k)
	if err != nil {
		return 0, err
	}
	_, a, err := BasicInfo(f)
	return a, err
}

// CopyNative copies a file, directory or reparse point with everything in its backup
// stream, as upstream clones a utility VM. A directory newname exists already.
func CopyNative(from Directory, oldname string, to Directory, newname string, dir bool) error {
	src, err := from.Host().File()
	if err != nil {
		return err
	}
	dst, err := to.Host().File()
	if err != nil {
		return err
	}
	in, err := OpenAt(src, oldname, ReadAccess, windows.FILE_OPEN, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	disposition, options := uint32(windows.FILE_CREATE), uint32(windows.FILE_NON_DIRECTORY_FILE)
	if dir {
		disposition, options = windows.FILE_OPEN, windows.FILE_DIRECTORY_FILE
	}
	out, err := OpenAt(dst, newname, WriteAccess, disposition, options)
	if err != nil {
		return err
	}
	r, w := winio.NewBackupFileReader(in, true), winio.NewBackupFileWriter(out, true)
	_, err = io.Copy(w, r)
	err = FirstError(err, r.Close(), w.Close())
	if err == nil {
		var t winfs.Times
		var a winfs.Attributes
		if t, a, err = BasicInfo(in); err == nil {
			err = SetBasicInfo(out, t, a)
		}
	}
	return FirstError(err, out.Close())
}
