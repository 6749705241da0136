package wintar

import (
	"archive/tar"
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Writer writes an uncompressed layer tar, with the header fields of the Windows exporter
// (docs/spec/layers.md, "Headers of a layer tar"). It implements layer.Writer and
// layer.ExtentWriter; holes become zeros, because layers have no sparse entries. The same
// entries produce the same bytes.
type Writer struct {
	bw    *bufio.Writer
	tw    *tar.Writer
	out   *publish.File // nil unless the writer created its file
	opts  options
	label string

	index   int64
	header  tar.Header // of the current entry, complete when its main stream is known
	records map[string]string
	current pendingEntry
	state   writerState
	streams map[string]bool
	left    int64 // bytes that the current stream still takes
	sds     map[string]string
	err     error // sticky
}

// pendingEntry is the state of an entry until its main stream, if it has one, was
// announced.
type pendingEntry struct {
	path    string // slashes
	kind    layer.Kind
	size    int64
	noMain  bool
	sparse  bool   // the attributes have the bit
	link    bool   // reparse data that a header of a link can express
	target  string // of such a link
	reparse string // the buffer in base64
	lossy   bool   // the header of the link does not hold the whole buffer
}

type writerState uint8

const (
	writerIdle  writerState = iota // no entry, or one that accepts nothing more
	headerDue                      // Add was called
	streamBegun                    // the header is written, streams may follow
	writerClosed
)

// writerBuffer gathers headers and small files; large data bypasses it.
const writerBuffer = 256 << 10

// NewWriter returns a writer of an archive to w. Commit writes the trailer; it neither
// closes nor syncs w, and data written before an error remains in w. Use [Create] for a
// file that is complete or absent.
func NewWriter(w io.Writer, opts ...Option) *Writer {
	o := gather(opts)
	t := &Writer{bw: bufio.NewWriterSize(w, writerBuffer), opts: o, label: o.label, records: map[string]string{}, sds: map[string]string{}}
	t.tw = tar.NewWriter(t.bw)
	return t
}

func (w *Writer) fail(err error) error {
	var placed *layer.Error
	if !errors.As(err, &placed) {
		err = &layer.Error{Op: "write tar", Layer: w.label, Entry: strings.ReplaceAll(w.current.path, "/", `\`), Index: w.index, Offset: -1, Err: err}
	}
	if w.err == nil {
		w.err = err
	}
	return err
}

// ready finishes the current stream, if it has all its bytes.
func (w *Writer) ready() error {
	if w.err != nil {
		return w.err
	}
	if w.state == writerClosed {
		return layer.ErrClosed
	}
	if w.left > 0 {
		return w.fail(fmt.Errorf("%w: %d bytes are missing", layer.ErrStreamSize, w.left))
	}
	return nil
}

// Add starts an entry; see layer.Writer. It refuses every entry that the Reader would
// refuse, and, with layer.ErrUnsupported, one that a tar cannot express: a real file whose
// name starts with .wh.
func (w *Writer) Add(e *layer.Entry) error {
	if err := w.finishEntry(); err != nil {
		return err
	}
	w.index++
	w.current = pendingEntry{path: winfs.ToSlash(e.Path), kind: e.Kind}
	w.streams = nil
	if err := w.add(e); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) add(e *layer.Entry) error {
	if err := w.checkPath("", e.Path); err != nil {
		return err
	}
	dir, base := winfs.SplitPath(e.Path)
	switch e.Kind {
	case layer.Whiteout:
		name := whiteoutPrefix + base
		if name == whiteoutOpaque {
			return fmt.Errorf("%w: the whiteout would read as an opaque one", layer.ErrUnsupported)
		}
		return w.whiteout(winfs.JoinPath(dir, name))
	case layer.Opaque:
		return w.whiteout(winfs.JoinPath(e.Path, whiteoutOpaque))
	case layer.File, layer.Dir, layer.Link:
	default:
		return fmt.Errorf("%w: %v", layer.ErrCorrupt, e.Kind)
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return fmt.Errorf("%w: the name would read as a whiteout", layer.ErrUnsupported)
	}
	w.header = tar.Header{Format: tar.FormatPAX, Name: w.current.path, PAXRecords: w.records}
	clear(w.records)
	w.times(e.Times)
	if err := w.metadata(e); err != nil {
		return err
	}
	if e.Kind == layer.Link {
		if err := w.checkPath("hard link target: ", e.Target); err != nil {
			return err
		}
		w.header.Typeflag, w.header.Mode = tar.TypeLink, modeLink
		w.header.Linkname = winfs.ToSlash(e.Target)
		w.state = writerIdle
		return w.tw.WriteHeader(&w.header)
	}
	if len(e.Reparse) > 0 {
		if err := w.reparse(e); err != nil {
			return err
		}
	}
	w.current.size, w.current.noMain = e.Size, e.NoMain
	w.state = headerDue
	return nil
}

func (w *Writer) checkPath(what, p string) error {
	err := winfs.ValidatePath(p)
	if err == nil && p == "" {
		err = &winfs.NameError{Err: winfs.ErrNameEmpty}
	}
	if err != nil {
		return fmt.Errorf("%s%w: %w", what, layer.ErrInvalidName, err)
	}
	return nil
}

// whiteout writes a plain header: no PAX records, so USTAR if the name fits
// (docs/spec/layers.md, "Headers of a layer tar").
func (w *Writer) whiteout(path string) error {
	w.state = writerIdle
	return w.tw.WriteHeader(&tar.Header{Name: winfs.ToSlash(path), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)})
}

// times sets the four times, unset ones too, as the true value of FILETIME 0.
func (w *Writer) times(t winfs.Times) {
	w.header.ModTime = w.time(t.LastWrite, recOwnMtime)
	w.header.AccessTime = w.time(t.LastAccess, recOwnAtime)
	w.header.ChangeTime = w.time(t.Change, recOwnCtime)
	w.records[recCreation] = t.Creation.PAX()
}

func (w *Writer) time(t winfs.Filetime, own string) time.Time {
	tm := t.Time()
	if tm.IsZero() { // archive/tar would take it for no time at all
		w.records[own] = t.PAX()
	}
	return tm
}

func (w *Writer) metadata(e *layer.Entry) error {
	attributes := e.Attributes
	if e.Kind != layer.Link {
		attributes &^= winfs.AttrReparsePoint
		if len(e.Reparse) > 0 {
			attributes |= winfs.AttrReparsePoint
		}
		if e.Kind == layer.Dir {
			attributes |= winfs.AttrDirectory
		} else if attributes&winfs.AttrDirectory != 0 {
			return fmt.Errorf("%w: a file with the attribute of a directory", layer.ErrCorrupt)
		}
	}
	w.current.sparse = attributes&winfs.AttrSparse != 0
	if attributes != 0 {
		w.records[recAttributes] = strconv.FormatUint(uint64(attributes), 10)
	}
	if len(e.Security) > 0 {
		w.records[recRawSD] = w.descriptor(e.Security)
	}
	if len(e.ObjectID) > 0 {
		if len(e.ObjectID) != objectIDSize {
			return fmt.Errorf("%w: object identifier of %d bytes", layer.ErrCorrupt, len(e.ObjectID))
		}
		w.records[recObjectID] = base64.StdEncoding.EncodeToString(e.ObjectID)
	}
	if len(e.EAs) > 0 {
		return w.eas(e.EAs)
	}
	return nil
}

// descriptor encodes in base64, once for each of the first few hundred descriptors: layers
// repeat them for thousands of files.
func (w *Writer) descriptor(sd []byte) string {
	if text, ok := w.sds[string(sd)]; ok {
		return text
	}
	text := base64.StdEncoding.EncodeToString(sd)
	if len(w.sds) < 512 && len(sd) < 4096 {
		w.sds[string(sd)] = text
	}
	return text
}

func (w *Writer) eas(list []winfs.EA) error {
	sorted := append([]winfs.EA(nil), list...)
	winfs.SortEAs(sorted)
	lossy := false
	for i, ea := range sorted {
		if i > 0 && winfs.EqualFold(sorted[i-1].Name, ea.Name) {
			return fmt.Errorf("%w: extended attribute %s", layer.ErrDuplicate, shorten(ea.Name))
		}
		if !expressibleEA(ea.Name) {
			lossy = true
			continue
		}
		lossy = lossy || ea.Flags != 0
		w.records[recXattr+ea.Name] = base64.StdEncoding.EncodeToString(ea.Value)
	}
	buf, err := winfs.EncodeEAs(sorted)
	if err != nil {
		return fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	}
	if lossy {
		w.records[recEAs] = base64.StdEncoding.EncodeToString(buf)
	}
	return nil
}

// reparse decides how reparse data is written: as a link, as a link together with the whole
// buffer, or, for everything that is not a link, as the buffer alone.
func (w *Writer) reparse(e *layer.Entry) error {
	if err := winfs.CheckReparse(e.Reparse); err != nil {
		return fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	}
	c := &w.current
	c.reparse = base64.StdEncoding.EncodeToString(e.Reparse)
	p, err := winfs.ParseReparse(e.Reparse)
	if err != nil {
		return nil // a link without a target
	}
	switch p.Tag {
	case winfs.ReparseTagSymlink:
	case winfs.ReparseTagMountPoint:
		if e.Kind != layer.Dir {
			return fmt.Errorf("%w: a mount point that is not a directory", layer.ErrCorrupt)
		}
	default:
		return nil
	}
	target := p.Target()
	if strings.IndexByte(target, 0) >= 0 {
		return nil // no tar header can hold it
	}
	c.link, c.target = true, target
	plain, err := winfs.EncodeLink(p.Tag, target)
	c.lossy = err != nil || string(plain) != string(e.Reparse)
	if p.Tag == winfs.ReparseTagMountPoint {
		w.records[recMountPoint] = "1"
	}
	return nil
}

// flush writes the header of the current entry. s is its main stream, nil if it
// has none.
func (w *Writer) flush(s *layer.Stream) error {
	c, h := &w.current, &w.header
	size := int64(0)
	sparse := false
	if s != nil {
		size, sparse = s.Size, s.Sparse
	}
	if c.kind == layer.File && c.size >= 0 && c.size != size {
		return fmt.Errorf("%w: the entry has %d bytes, its main stream %d", layer.ErrStreamSize, c.size, size)
	}
	dirBit := int64(0)
	if c.kind == layer.Dir {
		dirBit = modeDir
	}
	switch {
	case c.link && size == 0:
		h.Typeflag, h.Mode, h.Linkname = tar.TypeSymlink, modeSymlink|dirBit, c.target
		if c.lossy {
			w.records[recReparse] = c.reparse
		}
	case c.kind == layer.Dir:
		h.Typeflag, h.Mode = tar.TypeDir, modeDir
	default:
		h.Typeflag, h.Mode, h.Size = tar.TypeReg, modeRegular, size
		if c.noMain && size == 0 {
			h.Mode = 0
		}
	}
	if c.reparse != "" && h.Typeflag != tar.TypeSymlink {
		// A buffer that no link header can express, or one on a file with data.
		w.records[recReparse] = c.reparse
		delete(w.records, recMountPoint)
	}
	if sparse && !c.sparse {
		w.records[recSparse] = "1"
	}
	w.state = streamBegun
	return w.tw.WriteHeader(h)
}

// AddStream starts a stream; see layer.Writer.
func (w *Writer) AddStream(s *layer.Stream) error {
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.addStream(s); err != nil {
		return w.fail(err)
	}
	w.left = s.Size
	return nil
}

func (w *Writer) addStream(s *layer.Stream) error {
	if s.Size < 0 {
		return fmt.Errorf("%w: negative", layer.ErrStreamSize)
	}
	if s.Name == "" {
		if w.state != headerDue || w.current.kind != layer.File {
			return fmt.Errorf("%w: the main stream comes first, and only files have one", layer.ErrCorrupt)
		}
		return w.flush(s)
	}
	if w.state == headerDue {
		if err := w.flush(nil); err != nil {
			return err
		}
	}
	if w.state != streamBegun {
		return fmt.Errorf("%w: a %v has no streams", layer.ErrCorrupt, w.current.kind)
	}
	if err := winfs.ValidateStream(s.Name); err != nil {
		return fmt.Errorf("stream %w: %w", layer.ErrInvalidName, err)
	}
	folded := winfs.Fold(s.Name)
	if w.streams[folded] {
		return fmt.Errorf("%w: stream %s", layer.ErrDuplicate, shorten(s.Name))
	}
	if len(w.streams) >= maxStreams {
		return &layer.LimitError{Limit: "Streams", Max: maxStreams}
	}
	if w.streams == nil {
		w.streams = map[string]bool{}
	}
	w.streams[folded] = true
	h := tar.Header{
		Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: w.current.path + ":" + s.Name, Mode: w.header.Mode, Size: s.Size,
		ModTime: w.header.ModTime, AccessTime: w.header.AccessTime, ChangeTime: w.header.ChangeTime,
	}
	if s.Sparse {
		h.PAXRecords = map[string]string{recSparse: "1"}
	}
	return w.tw.WriteHeader(&h)
}

// Write appends to the current stream; see layer.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.state == writerClosed {
		return 0, layer.ErrClosed
	}
	if int64(len(p)) > w.left {
		return 0, w.fail(fmt.Errorf("%w: more bytes than announced", layer.ErrStreamSize))
	}
	n, err := w.tw.Write(p)
	w.left -= int64(n)
	if err != nil {
		return n, w.fail(err)
	}
	return n, nil
}

// FillsHole is always true: layers have no sparse entries.
func (w *Writer) FillsHole(int64) bool { return true }

// WriteHole appends n zeros to the current stream; see layer.ExtentWriter.
func (w *Writer) WriteHole(n int64) error {
	if n < 0 || n > w.left {
		return w.fail(fmt.Errorf("%w: hole of %d bytes", layer.ErrStreamSize, n))
	}
	for n > 0 {
		c, err := w.Write(hole[:min(n, int64(len(hole)))])
		if err != nil {
			return err
		}
		n -= int64(c)
	}
	return nil
}

var hole [64 << 10]byte

func (w *Writer) finishEntry() error {
	if err := w.ready(); err != nil {
		return err
	}
	if w.state == headerDue {
		if err := w.flush(nil); err != nil {
			return w.fail(err)
		}
	}
	w.state = writerIdle
	return nil
}

// Commit writes the trailer and, for a writer from Create, makes the file durable and
// renames it.
func (w *Writer) Commit() error {
	if err := w.finishEntry(); err != nil {
		return err
	}
	w.current.path, w.index = "", 0
	if err := w.tw.Close(); err != nil {
		return w.fail(err)
	}
	if err := w.bw.Flush(); err != nil {
		return w.fail(err)
	}
	if w.out != nil {
		if err := w.out.Commit(); err != nil {
			return w.fail(exists(err))
		}
	}
	w.state = writerClosed
	return nil
}

// Close releases everything; without a Commit before, a writer from Create removes its
// file.
func (w *Writer) Close() error {
	w.state = writerClosed
	if w.out == nil {
		return nil
	}
	err := w.out.Close()
	w.out = nil
	return err
}

var (
	_ layer.Writer       = (*Writer)(nil)
	_ layer.ExtentWriter = (*Writer)(nil)
	_ layer.HoleFiller   = (*Writer)(nil)
)
