package hostfs

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"github.com/mullion/mullion/winfs"
)

const createFlag = 0

// LongPath returns the form that has no limit of 260 units: only the root of a
// layer and the folder that holds it are ever opened by a path, everything below
// by a handle and one name, so that no other place has to care.
func LongPath(path string) string {
	abs, err := filepath.Abs(path)
	switch {
	case err != nil, strings.HasPrefix(abs, `\\?\`), strings.HasPrefix(abs, `\\.\`):
		return path
	case strings.HasPrefix(abs, `\\`):
		return `\\?\UNC` + abs[1:]
	}
	return `\\?\` + abs
}

// OpenAt opens or makes name in a directory by the native interface, because
// Win32 cannot ask for ACCESS_SYSTEM_SECURITY below a handle. No reparse point is
// followed: the name is a single component, OBJ_DONT_REPARSE refuses others on the
// way, and FILE_OPEN_REPARSE_POINT opens the last one itself.
func OpenAt(dir *os.File, name string, access, disposition, options uint32) (*os.File, error) {
	units := winfs.AppendUTF16(nil, name)
	if len(units) == 0 || len(units) > winfs.MaxComponent {
		return nil, &os.PathError{Op: "NtCreateFile", Path: name, Err: windows.ERROR_INVALID_NAME}
	}
	object := windows.NTUnicodeString{
		Length: uint16(len(units) * 2), MaximumLength: uint16(len(units) * 2), Buffer: &units[0],
	}
	attributes := windows.OBJECT_ATTRIBUTES{
		RootDirectory: windows.Handle(dir.Fd()),
		ObjectName:    &object,
		Attributes:    windows.OBJ_CASE_INSENSITIVE | windows.OBJ_DONT_REPARSE,
	}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	var h windows.Handle
	var status windows.IO_STATUS_BLOCK
	err := windows.NtCreateFile(&h, access|windows.SYNCHRONIZE, &attributes, &status, nil, 0,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, disposition,
		options|windows.FILE_SYNCHRONOUS_IO_NONALERT|windows.FILE_OPEN_FOR_BACKUP_INTENT|windows.FILE_OPEN_REPARSE_POINT, 0, 0)
	if err != nil {
		var nt windows.NTStatus
		if errors.As(err, &nt) {
			err = nt.Errno()
		}
		return nil, &os.PathError{Op: "NtCreateFile", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(h), filepath.Join(dir.Name(), name)), nil
}

// linkAt makes newname in to another name of the file oldname in from.
func linkAt(from *os.File, oldname string, to *os.File, newname string) error {
	f, err := OpenAt(from, oldname, windows.FILE_WRITE_ATTRIBUTES, windows.FILE_OPEN, windows.FILE_NON_DIRECTORY_FILE)
	if err != nil {
		return err
	}
	defer f.Close()
	// FILE_LINK_INFORMATION: u8 ReplaceIfExists, padding, HANDLE RootDirectory, u32
	// FileNameLength in bytes, then the name (MS-FSCC 2.4.27).
	const handleSize = unsafe.Sizeof(uintptr(0))
	name := winfs.AppendUTF16LE(nil, newname)
	b := make([]byte, 2*handleSize+4, 2*int(handleSize)+4+len(name))
	*(*windows.Handle)(unsafe.Pointer(&b[handleSize])) = windows.Handle(to.Fd())
	binary.LittleEndian.PutUint32(b[2*handleSize:], uint32(len(name)))
	b = append(b, name...)
	var status windows.IO_STATUS_BLOCK
	err = windows.NtSetInformationFile(windows.Handle(f.Fd()), &status, &b[0], uint32(len(b)), windows.FileLinkInformation)
	if err != nil {
		var nt windows.NTStatus
		if errors.As(err, &nt) {
			err = nt.Errno()
		}
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: err}
	}
	return nil
}

// LinkRefused reports whether a hard link cannot be made for a reason that a copy
// does not share.
func LinkRefused(err error) bool {
	return errors.Is(err, windows.ERROR_NOT_SAME_DEVICE) || errors.Is(err, windows.ERROR_TOO_MANY_LINKS) ||
		errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_NOT_SUPPORTED)
}

// setHostTimes sets the times that are not zero: FILE_BASIC_INFO leaves times and
// attributes that are 0.
func setHostTimes(f *os.File, t winfs.Times) error {
	if t == (winfs.Times{}) {
		return nil
	}
	return SetBasicInfo(f, t, 0)
}

// SetBasicInfo sets times and attributes. A time of 0 stays as it is.
func SetBasicInfo(f *os.File, t winfs.Times, a winfs.Attributes) error {
	// Attributes that only the file system can set must not be requested.
	a &^= winfs.AttrDirectory | winfs.AttrReparsePoint | winfs.AttrSparse | winfs.AttrCompressed | winfs.AttrEncrypted
	return winio.SetFileBasicInfo(f, &winio.FileBasicInfo{
		CreationTime: filetime(t.Creation), LastAccessTime: filetime(t.LastAccess),
		LastWriteTime: filetime(t.LastWrite), ChangeTime: filetime(t.Change),
		FileAttributes: uint32(a),
	})
}

func filetime(t winfs.Filetime) windows.Filetime {
	return windows.Filetime{LowDateTime: uint32(t), HighDateTime: uint32(uint64(t) >> 32)}
}

func fromFiletime(t windows.Filetime) winfs.Filetime {
	return winfs.Filetime(uint64(t.HighDateTime)<<32 | uint64(t.LowDateTime))
}

// BasicInfo returns times and attributes.
func BasicInfo(f *os.File) (winfs.Times, winfs.Attributes, error) {
	i, err := winio.GetFileBasicInfo(f)
	if err != nil {
		return winfs.Times{}, 0, err
	}
	return winfs.Times{
		Creation: fromFiletime(i.CreationTime), LastAccess: fromFiletime(i.LastAccessTime),
		LastWrite: fromFiletime(i.LastWriteTime), Change: fromFiletime(i.ChangeTime),
	}, winfs.Attributes(i.FileAttributes), nil
}

// FileIdentity returns nothing, because os.Stat has no identity on Windows; native readers
// use the handle.
func FileIdentity(os.FileInfo) (device, inode uint64, links uint64) { return 0, 0, 1 }

// syncVolume would need the volume opened for writing, which takes an
// administrator; files are flushed as they are closed instead.
func syncVolume(*os.File) error { return errors.ErrUnsupported }

// Records are for hosts whose file systems keep no Windows metadata.

func setRecord(*os.File, []byte) error { return ErrNoAttributes }

func getRecord(*os.File) ([]byte, error) { return nil, nil }

// ErrNameTooLong is the error for a name that the host cannot have.
const ErrNameTooLong = windows.ERROR_FILENAME_EXCED_RANGE
