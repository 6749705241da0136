package scan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
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

// systemFS is the C: drive of a system as SCALIBR's file system.
type systemFS struct {
	ctx context.Context
	s   inventory.System
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

// Open opens a file or directory. A file of up to maxText bytes is in memory, a larger one, of
// at most maxBinary, in a temporary file.
func (s systemFS) Open(name string) (_ fs.File, err error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
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
	content *tempfile.File
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return f.content.Close() }

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
