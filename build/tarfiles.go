package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The names by which a tar of image layers hides what is below it (OCI image specification,
// "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// tarFiles reads an ordinary tar as a layer whose paths begin below Files. Metadata that
// belongs to other systems, such as owners and modes, is not part of it.
type tarFiles struct {
	label string
	tr    *tar.Reader
	close func() error

	entry  layer.Entry
	stream layer.Stream
	index  int64
	state  streamState
	err    error
}

type streamState uint8

const (
	noStream streamState = iota
	beforeStream
	inStream
)

// openTar reads a tar from a blob, plain or compressed. A plain one that can seek is not read
// where nothing looks at it. Closing the reader closes rc.
func openTar(ctx context.Context, label string, rc io.ReadCloser, limits layer.Limits) (*tarFiles, error) {
	t := &tarFiles{label: label, close: rc.Close}
	if s, ok := rc.(io.ReadSeeker); ok {
		prefix := make([]byte, blob.DetectLength)
		n, err := io.ReadFull(s, prefix)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, errors.Join(err, rc.Close())
		}
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return nil, errors.Join(err, rc.Close())
		}
		if f, err := blob.Detect(prefix[:n]); err == nil && f == blob.Plain {
			t.tr = tar.NewReader(&seekable{ctxio.Reader(ctx, s), s})
			return t, nil
		}
	}
	b, err := blob.NewReader(ctx, rc, blob.WithCloser(rc), blob.WithLimits(limits))
	if err != nil {
		return nil, t.fail(err)
	}
	t.tr, t.close = tar.NewReader(b), b.Close
	return t, nil
}

// seekable reads with a context and seeks without.
type seekable struct {
	io.Reader
	io.Seeker
}

// Next implements layer.Reader.
func (t *tarFiles) Next() (*layer.Entry, error) {
	if t.err != nil {
		return nil, t.err
	}
	for {
		h, err := t.tr.Next()
		if err == io.EOF {
			t.err = io.EOF
			return nil, io.EOF
		}
		t.index++
		if err == nil {
			var skip bool
			if skip, err = t.describe(h); skip {
				continue
			}
		} else if errors.Is(err, tar.ErrHeader) || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
		}
		if err != nil {
			t.err = t.fail(err)
			return nil, t.err
		}
		return &t.entry, nil
	}
}

// describe makes an entry of a header; skip is set for one that is none.
func (t *tarFiles) describe(h *tar.Header) (skip bool, err error) {
	t.entry, t.state = layer.Entry{}, noStream
	if h.Typeflag == tar.TypeXGlobalHeader {
		return true, nil // of the archive, such as the commit that "git archive" writes
	}
	t.entry.Path = h.Name // for an error
	p, err := tarPath(h.Name)
	if err != nil {
		return false, err
	}
	if p == "" && h.Typeflag == tar.TypeDir {
		return true, nil
	}
	if err := winfs.ValidatePath(p); err != nil {
		return false, fmt.Errorf("%w: %w", ErrName, err)
	}
	t.entry.Path = p
	dir, base := winfs.SplitPath(p)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return false, t.whiteout(dir, base)
	}
	when, err := winfs.FiletimeFromTime(h.ModTime)
	if err != nil {
		return false, err
	}
	t.entry.Times = winfs.Times{Creation: when, LastAccess: when, LastWrite: when, Change: when}
	t.entry.Kind, t.entry.Attributes = layer.File, winfs.AttrArchive
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		t.entry.Size = h.Size
		t.state = beforeStream
	case tar.TypeDir:
		t.entry.Kind, t.entry.Attributes = layer.Dir, winfs.AttrDirectory
	case tar.TypeSymlink:
		t.entry.Attributes |= winfs.AttrReparsePoint
		t.entry.Reparse, err = winfs.EncodeSymlink(h.Linkname)
	case tar.TypeLink:
		t.entry.Kind = layer.Link
		if t.entry.Target, err = tarPath(h.Linkname); err == nil {
			err = winfs.ValidatePath(t.entry.Target)
		}
		if err != nil {
			err = fmt.Errorf("%w: %.200q: %w", layer.ErrLinkTarget, h.Linkname, err)
		}
	default:
		return false, fmt.Errorf("%w: %s", layer.ErrUnsupported, tarType(h.Typeflag))
	}
	return false, err
}

// tarType names a kind of entry that Windows does not have.
func tarType(flag byte) string {
	switch flag {
	case tar.TypeChar:
		return "a character device"
	case tar.TypeBlock:
		return "a block device"
	case tar.TypeFifo:
		return "a named pipe"
	}
	return fmt.Sprintf("an entry of type %q", flag)
}

func (t *tarFiles) whiteout(dir, base string) error {
	if base == opaqueName {
		t.entry.Path, t.entry.Kind = dir, layer.Opaque
		return nil
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || strings.HasPrefix(name, whiteoutPrefix) {
		return fmt.Errorf("%w: the whiteout %.200q", layer.ErrUnsupported, base)
	}
	t.entry.Path, t.entry.Kind = winfs.JoinPath(dir, name), layer.Whiteout
	return winfs.ValidatePath(t.entry.Path)
}

// tarPath returns a name of a tar as a path below Files, "" for the root. The slashes at the
// start that archives of a whole system have, and the dot of those of a directory, are no part
// of it.
func tarPath(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("%w: %.200q", ErrOutside, name)
		}
	}
	p := strings.TrimPrefix(path.Clean("/"+name), "/")
	if p == "" {
		return "", nil
	}
	if strings.ContainsRune(p, '\\') {
		return "", fmt.Errorf("%w: %.200q has a backslash", ErrName, name)
	}
	w, err := winfs.FromSlash(p)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	return w, nil
}

// NextStream implements layer.Reader.
func (t *tarFiles) NextStream() (*layer.Stream, error) {
	if t.err != nil && t.err != io.EOF {
		return nil, t.err
	}
	if t.state != beforeStream {
		t.state = noStream
		return nil, io.EOF
	}
	t.state, t.stream = inStream, layer.Stream{Size: t.entry.Size}
	return &t.stream, nil
}

// Read implements layer.Reader.
func (t *tarFiles) Read(p []byte) (int, error) {
	if t.state != inStream {
		return 0, io.EOF
	}
	n, err := t.tr.Read(p)
	if err != nil && err != io.EOF {
		t.err = t.fail(err)
		return n, t.err
	}
	return n, err
}

// Close implements layer.Reader.
func (t *tarFiles) Close() error {
	if t.err == nil || t.err == io.EOF {
		t.err = layer.ErrClosed
	}
	return t.close()
}

func (t *tarFiles) fail(err error) error {
	return &layer.Error{Op: "read tar", Layer: t.label, Entry: t.entry.Path, Index: t.index, Offset: -1, Err: err}
}
