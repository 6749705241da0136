package wintar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// ownedFile is a file that the reader has opened itself. Closing it twice is no error.
type ownedFile struct{ *os.File }

func (f ownedFile) Close() error {
	err := f.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// Open opens a layer tar, plain or compressed with gzip or zstd. With Verify the reader
// reports its end only if the file is the blob that was expected. In a plain file of which
// nothing was expected, streams that are not read are skipped by seeking. Close closes the
// file; ctx ends the decompression.
func Open(ctx context.Context, path string, opts ...Option) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	opts = append([]Option{Label(path)}, opts...)
	if o := gather(opts); len(o.blob) == 0 && isPlain(f) {
		return newReader(f, ownedFile{f}, o), nil
	}
	return NewCompressedReader(ctx, f, append(opts, Verify(blob.WithCloser(ownedFile{f})))...)
}

// isPlain reports whether a file is not compressed. A pipe, of which the first bytes can be
// read only once, counts as compressed, so that the reader of blobs detects its format.
func isPlain(f *os.File) bool {
	head := make([]byte, blob.DetectLength)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return false
	}
	format, err := blob.Detect(head[:n])
	return err == nil && format == blob.Plain
}

// NewCompressedReader returns a reader of a layer tar that is stored in src, plain or
// compressed with gzip or zstd. It reads ahead of the caller. Close does not close src;
// see blob.WithCloser.
func NewCompressedReader(ctx context.Context, src io.Reader, opts ...Option) (*Reader, error) {
	o := gather(opts)
	b, err := blob.NewReader(ctx, src, append([]blob.ReaderOption{blob.WithLimits(o.limits)}, o.blob...)...)
	if err != nil {
		return nil, err
	}
	return newReader(b, b, o), nil
}

// NewBlobReader returns a reader of the layer tar in a blob. It returns io.EOF only
// if the blob has the expected digest, size and diff ID. Close closes the blob.
func NewBlobReader(b *blob.Reader, opts ...Option) *Reader { return newReader(b, b, gather(opts)) }

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
