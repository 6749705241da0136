package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// layersSystem is the system of a chain of layers.
type layersSystem struct {
	ctx   context.Context
	c     chain
	chain []hives.Layer // base first
	keys  *hives.KeyLayers
	hives map[hives.Name]openHive
	spool spool

	rereads atomic.Int64 // files that were opened in their layers with the spool full

	mu      sync.Mutex // guards view and viewErr
	view    *layer.View
	viewErr error
}

type openHive struct {
	hive *regf.Hive
	err  error
}

func newLayersSystem(ctx context.Context, c chain) *layersSystem {
	return &layersSystem{ctx: ctx, c: c, chain: c.hives, hives: map[hives.Name]openHive{},
		spool: spool{names: map[string]filePlace{}, files: map[filePlace]*spooledFile{}}}
}

// tree returns the merged tree, which is made when it is needed first.
func (s *layersSystem) tree() (*layer.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view == nil && s.viewErr == nil {
		s.view, s.viewErr = s.c.union()
	}
	return s.view, s.viewErr
}

// Hive implements System.
func (s *layersSystem) Hive(n hives.Name) (*regf.Hive, error) {
	if h, ok := s.hives[n]; ok {
		return h.hive, h.err
	}
	h, err := hives.ChainView(s.ctx, s.chain, n)
	s.hives[n] = openHive{h, err}
	return h, err
}

// Users implements System.
func (s *layersSystem) Users() iter.Seq2[User, error] { return users(s) }

// Layer implements System.
func (s *layersSystem) Layer(name string) int {
	if f := s.spool.find(name); f != nil {
		return f.place.layer
	}
	info, err := s.Stat(name)
	if err != nil {
		return -1
	}
	if w, ok := info.(layer.WindowsInfo); ok {
		return w.Item().Layer
	}
	return -1
}

// KeyLayer implements System.
func (s *layersSystem) KeyLayer(n hives.Name, key string) int {
	if s.keys == nil {
		s.keys = hives.NewKeyLayers(s.chain)
	}
	number, err := s.keys.Top(n, key)
	if err != nil {
		return -1 // the hive itself has no layer then, which Hive has reported
	}
	return number
}

// Open implements fs.FS.
func (s *layersSystem) Open(name string) (fs.File, error) {
	if f := s.spool.find(name); f != nil {
		return &openSpooled{f: f, name: path.Base(name), r: s.spool.reader(f)}, nil
	}
	if s.spool.full && !s.reread() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errRereads}
	}
	v, err := s.tree()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return v.FS().Open(name)
}

// maxRereads is the number of files that are opened in their layers when the spool is full:
// each can cost the reading of a layer.
const maxRereads = 64

var errRereads = fmt.Errorf("the files to look at have more than %d bytes, and %d more were read from their layers again; the rest is left out", spoolSize, maxRereads)

// reread reports whether one more file may be opened in its layer.
func (s *layersSystem) reread() bool { return s.rereads.Add(1) <= maxRereads }

// Stat implements fs.StatFS.
func (s *layersSystem) Stat(name string) (fs.FileInfo, error) {
	v, err := s.tree()
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return v.FS().Stat(name)
}

// ReadDir implements fs.ReadDirFS.
func (s *layersSystem) ReadDir(name string) ([]fs.DirEntry, error) {
	v, err := s.tree()
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return v.FS().ReadDir(name)
}

// closeHives closes the hives, before those of the layers.
func (s *layersSystem) closeHives() error {
	var errs []error
	for n, h := range s.hives {
		if h.hive != nil {
			errs = append(errs, h.hive.Close())
		}
		s.hives[n] = openHive{err: fs.ErrClosed}
	}
	if s.keys != nil {
		errs = append(errs, s.keys.Close())
		s.keys = nil
	}
	return errors.Join(errs...)
}

// Close releases the files.
func (s *layersSystem) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.view != nil {
		errs = append(errs, s.view.Close())
	}
	s.view, s.viewErr = nil, fs.ErrClosed
	return errors.Join(append(errs, s.spool.close())...)
}

// Bounds of a spool.
const (
	// spoolSize is the number of bytes that a spool keeps. What does not fit is read from its
	// layer again.
	spoolSize = 512 << 20
	// spoolCost is what one file counts besides its content: it bounds their number.
	spoolCost = 4 << 10
)

// spool keeps files that catalogers want to open when all layers were read, in one temporary
// file.
type spool struct {
	names map[string]filePlace // by folded path
	files map[filePlace]*spooledFile
	file  *tempfile.File // or nil
	size  int64
	count int64 // bytes, with spoolCost
	full  bool  // a file had no room
	buf   []byte
}

type spooledFile struct {
	path     string
	place    filePlace
	size     int64
	modified winfs.Filetime
	off      int64
}

// name gives a file one more name, and reports whether the spool has the file.
func (s *spool) name(p string, at filePlace) bool {
	s.names[winfs.Fold(p)] = at
	return s.files[at] != nil
}

// add keeps a file, whose content r yields, if there is room.
func (s *spool) add(ctx context.Context, f *spooledFile, r io.Reader) error {
	if s.files[f.place] != nil {
		return nil
	}
	if f.size > spoolSize-s.count-spoolCost {
		s.full = true
		return nil
	}
	if s.file == nil {
		temp, err := tempfile.Create("", "mullion-files-")
		if err != nil {
			return err
		}
		s.file, s.buf = temp, make([]byte, 256<<10)
	}
	f.off = s.size
	n, err := io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(s.file, f.off)}, struct{ io.Reader }{ctxio.Reader(ctx, io.LimitReader(r, f.size))}, s.buf)
	if err == nil && n < f.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	s.size += f.size
	s.count += f.size + spoolCost
	s.files[f.place] = f
	s.names[winfs.Fold(f.path)] = f.place
	return nil
}

// find returns the file of a name in a System, nil if the spool does not have it.
func (s *spool) find(name string) *spooledFile {
	at, ok := s.names[winfs.Fold(layerPath(name))]
	if !ok {
		return nil
	}
	return s.files[at]
}

func (s *spool) reader(f *spooledFile) *io.SectionReader {
	return io.NewSectionReader(s.file, f.off, f.size)
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	clear(s.files)
	return err
}

// openSpooled is an open file of a spool. It implements io.ReaderAt and io.Seeker.
type openSpooled struct {
	f      *spooledFile
	name   string
	r      *io.SectionReader
	closed bool
}

func (o *openSpooled) fail(op string) error {
	return &fs.PathError{Op: op, Path: slashPath(o.f.path), Err: fs.ErrClosed}
}

func (o *openSpooled) Stat() (fs.FileInfo, error) { return spooledInfo{o.f, o.name}, nil }

func (o *openSpooled) Read(p []byte) (int, error) {
	if o.closed {
		return 0, o.fail("read")
	}
	return o.r.Read(p)
}

func (o *openSpooled) ReadAt(p []byte, off int64) (int, error) {
	if o.closed {
		return 0, o.fail("read")
	}
	return o.r.ReadAt(p, off)
}

func (o *openSpooled) Seek(off int64, whence int) (int64, error) {
	if o.closed {
		return 0, o.fail("seek")
	}
	return o.r.Seek(off, whence)
}

func (o *openSpooled) Close() error {
	if o.closed {
		return o.fail("close")
	}
	o.closed = true
	return nil
}

// spooledInfo describes a file of a spool.
type spooledInfo struct {
	f    *spooledFile
	name string
}

func (i spooledInfo) Name() string      { return i.name }
func (i spooledInfo) Size() int64       { return i.f.size }
func (i spooledInfo) Mode() fs.FileMode { return 0o444 }
func (i spooledInfo) IsDir() bool       { return false }
func (i spooledInfo) Sys() any          { return nil }

// ModTime returns the time of the last write, the zero time if it is not set.
func (i spooledInfo) ModTime() time.Time {
	if i.f.modified == 0 {
		return time.Time{}
	}
	return i.f.modified.Time()
}
