package content

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Archive is a tar archive as a source. Its files are in a temporary file, or stay in the
// archive if that is a plain file of the host; its names and links are in memory.
type Archive struct {
	name    string
	entries []Entry
	files   io.ReaderAt
	temp    io.Closer
}

// Close closes the temporary file.
func (a *Archive) Close() error {
	if a.temp == nil {
		return nil
	}
	return a.temp.Close()
}

// OpenArchive reads an archive to its end: a tar that may be compressed with gzip, bzip2 or
// zstd, which its content says, never its name. ok is false for anything else, as far as the
// first header, which an archive without entries has not: then it is an ordinary file, as for
// BuildKit. An archive that is xz is ErrXZ.
//
// r is the caller's. A file that is no compressed archive is read again where the contents of
// its files are needed, and must then be as long open as the archive is.
//
// The names of an archive stay in it: one that begins with a slash begins in the archive, and
// one with "..", or that leads through a link of the archive, is an error, as are two files
// whose names differ in case alone. Of two entries with the same name the later one counts, as
// when tar unpacks them. limits bound what is read: Entries, Depth, FileSize, TotalSize and,
// against bombs, Ratio.
func OpenArchive(ctx context.Context, name string, r io.Reader, limits layer.Limits) (_ *Archive, ok bool, err error) {
	limits = limits.WithDefaults()
	defer func() {
		if err != nil {
			err = wrap("read archive", name, err)
		}
	}()
	head := bufio.NewReaderSize(r, 64<<10)
	magic, err := head.Peek(6)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	if bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")) {
		return nil, false, ErrXZ
	}
	a := &Archive{name: name}
	var in io.Reader = head
	var at *io.SectionReader
	switch format, err := blob.Detect(magic); {
	case bytes.HasPrefix(magic, []byte("BZh")):
		packed := &counter{r: head}
		in = &expansion{r: bzip2.NewReader(packed), in: packed, limits: limits}
	case err != nil:
		return nil, false, nil // compressed in a way of which nothing is known
	case format != blob.Plain:
		b, err := blob.NewReader(ctx, head, blob.WithLimits(limits))
		if errors.Is(err, blob.ErrCorrupt) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		defer b.Close()
		in = b
	default:
		// A tar that is a file is left where it is.
		if f, ok := r.(*os.File); ok {
			if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
				at = io.NewSectionReader(f, 0, info.Size())
				in, a.files = at, f
			}
		}
	}
	plain := &counter{r: in}
	if at == nil {
		in = plain
	}
	t := tar.NewReader(in)
	first, err := t.Next()
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, layer.ErrLimit) {
			return nil, false, errors.Join(ctx.Err(), err)
		}
		return nil, false, nil
	}
	if at == nil {
		f, err := tempfile.Create("", "mullion-archive-*")
		if err != nil {
			return nil, false, err
		}
		a.files, a.temp = f, f
	}
	s := &scanner{a: a, ctx: ctx, t: t, at: at, limits: limits, index: map[string]known{}, linked: map[string]bool{},
		data: &expansion{r: t, in: plain, limits: limits}, plain: plain}
	if err := s.run(first); err != nil {
		return nil, false, errors.Join(err, a.Close())
	}
	return a, true, nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// expansion bounds what comes out of a decompressor, or of a tar with holes, which become
// zeros.
type expansion struct {
	r      io.Reader
	in     *counter
	out    int64
	limits layer.Limits
}

func (x *expansion) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	x.out += int64(n)
	if x.out > layer.RatioFloor && (x.out-layer.RatioFloor)/x.limits.Ratio > x.in.n {
		return n, &layer.LimitError{Limit: "Ratio", Max: x.limits.Ratio}
	}
	return n, err
}

// scanner reads the entries of an archive.
type scanner struct {
	a      *Archive
	ctx    context.Context
	t      *tar.Reader
	at     *io.SectionReader // the archive, if its files stay in it
	data   io.Reader         // the content of files that do not
	plain  io.Reader         // the decompressed archive
	limits layer.Limits
	index  map[string]known // by folded path
	linked map[string]bool  // folded paths of files with hard links
	names  int64            // bytes of them
	size   int64            // of all files
	stored int64            // bytes in the temporary file
}

// known is what the archive has at a path.
type known struct {
	i    int // number of the entry, or implied
	path string
}

// implied marks a directory that only its content names.
const implied = -1

// maxNames bounds the names of an archive, which compress well.
const maxNames = 256 << 20

func (s *scanner) run(h *tar.Header) error {
	for n := int64(1); ; n++ {
		if n > s.limits.Entries {
			return &layer.LimitError{Limit: "Entries", Max: s.limits.Entries}
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if err := s.entry(h); err != nil {
			return wrap("read archive "+s.a.name+": entry", h.Name, err)
		}
		var err error
		switch h, err = s.t.Next(); {
		case err == io.EOF:
			return s.rest()
		case err != nil && (s.ctx.Err() != nil || errors.Is(err, layer.ErrLimit)):
			return err
		case err != nil:
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
	}
}

// rest reads what is behind the last entry, because the checksums of a compressed archive come
// last. It may be zeros, of which tapes and tar leave some, or anything else.
func (s *scanner) rest() error {
	if s.at != nil {
		return nil
	}
	_, err := io.Copy(io.Discard, &canceled{s.ctx, s.plain})
	if err != nil && s.ctx.Err() == nil && !errors.Is(err, layer.ErrLimit) {
		err = fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return err
}

func (s *scanner) entry(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	p, err := s.path(h.Name)
	if err != nil {
		return err
	}
	if p == "" {
		return nil // the directory that everything is in
	}
	e := Entry{Path: winfs.ToSlash(p), ModTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, '7': // contiguous
		e.Kind = File
		if e.Content, err = s.content(h); err != nil {
			return err
		}
	case tar.TypeDir:
		e.Kind = Dir
	case tar.TypeSymlink:
		e.Kind, e.Target = Symlink, h.Linkname
		if h.Linkname == "" {
			return fmt.Errorf("%w: a symbolic link without target", ErrArchive)
		}
	case tar.TypeLink:
		target, err := s.path(h.Linkname)
		if err != nil {
			return fmt.Errorf("target %q: %w", h.Linkname, err)
		}
		to, ok := s.index[winfs.Fold(target)]
		if !ok || to.i == implied || s.a.entries[to.i].Kind != File && s.a.entries[to.i].Kind != Link {
			return fmt.Errorf("%w: %q is no file that comes before", layer.ErrLinkTarget, h.Linkname)
		}
		if winfs.EqualFold(target, p) {
			return nil // tar keeps the file
		}
		f := &s.a.entries[to.i]
		e.Kind, e.Target = Link, f.Path
		if f.Kind == Link {
			e.Target = f.Target
		}
		e.Content = f.Content
		s.linked[winfs.Fold(strings.ReplaceAll(e.Target, "/", `\`))] = true
	default:
		return fmt.Errorf("%w (type %q)", ErrSpecial, h.Typeflag)
	}
	return s.add(p, e)
}

// path validates a name of the archive.
func (s *scanner) path(name string) (string, error) {
	p, err := winfs.FromSlash(strings.TrimLeft(name, "/"))
	if err != nil {
		return "", err
	}
	if p != "" {
		if err := winfs.CheckPath(p); err != nil {
			return "", err
		}
	}
	return p, s.limits.CheckDepth(p)
}

// add puts an entry into the index, in place of one of the same name.
func (s *scanner) add(p string, e Entry) error {
	folded := winfs.Fold(p)
	if s.names += int64(len(folded) + len(p) + len(e.Target)); s.names > maxNames {
		return &layer.LimitError{Limit: "bytes of names", Max: maxNames}
	}
	ends, foldedEnds := slashes(e.Path, '/'), slashes(folded, '\\') // folding keeps the number of components
	for n := len(ends) - 1; n >= 0; n-- {
		spelled, key := e.Path[:ends[n]], folded[:foldedEnds[n]]
		up, ok := s.index[key]
		if !ok {
			if int64(len(s.index)) >= s.limits.Entries {
				return &layer.LimitError{Limit: "Entries", Max: s.limits.Entries}
			}
			s.index[key] = known{implied, spelled}
			continue
		}
		if up.i != implied && s.a.entries[up.i].Kind != Dir {
			return fmt.Errorf("%w: %s", layer.ErrNotDirectory, up.path)
		}
		if up.path != spelled {
			return fmt.Errorf("%w: %s", layer.ErrCaseConflict, up.path)
		}
		break // and so are those above
	}
	old, ok := s.index[folded]
	switch {
	case !ok:
	case old.path != e.Path:
		return fmt.Errorf("%w: %s", layer.ErrCaseConflict, old.path)
	case old.i == implied && e.Kind != Dir:
		return fmt.Errorf("%w: entries before it are inside of it", layer.ErrNotDirectory)
	case old.i == implied:
	case (s.a.entries[old.i].Kind == Dir) != (e.Kind == Dir):
		return fmt.Errorf("%w: the archive has a directory and another entry of this name", layer.ErrDuplicate)
	case e.Kind == Dir:
		s.a.entries[old.i] = e
		return nil
	case s.linked[folded]:
		return fmt.Errorf("%w: the archive replaces a file that has hard links", layer.ErrDuplicate)
	default:
		s.a.entries[old.i].Path = ""
	}
	s.index[folded] = known{len(s.a.entries), e.Path}
	s.a.entries = append(s.a.entries, e)
	return nil
}

// slashes returns the places of separators.
func slashes(path string, separator byte) (out []int) {
	for i := range len(path) {
		if path[i] == separator {
			out = append(out, i)
		}
	}
	return out
}

// content keeps the content of a file.
func (s *scanner) content(h *tar.Header) (*section, error) {
	switch {
	case h.Size < 0:
		return nil, fmt.Errorf("%w: size %d", ErrArchive, h.Size)
	case h.Size > s.limits.FileSize:
		return nil, &layer.LimitError{Limit: "FileSize", Max: s.limits.FileSize}
	case h.Size > s.limits.TotalSize-s.size:
		return nil, &layer.LimitError{Limit: "TotalSize", Max: s.limits.TotalSize}
	}
	s.size += h.Size
	c := &section{r: s.a.files, size: h.Size}
	sparse := h.Typeflag == tar.TypeGNUSparse
	for k := range h.PAXRecords {
		sparse = sparse || strings.HasPrefix(k, "GNU.sparse.")
	}
	if s.at != nil && !sparse {
		at, err := s.at.Seek(0, io.SeekCurrent)
		c.at = at
		return c, err
	}
	if s.a.temp == nil {
		return nil, fmt.Errorf("%w: a sparse file in a plain archive; compress the archive", ErrArchive)
	}
	c.at = s.stored
	n, err := io.Copy(&appender{s.a.files.(io.WriterAt), s.stored}, &canceled{s.ctx, s.data})
	s.stored += n
	if err == nil && n != h.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && s.ctx.Err() == nil && !errors.Is(err, layer.ErrLimit) {
		var p *fs.PathError
		if !errors.As(err, &p) { // the fault of the archive, not of the disk
			err = fmt.Errorf("%w: %w", ErrArchive, err)
		}
	}
	return c, err
}

type appender struct {
	w  io.WriterAt
	at int64
}

func (a *appender) Write(p []byte) (int, error) {
	n, err := a.w.WriteAt(p, a.at)
	a.at += int64(n)
	return n, err
}

type canceled struct {
	ctx context.Context
	r   io.Reader
}

func (c *canceled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// section is the content of a file in an archive.
type section struct {
	r        io.ReaderAt
	at, size int64
}

func (s *section) Size() int64 { return s.size }
func (s *section) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.r, s.at, s.size)), nil
}

// Match is for sources whose parts can be copied; an archive is copied as a whole.
func (a *Archive) Match(_ context.Context, pattern string) ([]string, error) {
	return []string{pattern}, nil
}

// Walk yields the whole archive, name ".".
func (a *Archive) Walk(ctx context.Context, name string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		if name != "." {
			yield(nil, &Error{"read archive", name, fs.ErrNotExist})
			return
		}
		if !yield(&Entry{Path: ".", Kind: Dir, ModTime: time.Time{}}, nil) {
			return
		}
		for i := range a.entries {
			e := a.entries[i]
			if e.Path == "" {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(&e, nil) {
				return
			}
		}
	}
}
