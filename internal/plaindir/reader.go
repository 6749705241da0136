package plaindir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Options tell what an entry gets that the host does not know.
type Options struct {
	// FileSecurity and DirSecurity are the self-relative descriptors of all files
	// and directories, nil for none.
	FileSecurity, DirSecurity []byte
}

// Reader yields the content of a directory as a layer.
type Reader struct {
	root  *os.Root
	name  string
	opts  Options
	stack []frame
	links map[inode]string // files with several names

	entry   layer.Entry
	path    string // of the entry, with slashes
	state   streamState
	file    *os.File
	left    int64
	current layer.Stream
	err     error
}

// frame is a directory on the way to the current entry.
type frame struct {
	slash, path string
	names       []string // still to come
}

type streamState uint8

const (
	noStream streamState = iota
	beforeStream
	inStream
)

var _ layer.Reader = (*Reader)(nil)

// Open returns a reader of the directory dir. Names are yielded in the order of
// NTFS, which is also how collisions of names that differ only in case are found.
// The caller closes it.
func Open(dir string, opts Options) (*Reader, error) {
	root, err := openfile.Root(dir)
	if err != nil {
		return nil, err
	}
	r := &Reader{root: root, name: dir, opts: opts, links: map[inode]string{}}
	if err := r.push(".", ""); err != nil {
		root.Close()
		return nil, err
	}
	return r, nil
}

// push lists a directory.
func (r *Reader) push(slash, winPath string) error {
	f, err := r.root.Open(slash)
	if err != nil {
		return r.fail(winPath, err)
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return r.fail(winPath, err)
	}
	fr := frame{slash: slash, path: winPath, names: make([]string, 0, len(list))}
	for _, d := range list {
		fr.names = append(fr.names, d.Name())
	}
	slices.SortFunc(fr.names, winfs.CompareFold)
	for i, n := range fr.names {
		if err := winfs.ValidateComponent(n); err != nil {
			return r.fail(winPath, err)
		}
		if i > 0 && winfs.EqualFold(fr.names[i-1], n) {
			return r.fail(winfs.JoinPath(winPath, n), fmt.Errorf("%w: %q", layer.ErrCaseConflict, fr.names[i-1]))
		}
	}
	r.stack = append(r.stack, fr)
	return nil
}

// Next returns the next entry.
func (r *Reader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.next(); err != nil {
		r.err = err
		return nil, err
	}
	return &r.entry, nil
}

func (r *Reader) next() error {
	r.closeFile()
	r.state = noStream
	for len(r.stack[len(r.stack)-1].names) == 0 {
		if r.stack = r.stack[:len(r.stack)-1]; len(r.stack) == 0 {
			return io.EOF
		}
	}
	top := &r.stack[len(r.stack)-1]
	name := top.names[0]
	top.names = top.names[1:]
	slash, win := path.Join(top.slash, name), winfs.JoinPath(top.path, name)
	if err := winfs.ValidatePath(win); err != nil {
		return r.fail(win, err)
	}
	info, err := r.root.Lstat(slash)
	if err != nil {
		return r.fail(win, err)
	}
	return r.describe(slash, win, info)
}

func (r *Reader) describe(slash, win string, info fs.FileInfo) error {
	t, err := winfs.FiletimeFromTime(info.ModTime())
	if err != nil {
		return r.fail(win, err)
	}
	r.path = slash
	r.entry = layer.Entry{Path: win, Kind: layer.File, Attributes: winfs.AttrArchive, Security: r.opts.FileSecurity,
		Times: winfs.Times{Creation: t, LastAccess: t, LastWrite: t, Change: t}}
	switch {
	case info.IsDir():
		r.entry.Kind, r.entry.Attributes, r.entry.Security = layer.Dir, winfs.AttrDirectory, r.opts.DirSecurity
		return r.push(slash, win)
	case info.Mode()&fs.ModeSymlink != 0:
		return r.symlink(slash, win)
	case !info.Mode().IsRegular():
		return r.fail(win, fmt.Errorf("%w: %v is not a file, directory or symbolic link", layer.ErrUnsupported, info.Mode()))
	}
	if id, several := inodeOf(info); several {
		if first, ok := r.links[id]; ok {
			r.entry = layer.Entry{Path: win, Kind: layer.Link, Target: first, Attributes: r.entry.Attributes, Times: r.entry.Times}
			return nil
		}
		r.links[id] = win
	}
	r.entry.Size = info.Size()
	r.state = beforeStream
	return nil
}

// symlink makes a Windows symbolic link, for which it must be known whether the
// target is a directory. What is outside or is not there counts as a file.
func (r *Reader) symlink(slash, win string) error {
	target, err := r.root.Readlink(slash)
	if err != nil {
		return r.fail(win, err)
	}
	if r.entry.Reparse, err = winfs.EncodeSymlink(target); err != nil {
		return r.fail(win, err)
	}
	r.entry.Attributes |= winfs.AttrReparsePoint
	if info, err := r.root.Stat(slash); err == nil && info.IsDir() {
		r.entry.Kind, r.entry.Security = layer.Dir, r.opts.DirSecurity
		r.entry.Attributes = winfs.AttrDirectory | winfs.AttrReparsePoint
	}
	return nil
}

// NextStream returns the main stream of a file, once.
func (r *Reader) NextStream() (*layer.Stream, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if r.state != beforeStream {
		r.closeFile()
		r.state = noStream
		return nil, io.EOF
	}
	f, err := r.root.Open(r.path)
	if err != nil {
		r.err = r.fail(r.entry.Path, err)
		return nil, r.err
	}
	r.file, r.left, r.state = f, r.entry.Size, inStream
	r.current = layer.Stream{Size: r.entry.Size}
	return &r.current, nil
}

// Read reads the current stream. A file that has become shorter in the meantime
// gives io.ErrUnexpectedEOF; of one that has grown the first part is read.
func (r *Reader) Read(p []byte) (int, error) {
	if r.state != inStream || r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.file.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err == io.EOF {
		if n > 0 {
			return n, nil
		}
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		r.err = r.fail(r.entry.Path, err)
		return n, r.err
	}
	return n, nil
}

// Close releases the directory.
func (r *Reader) Close() error {
	r.closeFile()
	if r.err == nil || errors.Is(r.err, io.EOF) {
		r.err = layer.ErrClosed
	}
	return r.root.Close()
}

func (r *Reader) closeFile() {
	if r.file != nil {
		r.file.Close() // it was only read
		r.file = nil
	}
}

func (r *Reader) fail(winPath string, err error) error {
	return &layer.Error{Op: "read directory", Layer: strings.TrimSuffix(r.name, "/"), Entry: winPath, Offset: -1, Err: err}
}
