package hostfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// A directory is an open directory of the host, and with file everything that
// this package asks of a file system. Every name is a single component, so that
// no path is resolved anywhere and no link of the host is followed. The tests
// put faults between this interface and the host.
type Directory interface {
	// Create makes a file that does not exist, with these permissions less those that the
	// process's mask takes away, and opens it for writing.
	Create(name string, mode fs.FileMode) (File, error)
	// Open opens a regular file for reading.
	Open(name string) (File, error)
	Mkdir(name string) error
	// Enter opens a directory below this one, and follows no link.
	Enter(name string) (Directory, error)
	// List returns the entries sorted by the bytes of their names.
	List() ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// RemoveAll removes a file, or a directory with its contents. It is no error if name
	// does not exist.
	RemoveAll(name string) error
	// Link makes newname another name of the file oldname in old.
	Link(old Directory, oldname, newname string) error
	Rename(oldname, newname string) error
	// SetRecord and setTimes apply to the directory itself.
	SetRecord(b []byte) error
	SetTimes(t winfs.Times) error
	Record() ([]byte, error)
	Sync() error
	// SyncVolume writes back everything of the file system that holds the directory;
	// errors.ErrUnsupported says that the host cannot.
	SyncVolume() error
	Close() error

	// Host returns the directory without wrappers.
	Host() *HostDirectory
}

// File is an open file of the host.
type File interface {
	io.ReadWriteSeeker
	io.ReaderAt
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	SetRecord(b []byte) error
	SetTimes(t winfs.Times) error
	// Record returns the metadata record, nil if the file has none.
	Record() ([]byte, error)
	Sync() error
	Close() error
}

// HostDirectory keeps one os.Root for each open directory: a name is then resolved
// by one system call, and the kernel confines it.
type HostDirectory struct {
	Root     *os.Root
	self     *os.File // the same directory as a file, opened when first needed
	Borrowed bool     // the caller closes root
}

// OpenDirectory opens a directory by its path on the host.
func OpenDirectory(path string) (Directory, error) {
	r, err := openfile.Root(LongPath(path))
	if err != nil {
		return nil, err
	}
	return &HostDirectory{Root: r}, nil
}

func (d *HostDirectory) Host() *HostDirectory { return d }

func (d *HostDirectory) Create(name string, mode fs.FileMode) (File, error) {
	f, err := d.Root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|createFlag, mode)
	if err != nil {
		return nil, err
	}
	return &hostFile{f}, nil
}

func (d *HostDirectory) Open(name string) (File, error) {
	// Callers have seen that it is a file. It may be a pipe by now.
	f, err := d.Root.OpenFile(name, os.O_RDONLY|createFlag, 0)
	if err != nil {
		return nil, err
	}
	return &hostFile{f}, nil
}

func (d *HostDirectory) Mkdir(name string) error { return d.Root.Mkdir(name, 0o777) }

func (d *HostDirectory) Enter(name string) (Directory, error) {
	r, err := publish.OpenFolder(d.Root, name)
	if err != nil {
		return nil, err
	}
	return &HostDirectory{Root: r}, nil
}

func (d *HostDirectory) List() ([]fs.DirEntry, error) {
	f, err := d.Root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

func (d *HostDirectory) Stat(name string) (fs.FileInfo, error) { return d.Root.Lstat(name) }

func (d *HostDirectory) RemoveAll(name string) error { return d.Root.RemoveAll(name) }

func (d *HostDirectory) Rename(oldname, newname string) error { return d.Root.Rename(oldname, newname) }

func (d *HostDirectory) Link(old Directory, oldname, newname string) error {
	o := old.Host()
	if o == d {
		return d.Root.Link(oldname, newname)
	}
	from, err := o.File()
	if err != nil {
		return err
	}
	to, err := d.File()
	if err != nil {
		return err
	}
	return linkAt(from, oldname, to, newname)
}

// File returns the directory as a file, for operations that os.Root lacks.
func (d *HostDirectory) File() (*os.File, error) {
	if d.self == nil {
		f, err := d.Root.Open(".")
		if err != nil {
			return nil, err
		}
		d.self = f
	}
	return d.self, nil
}

func (d *HostDirectory) SetRecord(b []byte) error {
	f, err := d.File()
	if err != nil {
		return err
	}
	return setRecord(f, b)
}

func (d *HostDirectory) Record() ([]byte, error) {
	f, err := d.File()
	if err != nil {
		return nil, err
	}
	return getRecord(f)
}

func (d *HostDirectory) SetTimes(t winfs.Times) error {
	f, err := d.File()
	if err != nil {
		return err
	}
	return setHostTimes(f, t)
}

func (d *HostDirectory) Sync() error { return publish.SyncDir(d.Root) }

func (d *HostDirectory) SyncVolume() error {
	f, err := d.File()
	if err != nil {
		return err
	}
	return syncVolume(f)
}

func (d *HostDirectory) Close() error {
	var err error
	if d.self != nil {
		err = d.self.Close()
		d.self = nil
	}
	if d.Borrowed {
		return err
	}
	return errors.Join(err, d.Root.Close())
}

type hostFile struct{ *os.File }

func (f *hostFile) SetRecord(b []byte) error { return setRecord(f.File, b) }

func (f *hostFile) Record() ([]byte, error) { return getRecord(f.File) }

func (f *hostFile) SetTimes(t winfs.Times) error { return setHostTimes(f.File, t) }

// hostTime converts a time for the host, and returns false for one that is not set.
func hostTime(t winfs.Filetime) (time.Time, bool) { return t.Time(), t != 0 }

// recordName is the extended attribute that holds a record.
const recordName = "user.mullion.meta"

// ErrNoAttributes says that the file system keeps no extended attributes.
var ErrNoAttributes = errors.New("the file system has no extended attributes")

// KeptRecord is a file or directory that may have a record.
type KeptRecord interface{ Record() ([]byte, error) }

// RecordHolder is a file or directory of the host.
type RecordHolder interface{ SetRecord([]byte) error }

// maxRecord is the size of the longest record that is read.
const maxRecord = 256
