package cimlayer

import (
	"errors"
	"io"
	"io/fs"
	"iter"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// ImageReader yields the tree of an image as a layer: every directory before its
// content, names in the image's order. A file with several names is a File under the
// first one and a Link under each other one, with the attributes and times of the file.
//
// The hashes of executables, which the writer of an image computes and keeps as extended
// attributes, are left out: they are no part of the layer.
//
// An image without attributes for a file yields the attribute NORMAL, as Windows
// shows it. The metadata of the root is not an entry of a layer; see
// [ImageReader.Root].
type ImageReader struct {
	im      *cimfs.Image
	linked  map[cimfs.FileID]string // files with several names, and the first one
	next    func() (string, *cimfs.File, bool)
	stop    func()
	walkErr error

	entry   layer.Entry
	file    *cimfs.File
	streams []*cimfs.Stream // that NextStream has yet to return
	loaded  bool            // streams is set
	stream  layer.Stream
	data    *io.SectionReader // of the current stream
	extents extentState
	err     error // sticky
}

var (
	_ layer.Reader       = (*ImageReader)(nil)
	_ layer.ExtentReader = (*ImageReader)(nil)
)

type extentState uint8

const (
	extentsUnused extentState = iota // Read yields the whole stream
	extentOpen                       // Read yields the one extent
	extentsDone
)

// NewImageReader returns a reader of the tree of im. Closing the reader does not close
// the image.
func NewImageReader(im *cimfs.Image) *ImageReader { return &ImageReader{im: im} }

// Root returns the metadata of the image's root, as an entry with an empty path.
// Images written by Windows have none: all fields are zero but the attribute
// DIRECTORY.
func (r *ImageReader) Root() (*layer.Entry, error) {
	f, err := r.im.Root()
	if err != nil {
		return nil, r.fail("", err)
	}
	e := new(layer.Entry)
	if err := describe(e, "", f); err != nil {
		return nil, r.fail("", err)
	}
	return e, nil
}

// Next returns the next entry.
func (r *ImageReader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.closeEntry()
	if r.next == nil {
		if err := r.start(); err != nil {
			return nil, r.stick(r.fail("", err))
		}
	}
	path, f, ok := r.next()
	if !ok {
		if r.walkErr != nil {
			return nil, r.stick(r.fail("", r.walkErr))
		}
		return nil, r.stick(io.EOF)
	}
	if path == "" {
		return r.Next()
	}
	if first, several := r.linked[f.ID()]; several {
		if first != "" {
			describeLink(&r.entry, path, first, f)
			return &r.entry, nil
		}
		r.linked[f.ID()] = path
	}
	if err := describe(&r.entry, path, f); err != nil {
		return nil, r.stick(r.fail(path, err))
	}
	r.file = f
	return &r.entry, nil
}

// start finds the files with several names and starts the walk. Version 1 has no list of
// a file's names, so they are found by walking the tree.
func (r *ImageReader) start() error {
	seen := make([]uint64, r.im.NumFiles()/64+1)
	err := r.im.Walk(func(_ string, f *cimfs.File) error {
		word, bit := f.ID()/64, uint64(1)<<(f.ID()%64)
		if seen[word]&bit != 0 {
			if r.linked == nil {
				r.linked = map[cimfs.FileID]string{}
			}
			r.linked[f.ID()] = ""
		}
		seen[word] |= bit
		return nil
	})
	if err != nil {
		return err
	}
	r.next, r.stop = iter.Pull2(func(yield func(string, *cimfs.File) bool) {
		r.walkErr = r.im.Walk(func(path string, f *cimfs.File) error {
			if !yield(path, f) {
				return fs.SkipAll
			}
			return nil
		})
	})
	return nil
}

// describeLink fills e with a further name of f.
func describeLink(e *layer.Entry, path, target string, f *cimfs.File) {
	*e = layer.Entry{Path: path, Kind: layer.Link, Target: target, Attributes: attributesOf(f), Times: f.Times()}
}

// attributesOf returns the attributes of a file as Windows shows them.
func attributesOf(f *cimfs.File) winfs.Attributes {
	if a := f.Attributes(); a != 0 || f.IsDir() {
		return a
	}
	return winfs.AttrNormal
}

// describe fills e with the metadata of f.
func describe(e *layer.Entry, path string, f *cimfs.File) error {
	*e = layer.Entry{Path: path, Kind: layer.File, Attributes: attributesOf(f), Times: f.Times(), Size: f.Size()}
	if f.IsDir() {
		e.Kind, e.Size = layer.Dir, 0
	}
	var err error
	if e.Security, err = f.Security(); err != nil {
		return err
	}
	if e.Reparse, err = f.Reparse(); err != nil {
		return err
	}
	eas, err := f.GivenEAs()
	if err != nil {
		return err
	}
	if e.EAs, err = winfs.DecodeEAs(eas); err != nil {
		e.Defect = fail("read cim", "", path, err)
	}
	return nil
}

// NextStream returns the next stream of the current entry.
func (r *ImageReader) NextStream() (*layer.Stream, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if r.file == nil {
		return nil, io.EOF
	}
	r.data = nil
	if !r.loaded {
		if err := r.load(); err != nil {
			return nil, r.stick(r.fail(r.entry.Path, err))
		}
	}
	if len(r.streams) == 0 {
		return nil, io.EOF
	}
	s := r.streams[0]
	r.streams = r.streams[1:]
	r.data, r.extents = s.Reader(), extentsUnused
	r.stream = layer.Stream{Name: s.Name(), Size: s.Size(), Sparse: s.Sparse()}
	return &r.stream, nil
}

func (r *ImageReader) load() error {
	r.streams, r.loaded = nil, true
	if !r.file.IsDir() {
		s, err := r.file.Data()
		if err != nil {
			return err
		}
		r.streams = append(r.streams, s)
	}
	if !r.file.HasStreams() {
		return nil
	}
	more, err := r.file.Streams()
	r.streams = append(r.streams, more...)
	return err
}

// Read reads the current stream.
func (r *ImageReader) Read(p []byte) (int, error) {
	if r.data == nil || r.extents == extentsDone {
		return 0, io.EOF
	}
	n, err := r.data.Read(p)
	if err != nil && err != io.EOF {
		err = r.stick(r.fail(r.entry.Path, err))
	}
	return n, err
}

// NextExtent returns the one extent of a stream that is not sparse, and none of
// one that is: the format has no streams with data and holes.
func (r *ImageReader) NextExtent() (layer.Extent, error) {
	if r.err != nil {
		return layer.Extent{}, r.err
	}
	if r.data == nil || r.extents != extentsUnused || r.stream.Sparse || r.stream.Size == 0 {
		r.extents = extentsDone
		return layer.Extent{}, io.EOF
	}
	r.extents = extentOpen
	return layer.Extent{Length: r.stream.Size}, nil
}

// Close ends the walk. The image stays open.
func (r *ImageReader) Close() error {
	r.closeEntry()
	if r.stop != nil {
		r.stop()
	}
	if r.err == nil || r.err == io.EOF {
		r.err = layer.ErrClosed
	}
	return nil
}

func (r *ImageReader) closeEntry() {
	r.file, r.data, r.streams, r.loaded = nil, nil, nil, false
}

func (r *ImageReader) stick(err error) error {
	r.err = err
	return err
}

func (r *ImageReader) fail(path string, err error) error {
	return fail("read cim", r.im.Name(), path, err)
}

// fail places an error and makes it answer to the sentinels of package layer too.
func fail(op, image, path string, err error) error {
	if e := (*layer.Error)(nil); errors.As(err, &e) {
		return err
	}
	for _, s := range sentinels {
		if errors.Is(err, s.cim) && !errors.Is(err, s.layer) {
			err = &translated{err, s.layer}
			break
		}
	}
	return &layer.Error{Op: op, Layer: image, Entry: path, Offset: -1, Err: err}
}

// sentinels pairs the errors of the floors below with those of package layer.
var sentinels = []struct{ cim, layer error }{
	{cimfs.ErrCorrupt, layer.ErrCorrupt},
	{winfs.ErrBadEA, layer.ErrCorrupt},
	{cimfs.ErrName, layer.ErrInvalidName},
	{cimfs.ErrCaseConflict, layer.ErrCaseConflict},
	{cimfs.ErrNotDirectory, layer.ErrNotDirectory},
	{cimfs.ErrNotEmpty, layer.ErrNotDirectory},
	{cimfs.ErrStreamSize, layer.ErrStreamSize},
	{cimfs.ErrMetadata, layer.ErrUnsupported},
	{cimfs.ErrUnproven, layer.ErrUnsupported},
	{cimfs.ErrClosed, layer.ErrClosed},
	{cimfs.ErrLimit, layer.ErrLimit},
}

// translated is an error with a second sentinel.
type translated struct {
	err  error
	kind error
}

func (t *translated) Error() string   { return t.err.Error() }
func (t *translated) Unwrap() []error { return []error{t.err, t.kind} }
