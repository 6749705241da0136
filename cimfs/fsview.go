package cimfs

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mullion/mullion/winfs"
)

// FS returns the image as an io/fs.FS: directories, and main streams of files. It
// also implements fs.ReadDirFS and fs.StatFS. FileInfo.Sys returns the [*File].
//
// Names are found without regard to case. Reparse points are not followed; those
// that are no directories have the mode bit ModeIrregular. FileInfo times are last-write times.
//
// io/fs wants names to be valid UTF-8, and a Windows name need not be: in this
// view a lone surrogate is spelled %uD83D, with its own number, and the percent
// sign of a name that by itself contains such a spelling becomes %u0025. The
// spelling is unique, so every file can be opened under the name it is listed
// with. [EscapeFSName] and [UnescapeFSName] convert.
func (im *Image) FS() fs.FS { return fsView{im} }

type fsView struct{ im *Image }

var (
	_ fs.ReadDirFS   = fsView{}
	_ fs.StatFS      = fsView{}
	_ fs.ReadDirFile = (*fsDir)(nil)
	_ io.ReaderAt    = (*fsFile)(nil)
	_ io.Seeker      = (*fsFile)(nil)
)

// EscapeFSName spells a WTF-8 name so that it is valid UTF-8; see winfs.EscapeFSName.
func EscapeFSName(name string) string { return winfs.EscapeFSName(name) }

// UnescapeFSName is the inverse of [EscapeFSName]. The second result is false for
// a spelling that EscapeFSName never returns.
func UnescapeFSName(name string) (string, bool) { return winfs.UnescapeFSName(name) }

func (v fsView) lookup(op, name string) (*File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	f, err := v.im.Root()
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	if name == "." {
		return f, nil
	}
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		raw, ok := UnescapeFSName(part)
		if !ok {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		if f, err = f.child(raw); err != nil {
			if err == ErrNotDirectory {
				err = fs.ErrNotExist
			}
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	return f, nil
}

// Open opens a file or directory.
func (v fsView) Open(name string) (fs.File, error) {
	f, err := v.lookup("open", name)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), f}
	if f.IsDir() {
		t, err := f.table()
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		d := &fsDir{fileInfo: info}
		if t != nil {
			d.count, d.cursor = t.count, t.cursor(walkWindow)
		}
		return d, nil
	}
	s, err := f.Data()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &fsFile{info, s.Reader()}, nil
}

// Stat describes a file without opening it.
func (v fsView) Stat(name string) (fs.FileInfo, error) {
	f, err := v.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), f}, nil
}

// ReadDir lists a directory in the byte order of names, as fs.ReadDir promises.
func (v fsView) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := v.Open(name)
	if err != nil {
		return nil, err
	}
	d, ok := f.(*fsDir)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: ErrNotDirectory}
	}
	list, err := d.ReadDir(-1)
	sortEntries(list)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, err
}

type fsFile struct {
	fileInfo
	*io.SectionReader
}

func (f *fsFile) Stat() (fs.FileInfo, error) { return f.fileInfo, nil }
func (f *fsFile) Close() error               { return nil }
func (f *fsFile) Size() int64                { return f.fileInfo.Size() }

type fsDir struct {
	fileInfo
	cursor *linkCursor
	next   int
	count  int
}

func (d *fsDir) Stat() (fs.FileInfo, error) { return d.fileInfo, nil }
func (d *fsDir) Close() error               { return nil }
func (d *fsDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: ErrIsDirectory}
}

// ReadDir lists in stored order.
func (d *fsDir) ReadDir(n int) ([]fs.DirEntry, error) {
	left := d.count - d.next
	if n > 0 && left == 0 {
		return nil, io.EOF
	}
	if n > 0 && n < left {
		left = n
	}
	var out []fs.DirEntry
	for range left {
		e, err := d.cursor.entry(d.next)
		if err != nil {
			return out, err
		}
		f, err := d.f.im.File(e.ID)
		if err != nil {
			return out, err
		}
		d.next++
		out = append(out, fs.FileInfoToDirEntry(fileInfo{EscapeFSName(e.Name), f}))
	}
	return out, nil
}

// fileInfo is an fs.FileInfo, which File.Stat returns.
type fileInfo struct {
	name string
	f    *File
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.f.Size() }
func (i fileInfo) ModTime() time.Time { return i.f.Times().LastWrite.Time() }
func (i fileInfo) IsDir() bool        { return i.f.IsDir() }
func (i fileInfo) Sys() any           { return i.f }

// Mode has read permission for all users, as an image cannot be written, and to
// directories that of searching.
func (i fileInfo) Mode() fs.FileMode {
	m := fs.FileMode(0o444)
	if i.f.IsDir() {
		m = fs.ModeDir | 0o555
	}
	if i.f.rec.reparse != 0 && !i.f.IsDir() {
		m |= fs.ModeIrregular
	}
	return m
}

func sortEntries(list []fs.DirEntry) {
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
}
