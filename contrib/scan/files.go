package scan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	scalibrfs "github.com/google/osv-scalibr/fs"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/inventory"
)

type allFiles = scalibrfs.FS

// infoOf describes a file to an extractor.
type infoOf struct {
	name string
	size int64
}

func (i infoOf) Name() string     { return path.Base(i.name) }
func (i infoOf) Size() int64      { return i.size }
func (infoOf) Mode() fs.FileMode  { return 0o444 }
func (infoOf) ModTime() time.Time { return time.Time{} }
func (infoOf) IsDir() bool        { return false }
func (infoOf) Sys() any           { return nil }

// fileOf asks an extractor about a file.
type fileOf struct {
	name string
	size int64
}

func (f fileOf) Path() string               { return f.name }
func (f fileOf) Stat() (fs.FileInfo, error) { return infoOf(f), nil }

// newReader returns a reader of content that ends with ctx.
func newReader(ctx context.Context, content io.ReaderAt, size int64) *reader {
	at := endingReaderAt{ctx, content}
	return &reader{io.NewSectionReader(at, 0, size)}
}

// reader has the methods that extractors ask for: Read, ReadAt and Seek.
type reader struct{ *io.SectionReader }

type endingReaderAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (r endingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.ReadAt(p, off)
}

// noFiles is the file system of an extractor that opens no other file than its own.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) { return nil, missing("open", name) }

func (noFiles) ReadDir(name string) ([]fs.DirEntry, error) { return nil, missing("readdir", name) }

func (noFiles) Stat(name string) (fs.FileInfo, error) { return nil, missing("stat", name) }

func missing(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// keptFile is a file whose content is in cataloger.kept.
type keptFile struct {
	path      string // in the layer
	off, size int64
}

// keep copies a file to the end of c.kept.
func (c *cataloger) keep(ctx context.Context, f *inventory.File) (err error) {
	if c.kept == nil {
		if c.kept, err = tempfile.Create("", "mullion-scan-"); err != nil {
			return err
		}
	}
	to := io.NewOffsetWriter(c.kept, c.end)
	if _, err := io.Copy(to, ctxio.Reader(ctx, io.NewSectionReader(f.Content, 0, f.Size))); err != nil {
		return err
	}
	c.later = append(c.later, keptFile{f.Path, c.end, f.Size})
	c.end += f.Size
	return nil
}

// contentOf returns the content of a kept file.
func (c *cataloger) contentOf(f keptFile) io.ReaderAt {
	return io.NewSectionReader(c.kept, f.off, f.size)
}

// systemFS is the C: drive of a system as SCALIBR's file system. Files that the cataloger has
// kept are not searched in their layers, and others are missing where it opens only its own.
type systemFS struct {
	ctx       context.Context
	s         inventory.System
	cataloger *cataloger
}

// find returns a kept file.
func (s systemFS) find(name string) (keptFile, bool) {
	later := s.cataloger.later // sorted by path
	at, ok := slices.BinarySearchFunc(later, drive+strings.ReplaceAll(name, "/", `\`), func(f keptFile, p string) int { return strings.Compare(f.path, p) })
	if !ok {
		return keptFile{}, false
	}
	return later[at], true
}

func below(name string) string { return path.Join("Files", name) }

func (s systemFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return fs.ReadDir(s.s, below(name))
}

func (s systemFS) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return fs.Stat(s.s, below(name))
}

// Open opens a directory, or a copy of a file of at most maxBinary bytes.
func (s systemFS) Open(name string) (_ fs.File, err error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if f, ok := s.find(name); ok {
		return &openFile{newReader(s.ctx, s.cataloger.contentOf(f), f.size), infoOf{name, f.size}, nil}, nil
	}
	if s.cataloger.own {
		return nil, missing("open", name)
	}
	f, err := s.s.Open(below(name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.IsDir() {
		return f, nil
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info.Size() > maxBinary {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errTooLarge}
	}
	content, err := spool(s.ctx, f, info.Size())
	if err != nil {
		return nil, err
	}
	return &openFile{newReader(s.ctx, content, info.Size()), info, content}, nil
}

var errTooLarge = errors.New("more than 1 GiB")

// openFile is a file whose content was copied.
type openFile struct {
	*reader
	info    fs.FileInfo
	content *tempfile.File // nil for a kept file
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *openFile) Close() error {
	if f.content == nil {
		return nil
	}
	return f.content.Close()
}

// spool copies size bytes of r into a temporary file.
func spool(ctx context.Context, r io.Reader, size int64) (*tempfile.File, error) {
	t, err := tempfile.Create("", "mullion-scan-")
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(t, ctxio.Reader(ctx, r), size); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}
