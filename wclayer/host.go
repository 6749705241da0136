package wclayer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// A directory is an open directory of the host, and with file everything that
// this package asks of a file system. Every name is a single component, so that
// no path is resolved anywhere and no link of the host is followed. The tests
// put faults between this interface and the host.
type directory interface {
	// create makes a file that does not exist, with these permissions less those that the
	// process's mask takes away, and opens it for writing.
	create(name string, mode fs.FileMode) (file, error)
	// open opens a regular file for reading.
	open(name string) (file, error)
	mkdir(name string) error
	// enter opens a directory below this one, and follows no link.
	enter(name string) (directory, error)
	// list returns the entries sorted by the bytes of their names.
	list() ([]fs.DirEntry, error)
	stat(name string) (fs.FileInfo, error)
	remove(name string) error
	// removeAll removes a directory with what is in it; nothing there is no error.
	removeAll(name string) error
	// link makes newname another name of the file oldname in old.
	link(old directory, oldname, newname string) error
	rename(oldname, newname string) error
	// setRecord and setTimes apply to the directory itself.
	setRecord(b []byte) error
	setTimes(t winfs.Times) error
	record() ([]byte, error)
	sync() error
	// syncVolume writes back everything of the file system that holds the directory;
	// errors.ErrUnsupported says that the host cannot.
	syncVolume() error
	close() error

	// host returns what lies under any wrapper.
	host() *hostDirectory
}

// file is an open file of the host.
type file interface {
	io.ReadWriteSeeker
	io.ReaderAt
	stat() (fs.FileInfo, error)
	truncate(size int64) error
	setRecord(b []byte) error
	setTimes(t winfs.Times) error
	// record returns the metadata record, nil if the file has none.
	record() ([]byte, error)
	sync() error
	close() error
}

// hostDirectory keeps one os.Root for each open directory: a name is then resolved
// by one system call, and the kernel confines it.
type hostDirectory struct {
	root     *os.Root
	self     *os.File // the same directory as a file, opened when first needed
	borrowed bool     // root is closed by somebody else
}

// openDirectory opens a directory by its path on the host.
func openDirectory(path string) (directory, error) {
	r, err := os.OpenRoot(longPath(path))
	if err != nil {
		return nil, err
	}
	return &hostDirectory{root: r}, nil
}

func (d *hostDirectory) host() *hostDirectory { return d }

func (d *hostDirectory) create(name string, mode fs.FileMode) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|createFlag, mode)
	if err != nil {
		return nil, err
	}
	return &hostFile{f}, nil
}

func (d *hostDirectory) open(name string) (file, error) {
	// Callers have seen that it is a file. It may be a pipe by now.
	f, err := d.root.OpenFile(name, os.O_RDONLY|createFlag, 0)
	if err != nil {
		return nil, err
	}
	return &hostFile{f}, nil
}

func (d *hostDirectory) mkdir(name string) error { return d.root.Mkdir(name, 0o777) }

func (d *hostDirectory) enter(name string) (directory, error) {
	r, err := publish.OpenFolder(d.root, name)
	if err != nil {
		return nil, err
	}
	return &hostDirectory{root: r}, nil
}

func (d *hostDirectory) list() ([]fs.DirEntry, error) {
	f, err := d.root.Open(".")
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

func (d *hostDirectory) stat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }
func (d *hostDirectory) remove(name string) error              { return d.root.Remove(name) }
func (d *hostDirectory) removeAll(name string) error           { return d.root.RemoveAll(name) }
func (d *hostDirectory) rename(oldname, newname string) error  { return d.root.Rename(oldname, newname) }

func (d *hostDirectory) link(old directory, oldname, newname string) error {
	o := old.host()
	if o == d {
		return d.root.Link(oldname, newname)
	}
	from, err := o.file()
	if err != nil {
		return err
	}
	to, err := d.file()
	if err != nil {
		return err
	}
	return linkAt(from, oldname, to, newname)
}

// file returns the directory as a file, for what os.Root has no method.
func (d *hostDirectory) file() (*os.File, error) {
	if d.self == nil {
		f, err := d.root.Open(".")
		if err != nil {
			return nil, err
		}
		d.self = f
	}
	return d.self, nil
}

func (d *hostDirectory) setRecord(b []byte) error {
	f, err := d.file()
	if err != nil {
		return err
	}
	return setRecord(f, b)
}

func (d *hostDirectory) record() ([]byte, error) {
	f, err := d.file()
	if err != nil {
		return nil, err
	}
	return getRecord(f)
}

func (d *hostDirectory) setTimes(t winfs.Times) error {
	f, err := d.file()
	if err != nil {
		return err
	}
	return setHostTimes(f, t)
}

func (d *hostDirectory) sync() error {
	return publish.SyncDir(d.root)
}

func (d *hostDirectory) syncVolume() error {
	f, err := d.file()
	if err != nil {
		return err
	}
	return syncVolume(f)
}

func (d *hostDirectory) close() error {
	var err error
	if d.self != nil {
		err = d.self.Close()
		d.self = nil
	}
	if d.borrowed {
		return err
	}
	return errors.Join(err, d.root.Close())
}

// The permissions of files. Everybody may read what the process's mask leaves, but not
// the registry.
const (
	openMode    fs.FileMode = 0o666
	privateMode fs.FileMode = 0o600
)

// modeOf returns the permissions of the file at a path of the layer.
func modeOf(path string) fs.FileMode {
	if hives.Private(path) {
		return privateMode
	}
	return openMode
}

type hostFile struct{ *os.File }

func (f *hostFile) stat() (fs.FileInfo, error)   { return f.File.Stat() }
func (f *hostFile) truncate(size int64) error    { return f.File.Truncate(size) }
func (f *hostFile) setRecord(b []byte) error     { return setRecord(f.File, b) }
func (f *hostFile) record() ([]byte, error)      { return getRecord(f.File) }
func (f *hostFile) setTimes(t winfs.Times) error { return setHostTimes(f.File, t) }
func (f *hostFile) sync() error                  { return f.File.Sync() }
func (f *hostFile) close() error                 { return f.File.Close() }

// hostTime returns what the host is given for a time, and false for one that is
// not set.
func hostTime(t winfs.Filetime) (time.Time, bool) { return t.Time(), t != 0 }

// recordName is the extended attribute that holds a record.
const recordName = "user.mullion.meta"

// errNoAttributes says that the file system keeps no extended attributes.
var errNoAttributes = errors.New("the file system has no extended attributes")
