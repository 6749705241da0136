// Package layout reads and writes images in folders that are OCI image layouts. Importing it
// makes package image understand oci:DIR[:TAG][@DIGEST].
package layout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// transport is that of oci: references.
type transport struct{}

func init() { image.Register(New()) }

// New returns the transport of OCI image layouts in folders, which importing the package
// registers.
func New() image.Transport { return transport{} }

func (transport) Scheme() string { return image.Layout }

func (transport) ParseReference(rest string) (image.Reference, error) {
	return ocilayout.ParseReference(rest)
}

func (transport) OpenSource(_ context.Context, ref image.Reference, _ layer.Limits) (image.Source, error) {
	root, err := openfile.Root(ref.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &missingError{fmt.Sprintf("no OCI layout: there is no directory %q", ref.Path)}
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("no OCI layout: %q is not a directory", ref.Path)
	case err != nil:
		return nil, err
	}
	return &source{root, ref.Name, ref.Digest}, nil
}

func (transport) OpenDestination(_ context.Context, ref image.Reference) (image.Destination, error) {
	if err := ocilayout.CheckTag(ref.Name); err != nil {
		return nil, err
	}
	return &destination{ref}, nil
}

// missingError is an fs.ErrNotExist error that says what is missing.
type missingError struct{ text string }

func (e *missingError) Error() string { return e.text }

// Is makes errors.Is(err, fs.ErrNotExist) hold.
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

// source is an OCI image layout in a folder.
type source struct {
	root   *os.Root
	tag    string
	digest digest.Digest
}

func (s *source) Roots(context.Context) ([]image.Descriptor, error) {
	return ocilayout.Roots(s.read, s.tag, s.digest, s.size)
}

// read reads a small file of the layout.
func (s *source) read(name string) ([]byte, error) {
	f, err := openRegular(s.root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missingError{fmt.Sprintf("no OCI layout: there is no file %q in the directory", name)}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, oci.MaxDocument+1))
	if err == nil && len(raw) > oci.MaxDocument {
		err = fmt.Errorf("%w: %s is larger than %d bytes", image.ErrManifest, name, oci.MaxDocument)
	}
	return raw, err
}

func (s *source) Open(_ context.Context, d image.Descriptor) (io.ReadCloser, error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return nil, err
	}
	f, err := openRegular(s.root, ocilayout.BlobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", image.ErrMissingBlob, d.Digest)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenRange implements image.RangeOpener.
func (s *source) OpenRange(ctx context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	rc, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	f, ok := rc.(*os.File)
	if !ok {
		return nil, errors.Join(image.ErrNoRanges, rc.Close())
	}
	return &part{io.NewSectionReader(f, off, n), f}, nil
}

// Local implements image.LocalSource: a blob is a file, and others are refused by OpenRange.
func (s *source) Local(d image.Descriptor) bool {
	info, err := s.root.Stat(ocilayout.BlobPath(d.Digest))
	return err == nil && info.Mode().IsRegular()
}

// part is a range of a file.
type part struct {
	io.Reader
	io.Closer
}

// size returns the size of a blob in bytes.
func (s *source) size(d digest.Digest) (int64, error) {
	info, err := s.root.Stat(ocilayout.BlobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %s", image.ErrMissingBlob, d)
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *source) Holds(d image.Descriptor) bool {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return false
	}
	_, err := s.size(d.Digest)
	return err == nil
}

func (s *source) Close() error { return s.root.Close() }

// openRegular opens a regular file of a layout for reading. A pipe in its place, which
// could keep a reader waiting for ever, is refused and not waited for.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := openfile.RegularIn(root, name)
	if errors.Is(err, openfile.ErrIrregular) {
		err = fmt.Errorf("%w: %s is not a regular file", image.ErrManifest, name)
	}
	return f, err
}
