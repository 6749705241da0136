package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
)

// maxArchiveFiles bounds the table of contents of an archive.
const maxArchiveFiles = 1 << 20

// An archive is a tar file with a table of contents, so that its files are read
// in place and nothing is held in memory.
type archive struct {
	file  archiveData
	files map[string]archiveFile
}

// archiveData are the bytes of a tar: a file, or a temporary one if the archive is
// compressed.
type archiveData interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
	Stat() (fs.FileInfo, error)
}

// archiveFile is a file in an archive: a range of bytes, or another name.
type archiveFile struct {
	offset, size int64
	link         string // name of the file that holds the bytes, "" if it is this one
}

// openArchive reads the table of contents of a tar file. A compressed one is
// decompressed to a temporary file first.
func openArchive(ctx context.Context, name string, limits layer.Limits) (*archive, error) {
	f, err := openfile.Regular(name)
	if errors.Is(err, openfile.ErrIrregular) {
		err = fmt.Errorf("%w: not a regular file", image.ErrArchive)
	}
	if err != nil {
		return nil, err
	}
	a := &archive{file: f, files: map[string]archiveFile{}}
	if err = a.decompress(ctx, limits); err == nil {
		err = a.index(ctx)
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// decompress replaces a compressed archive by a temporary file.
func (a *archive) decompress(ctx context.Context, limits layer.Limits) error {
	head := make([]byte, 6)
	n, err := a.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	format, err := blob.Detect(head[:n])
	if err != nil || format == blob.Plain {
		return err
	}
	r, err := blob.NewReader(ctx, a.file, blob.WithLimits(limits))
	if err != nil {
		return err
	}
	defer r.Close()
	spool, err := tempfile.Create("", "mullion-archive-")
	if err != nil {
		return err
	}
	_, err = io.Copy(spool, r)
	packed := a.file
	a.file = spool
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	return errors.Join(err, packed.Close())
}

// index reads all headers. tar.Reader seeks over the data between them.
func (a *archive) index(ctx context.Context) error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	tr := tar.NewReader(a.file)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %v", image.ErrArchive, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Clean(h.Name)
		f := archiveFile{size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg:
			if f.offset, err = a.file.Seek(0, io.SeekCurrent); err != nil {
				return err
			}
			if f.size > info.Size()-f.offset {
				return fmt.Errorf("%w: %.200q is cut off", image.ErrArchive, name)
			}
		case tar.TypeGNUSparse:
			return fmt.Errorf("%w: %.200q is sparse", image.ErrArchive, name)
		case tar.TypeSymlink: // docker save wrote a layer that it had written before so
			f.link = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeLink:
			f.link = path.Clean(h.Linkname)
		default:
			continue
		}
		if _, twice := a.files[name]; twice {
			return fmt.Errorf("%w: %.200q is there twice", image.ErrArchive, name)
		}
		if len(a.files) >= maxArchiveFiles {
			return &layer.LimitError{Limit: "archive files", Max: maxArchiveFiles}
		}
		a.files[name] = f
	}
}

// lookup finds a file, following other names.
func (a *archive) lookup(name string) (archiveFile, bool) {
	for range 8 {
		f, ok := a.files[name]
		if !ok || f.link == "" {
			return f, ok
		}
		name = f.link
	}
	return archiveFile{}, false
}

func (a *archive) open(name string) (*io.SectionReader, error) {
	f, ok := a.lookup(path.Clean(name))
	if !ok {
		return nil, fmt.Errorf("%w: no file %.200q", image.ErrArchive, name)
	}
	return io.NewSectionReader(a.file, f.offset, f.size), nil
}

// openRange opens a part of a file.
func (a *archive) openRange(name string, off, n int64) (io.ReadCloser, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(r, off, n)), nil
}

// read reads a small file.
func (a *archive) read(name string) ([]byte, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if r.Size() > oci.MaxDocument {
		return nil, fmt.Errorf("%w: %.200q is larger than %d bytes", image.ErrManifest, name, oci.MaxDocument)
	}
	return io.ReadAll(r)
}

func (a *archive) close() error { return a.file.Close() }
