package cimfs

import (
	"errors"
	"io"
	"os"

	"github.com/mullion/mullion/internal/openfile"
)

// Source is one open file of an image. Its methods may be called from several
// goroutines at once.
type Source interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes; it does not change.
	Size() int64
}

// Opener opens the files of an image and of its parents, which all have plain
// names and are in one place. For a missing file it returns an error for which
// errors.Is(err, fs.ErrNotExist) holds. It may be called from several goroutines
// at once.
type Opener interface {
	OpenFile(name string) (Source, error)
}

// RootOpener returns an opener of the files of one directory, from which no name in a
// hostile image and no symbolic link leads out. The caller closes root, when nothing
// is opened any more.
func RootOpener(root *os.Root) Opener { return rootOpener{root} }

type rootOpener struct{ root *os.Root }

type fileSource struct {
	*os.File
	size int64
}

func (f *fileSource) Size() int64 { return f.size }

func (o rootOpener) OpenFile(name string) (Source, error) {
	f, err := openfile.RegularIn(o.root, name)
	if errors.Is(err, openfile.ErrIrregular) {
		err = &os.PathError{Op: "open", Path: name, Err: because(ErrNotImage, "not a regular file")}
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileSource{f, st.Size()}, nil
}
