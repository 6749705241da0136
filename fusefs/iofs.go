package fusefs

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/winfs"
)

// Metadata may be returned by FileInfo.Sys of an io/fs file system to show Windows
// metadata, as that of a CimFS image does.
type Metadata interface {
	Attributes() winfs.Attributes
	Times() winfs.Times
	Security() ([]byte, error)
	EAs() ([]byte, error)
	Reparse() ([]byte, error)
}

// FSTree returns the tree of any io/fs file system, which must not change while it is
// shown. Where FileInfo.Sys is a [Metadata], a file has that; otherwise it has
// the time of its last change, and is read-only if its mode has no write permission. Symbolic
// links are shown where the file system is a fs.ReadLinkFS.
//
// Names are found without regard to case, a name in its own spelling first. io/fs has
// no hard links, so every name is a file of its own; inode numbers are assigned as
// names are met, and kept, some 100 bytes each, so that no two calls give trees of the same
// identity. A file that can neither be read at an offset
// nor be sought in is copied to a temporary file as far as it is read.
func FSTree(fsys fs.FS) Tree {
	return &ioTree{fsys: fsys, ids: map[string]uint64{}, identity: "io/fs " + rand.Text()}
}

type ioTree struct {
	fsys     fs.FS
	identity string
	mu       sync.Mutex
	ids      map[string]uint64
	names    []string // by ID, from 1
}

// id numbers the paths in the order in which they are met.
func (t *ioTree) id(name string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, ok := t.ids[name]
	if !ok {
		id = uint64(len(t.ids) + 1)
		t.ids[name] = id
		t.names = append(t.names, name)
	}
	return id
}

func (t *ioTree) Root() (File, error) {
	info, err := fs.Stat(t.fsys, ".")
	if err != nil {
		return nil, err
	}
	return t.open(".", info), nil
}

func (t *ioTree) Identity() string { return t.identity }

// File returns the file with an ID that was given before.
func (t *ioTree) File(id uint64) (File, error) {
	t.mu.Lock()
	if id == 0 || id > uint64(len(t.names)) {
		t.mu.Unlock()
		return nil, fs.ErrNotExist
	}
	name := t.names[id-1]
	t.mu.Unlock()
	info, err := fs.Lstat(t.fsys, name)
	if err != nil {
		return nil, err
	}
	return t.open(name, info), nil
}

func (t *ioTree) open(name string, info fs.FileInfo) *ioFile {
	meta, _ := info.Sys().(Metadata)
	return &ioFile{tree: t, name: name, info: info, id: t.id(name), meta: meta}
}

type ioFile struct {
	tree *ioTree
	name string // path in the file system
	info fs.FileInfo
	id   uint64
	meta Metadata // or nil

	once     sync.Once
	children []fs.DirEntry // sorted without regard to case
	err      error
}

func (f *ioFile) ID() uint64             { return f.id }
func (f *ioFile) IsDir() bool            { return f.info.IsDir() }
func (f *ioFile) NumLinks() (int, error) { return 1, nil }

func (f *ioFile) Size() int64 {
	if !f.info.Mode().IsRegular() && f.meta == nil {
		return 0
	}
	return f.info.Size()
}

func (f *ioFile) Attributes() winfs.Attributes {
	if f.meta != nil {
		return f.meta.Attributes()
	}
	var a winfs.Attributes
	mode := f.info.Mode()
	if mode.IsDir() {
		a |= winfs.AttrDirectory
	}
	if mode&fs.ModeSymlink != 0 {
		a |= winfs.AttrReparsePoint
	}
	if mode.IsRegular() && mode.Perm()&0o222 == 0 {
		a |= winfs.AttrReadOnly
	}
	if a == 0 {
		a = winfs.AttrArchive
	}
	return a
}

// Times returns the one time that io/fs knows as all four. A time that Windows cannot write is
// not set.
func (f *ioFile) Times() winfs.Times {
	if f.meta != nil {
		return f.meta.Times()
	}
	t, err := winfs.FiletimeFromTime(f.info.ModTime())
	if err != nil || f.info.ModTime().IsZero() {
		return winfs.Times{}
	}
	return winfs.Times{Creation: t, LastAccess: t, LastWrite: t, Change: t}
}

func (f *ioFile) Security() ([]byte, error) {
	if f.meta == nil {
		return nil, nil
	}
	return f.meta.Security()
}

func (f *ioFile) EAs() ([]byte, error) {
	if f.meta == nil {
		return nil, nil
	}
	return f.meta.EAs()
}

func (f *ioFile) Reparse() ([]byte, error) {
	if f.meta != nil {
		return f.meta.Reparse()
	}
	if f.info.Mode()&fs.ModeSymlink == 0 {
		return nil, nil
	}
	target, err := fs.ReadLink(f.tree.fsys, f.name)
	if err != nil {
		return nil, err
	}
	return winfs.EncodeSymlink(strings.ReplaceAll(target, "/", `\`))
}

// list reads a directory once.
func (f *ioFile) list() ([]fs.DirEntry, error) {
	f.once.Do(func() {
		list, err := fs.ReadDir(f.tree.fsys, f.name)
		slices.SortFunc(list, func(a, b fs.DirEntry) int {
			return cmp.Or(winfs.CompareFold(a.Name(), b.Name()), strings.Compare(a.Name(), b.Name()))
		})
		f.children, f.err = list, err
	})
	return f.children, f.err
}

func (f *ioFile) Child(name string) (File, error) {
	if !f.IsDir() {
		return nil, fs.ErrNotExist
	}
	list, err := f.list()
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(list, name, func(e fs.DirEntry, name string) int { return winfs.CompareFold(e.Name(), name) })
	if !found {
		return nil, fs.ErrNotExist
	}
	e := list[i]
	for _, other := range list[i:] { // the same spelling, where there are several
		if !winfs.EqualFold(other.Name(), name) {
			break
		}
		if other.Name() == name {
			e = other
			break
		}
	}
	info, err := e.Info()
	if err != nil {
		return nil, err
	}
	return f.tree.open(path.Join(f.name, e.Name()), info), nil
}

func (f *ioFile) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		list, err := f.list()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for _, e := range list {
			known := e.Type()&(fs.ModeSymlink|fs.ModeIrregular) == 0
			if !yield(Entry{Name: e.Name(), ID: f.tree.id(path.Join(f.name, e.Name())), Dir: e.IsDir(), DirKnown: known}, nil) {
				return
			}
		}
	}
}

func (f *ioFile) Streams() ([]Stream, error) { return nil, nil }

func (f *ioFile) Open() (Stream, error) {
	file, err := f.tree.fsys.Open(f.name)
	if err != nil {
		return nil, err
	}
	s := &ioStream{file: file, size: f.Size()}
	if r, ok := file.(io.ReaderAt); ok {
		s.at = r
	} else if r, ok := file.(io.ReadSeeker); ok {
		s.at = &soughtFile{r: r}
	} else {
		temp, err := tempfile.Create("", "mullion-file-")
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		c := &copiedFile{r: file, temp: temp}
		s.at, s.copy = c, c
	}
	// Who does not call Close has it done when the stream is gone.
	s.cleanup = runtime.AddCleanup(s, func(o ioOpen) { o.close() }, ioOpen{file, s.copy})
	return s, nil
}

// ioStream is an open file. It can be closed, and closes itself when it is forgotten.
type ioStream struct {
	at      io.ReaderAt
	file    fs.File
	copy    *copiedFile
	size    int64
	cleanup runtime.Cleanup
}

type ioOpen struct {
	file fs.File
	copy *copiedFile
}

func (o ioOpen) close() error {
	err := o.file.Close()
	if o.copy != nil {
		err = errors.Join(err, o.copy.close())
	}
	return err
}

var _ io.Closer = (*ioStream)(nil)

func (s *ioStream) Name() string { return "" }
func (s *ioStream) Size() int64  { return s.size }

func (s *ioStream) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.at.ReadAt(p, off)
	runtime.KeepAlive(s)
	return n, err
}

func (s *ioStream) Close() error {
	s.cleanup.Stop()
	return ioOpen{s.file, s.copy}.close()
}

// soughtFile reads at an offset by going there.
type soughtFile struct {
	mu sync.Mutex
	r  io.ReadSeeker
}

func (f *soughtFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	return endOfFile(io.ReadFull(f.r, p))
}

// copiedFile copies a file that can only be read sequentially to a temporary file, up to
// the furthest offset that was asked for.
type copiedFile struct {
	mu   sync.Mutex
	r    io.Reader
	temp *tempfile.File
	have int64
	err  error // that ended the copy
}

func (f *copiedFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := off + int64(len(p)) - f.have; want > 0 && f.err == nil {
		n, err := io.CopyN(f.temp, f.r, want)
		f.have += n
		f.err = err
	}
	if f.err != nil && f.err != io.EOF && off+int64(len(p)) > f.have {
		return 0, f.err
	}
	return f.temp.ReadAt(p, off)
}

func (f *copiedFile) close() error { return f.temp.Close() }

// endOfFile is the result of io.ReaderAt for a short read.
func endOfFile(n int, err error) (int, error) {
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}
