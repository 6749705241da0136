package wintar

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// ownedFile is a file that the reader or writer has opened itself.
type ownedFile struct{ *os.File }

func (f ownedFile) close() error {
	err := f.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// Open opens an uncompressed layer tar. Close closes the file.
func Open(path string, opts ...Option) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return NewReader(ownedFile{f}, append([]Option{Label(path)}, opts...)...), nil
}

// Create returns a writer of a new file. Commit makes the file durable and renames it to
// path; without a Commit, Close leaves no file. If path exists, the error is
// layer.ErrExists unless Overwrite is set. After an error nothing new exists at path,
// except in one case: a file that replaced another, and whose name could not be made
// durable.
func Create(path string, opts ...Option) (*Writer, error) {
	o := gather(opts)
	f, err := publish.Create(path, publish.Options{Replace: o.overwrite})
	if err != nil {
		return nil, &layer.Error{Op: "create tar", Layer: path, Offset: -1, Err: exists(err)}
	}
	w := NewWriter(f, opts...)
	w.out = f
	w.label = path
	return w, nil
}

// exists returns package layer's error for an existing name.
func exists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", layer.ErrExists, err)
	}
	return err
}

var _ io.Seeker = ownedFile{}
