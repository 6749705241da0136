package layer

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mullion/mullion/winfs"
)

// FS returns the view as an io/fs file system. Names are found without regard to case and are
// spelled as by winfs.EscapeFSName; directories are listed in the order of names.
//
// A file is read from its layer, up to its place in it: reading many files one after the
// other is much faster through Reader. An error of a layer is returned by Read.
//
// Links are not followed. Symbolic links have the mode bit ModeSymlink, other reparse points
// that replace a name, such as junctions, have ModeIrregular; ReadLink returns the target of
// both. FileInfo implements [WindowsInfo], files implement [StreamFile].
//
// The file system is safe for concurrent use, but not while other methods of the view are
// called. It is closed with the view.
func (v *View) FS() *ViewFS {
	if v.fsys == nil {
		v.fsys = &ViewFS{view: v}
	}
	return v.fsys
}

// ViewFS is a [View] as a file system.
type ViewFS struct {
	view *View
	mu   sync.Mutex // guards view
}

// WindowsInfo is the fs.FileInfo of a file in a [ViewFS]. Its method Sys returns itself, which
// makes it the metadata that package fusefs shows of any file system.
type WindowsInfo interface {
	fs.FileInfo
	// Item returns the name in the view with all metadata. It is the caller's to keep.
	Item() *Item
	// Attributes returns the attribute word.
	Attributes() winfs.Attributes
	// Times returns the four times, 0 for one that is not set.
	Times() winfs.Times
	// Security returns the self-relative security descriptor, nil for none.
	Security() ([]byte, error)
	// EAs returns the extended attributes as winfs.EncodeEAs encodes them, nil for none.
	EAs() ([]byte, error)
	// Reparse returns the reparse buffer, nil for none.
	Reparse() ([]byte, error)
}

// StreamFile is the fs.File of a file or directory in a [ViewFS].
type StreamFile interface {
	fs.File
	// Streams returns the alternate streams in the order of the layer.
	Streams() ([]Stream, error)
	// OpenStream opens an alternate stream, compared without regard to case. The caller
	// closes the reader. The error is fs.ErrNotExist if there is no such stream.
	OpenStream(name string) (io.ReadCloser, error)
}

var (
	_ fs.ReadDirFS   = (*ViewFS)(nil)
	_ fs.ReadFileFS  = (*ViewFS)(nil)
	_ fs.StatFS      = (*ViewFS)(nil)
	_ fs.ReadLinkFS  = (*ViewFS)(nil)
	_ WindowsInfo    = viewInfo{}
	_ StreamFile     = (*viewFile)(nil)
	_ StreamFile     = (*viewDir)(nil)
	_ fs.ReadDirFile = (*viewDir)(nil)
)

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// find returns the node of a name, with the path in the view.
func (f *ViewFS) find(op, name string) (nodeID, error) {
	if !fs.ValidPath(name) {
		return none, pathError(op, name, fs.ErrInvalid)
	}
	if name == "." {
		return 0, nil
	}
	parts := strings.Split(name, "/")
	for i, p := range parts {
		raw, ok := winfs.UnescapeFSName(p)
		if !ok || strings.Contains(raw, `\`) {
			return none, pathError(op, name, fs.ErrNotExist)
		}
		parts[i] = raw
	}
	id, ok := f.view.tree.lookup(strings.Join(parts, `\`))
	if !ok {
		return none, pathError(op, name, fs.ErrNotExist)
	}
	return id, nil
}

// info returns what is known of a name.
func (f *ViewFS) info(op, name string) (viewInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.find(op, name)
	if err != nil {
		return viewInfo{}, err
	}
	it, err := f.view.item(id)
	if err != nil {
		return viewInfo{}, pathError(op, name, err)
	}
	return viewInfo{path.Base(name), it}, nil
}

// Open opens a file or directory, a link itself.
func (f *ViewFS) Open(name string) (fs.File, error) {
	info, err := f.info("open", name)
	if err != nil {
		return nil, err
	}
	file := &viewFile{fsys: f, name: name, info: info}
	if info.item.Kind == Dir && !isSurrogate(&info.item.Entry) || name == "." {
		return &viewDir{viewFile: file}, nil
	}
	return file, nil
}

// Stat describes a file, a link itself.
func (f *ViewFS) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name) }

// Lstat is the same as Stat.
func (f *ViewFS) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name) }

func (f *ViewFS) stat(op, name string) (fs.FileInfo, error) {
	info, err := f.info(op, name)
	if err != nil {
		return nil, err
	}
	return info, nil
}

// ReadLink returns the target of a symbolic link or junction in its Win32 spelling, with
// backslashes; see winfs.ReparsePoint.Target.
func (f *ViewFS) ReadLink(name string) (string, error) {
	info, err := f.info("readlink", name)
	if err != nil {
		return "", err
	}
	if !info.item.IsReparsePoint() {
		return "", pathError("readlink", name, fs.ErrInvalid)
	}
	p, err := winfs.ParseReparse(info.item.Entry.Reparse)
	if err != nil {
		return "", pathError("readlink", name, err)
	}
	if p.Tag != winfs.ReparseTagSymlink && p.Tag != winfs.ReparseTagMountPoint {
		return "", pathError("readlink", name, fs.ErrInvalid)
	}
	return p.Target(), nil
}

// ReadDir lists a directory in the byte order of names.
func (f *ViewFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if n := &f.view.tree.nodes[id]; id != 0 && (n.kind != Dir || n.flags&nodeSurrogate != 0) {
		return nil, pathError("readdir", name, ErrNotDirectory)
	}
	var list []fs.DirEntry
	for _, c := range f.view.children(id) {
		it, err := f.view.item(c)
		if err != nil {
			return list, pathError("readdir", name, err)
		}
		_, base := winfs.SplitPath(it.Path)
		list = append(list, fs.FileInfoToDirEntry(viewInfo{winfs.EscapeFSName(base), it}))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// ErrIsLink reports a symbolic link where a file is needed. [ViewFS.ReadLink]
// returns its target.
var ErrIsLink = errors.New("is a symbolic link")

// ReadFile returns the main stream of a file. It does not follow links, because the target
// of a Windows link is a path on the volume of the container: for a link the error is
// ErrIsLink.
func (f *ViewFS) ReadFile(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	if v, ok := file.(*viewFile); ok && v.info.Mode().Type() == fs.ModeSymlink {
		return nil, pathError("readfile", name, ErrIsLink)
	}
	defer file.Close()
	return io.ReadAll(file)
}

// reader opens the entry of a name and goes to a stream of it. An entry without a main stream
// has an empty one, for which reader returns nil.
func (f *ViewFS) reader(name, stream string) (Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	r, err := f.view.Open(f.view.tree.path(id))
	if err != nil {
		return nil, pathError("open", name, err)
	}
	_, err = r.Next()
	for err == nil {
		var s *Stream
		if s, err = r.NextStream(); err == nil && winfs.EqualFold(s.Name, stream) {
			return r, nil
		}
	}
	if err == io.EOF {
		err = nil
		if stream != "" {
			err = pathError("open", name+":"+stream, fs.ErrNotExist)
		}
	} else {
		err = pathError("open", name, err)
	}
	return nil, errors.Join(err, r.Close())
}

// viewInfo is the fs.FileInfo of an item.
type viewInfo struct {
	name string
	item *Item
}

func (i viewInfo) Name() string                 { return i.name }
func (i viewInfo) IsDir() bool                  { return i.Mode().IsDir() }
func (i viewInfo) Sys() any                     { return i }
func (i viewInfo) Item() *Item                  { return i.item }
func (i viewInfo) Attributes() winfs.Attributes { return i.item.Entry.Attributes }
func (i viewInfo) Times() winfs.Times           { return i.item.Entry.Times }
func (i viewInfo) Security() ([]byte, error)    { return i.item.Entry.Security, nil }
func (i viewInfo) Reparse() ([]byte, error)     { return i.item.Entry.Reparse, nil }

func (i viewInfo) EAs() ([]byte, error) {
	if len(i.item.Entry.EAs) == 0 {
		return nil, nil
	}
	return winfs.EncodeEAs(i.item.Entry.EAs)
}

// Size returns the length of the main stream, -1 where the layer does not know it.
func (i viewInfo) Size() int64 { return i.item.Entry.Size }

// ModTime returns the last-write time, the zero time if it is not set.
func (i viewInfo) ModTime() time.Time {
	if t := i.item.Entry.Times.LastWrite; t != 0 {
		return t.Time()
	}
	return time.Time{}
}

// Mode allows everyone to read, as a view cannot be written, and to search directories.
func (i viewInfo) Mode() fs.FileMode {
	e := &i.item.Entry
	switch {
	case isSurrogate(e):
		if p, err := winfs.ParseReparse(e.Reparse); err == nil && p.Tag == winfs.ReparseTagSymlink {
			return fs.ModeSymlink | 0o444
		}
		return fs.ModeIrregular | 0o444
	case e.Kind == Dir || e.Path == "":
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// viewFile is an open file. Its layer is opened by the first Read.
type viewFile struct {
	fsys *ViewFS
	name string
	info viewInfo

	r      Reader // nil before the first Read, and for an empty stream
	begun  bool
	closed bool
}

func (f *viewFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *viewFile) Read(p []byte) (int, error) {
	if f.closed {
		return 0, pathError("read", f.name, fs.ErrClosed)
	}
	if !f.begun {
		r, err := f.fsys.reader(f.name, "")
		if err != nil {
			return 0, err
		}
		f.r, f.begun = r, true
	}
	if f.r == nil {
		return 0, io.EOF
	}
	return f.r.Read(p)
}

// Close closes the layer. Closing twice is an error, as with an os.File.
func (f *viewFile) Close() error {
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	if f.r == nil {
		return nil
	}
	return f.r.Close()
}

func (f *viewFile) Streams() (list []Stream, err error) {
	f.fsys.mu.Lock()
	defer f.fsys.mu.Unlock()
	id, err := f.fsys.find("open", f.name)
	if err != nil {
		return nil, err
	}
	r, err := f.fsys.view.Open(f.fsys.view.tree.path(id))
	if err != nil {
		return nil, pathError("open", f.name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, err = r.Next(); err == nil; {
		var s *Stream
		if s, err = r.NextStream(); err == nil && s.Name != "" {
			list = append(list, *s)
		}
	}
	if err == io.EOF {
		return list, nil
	}
	return nil, pathError("open", f.name, err)
}

func (f *viewFile) OpenStream(name string) (io.ReadCloser, error) {
	if name == "" {
		return nil, pathError("open", f.name+":", fs.ErrInvalid)
	}
	r, err := f.fsys.reader(f.name, name)
	if err != nil {
		return nil, err
	}
	return &lockedReader{f.fsys, r}, nil
}

// lockedReader reads a stream, which of a directory is kept in the view.
type lockedReader struct {
	fsys *ViewFS
	Reader
}

func (r *lockedReader) Read(p []byte) (int, error) {
	r.fsys.mu.Lock()
	defer r.fsys.mu.Unlock()
	return r.Reader.Read(p)
}

// viewDir is an open directory.
type viewDir struct {
	*viewFile
	list  []fs.DirEntry // that are left
	begun bool
}

func (d *viewDir) Read([]byte) (int, error) {
	return 0, pathError("read", d.name, errors.New("is a directory"))
}

func (d *viewDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.begun {
		list, err := d.fsys.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.list, d.begun = list, true
	}
	if n <= 0 || n > len(d.list) {
		if n > 0 && len(d.list) == 0 {
			return nil, io.EOF
		}
		n = len(d.list)
	}
	out := d.list[:n:n]
	d.list = d.list[n:]
	return out, nil
}
