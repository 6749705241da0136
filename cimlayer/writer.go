package cimlayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Writer makes one layer: an image and the files beside it. It takes the entries of the
// layer as a tar has them and adds what unpacking adds on Windows (docs/spec/layers.md,
// "CIM layers").
//
// The five hives and the start files of a utility VM are kept beside the image and
// in it, in the order in which they came, behind everything else. A base layer then
// gets the directory Hives with its hives under their base names, and the file
// layout. A layer with parents is a fork of its parent's image; for each delta hive
// it brings, the nearest base hive below it is merged with the delta and added
// under the base name.
//
// Files without a security descriptor get the one without a DACL, as on Windows.
type Writer struct {
	*ImageWriter // the image; its Add, AddStream and Write serve all but standard files

	loc     Location
	parents []Location // immediate parent first, the order of look-ups
	opt     options
	parent  *cimfs.Image

	images, layers         *os.Root // the directories of image and files
	giveImages, giveLayers func() error

	dir  *publish.Dir
	root *os.Root // of dir, which closes it

	queue  []queued
	byPath map[string]int // folded path of a queued file or link to its place in the queue
	spool  *spool         // alternate streams of queued files

	file     *publish.Part // main stream of the current standard file, nil if the sink is the image
	queueing bool          // the current entry is queued
	left     int64         // bytes that the current stream of a queued entry still wants
	alt      bool          // it is an alternate stream
	err      error
	done     bool
}

// queued is an entry that waits for Commit.
type queued struct {
	entry   layer.Entry
	host    string // name in the files directory, slashes; "" for a link
	size    int64
	streams []spooledStream
}

var (
	_ layer.Writer       = (*Writer)(nil)
	_ layer.ExtentWriter = (*Writer)(nil)
)

// MissingHives decides about a base layer that lacks one of the five hives.
type MissingHives uint8

// The choices for a base layer without all hives.
const (
	// RefuseMissing makes it an error, ErrHive: Windows does not start from such a
	// layer.
	RefuseMissing MissingHives = iota
	// CreateMissing adds a minimal hive (hives.Minimal).
	CreateMissing
	// LeaveMissing leaves it out, for layers that are only to be looked at.
	LeaveMissing
	// TreeMissing omits it too, and treats a layer with none of the five as a tree that
	// isn't a Windows: it gets neither the directory Hives nor the file layout. Hard links
	// and whiteouts may be anywhere in any layer.
	TreeMissing
)

type options struct {
	cim     cimfs.Options
	missing MissingHives
	cimBoot *CimBoot
	lossy   func(path, what string)

	hiveWarn func(finding.Finding)
	damage   func(chainID string, cause error)
}

func newOptions(opts []Option) options {
	var o options
	for _, f := range opts {
		f(&o)
	}
	return o
}

// Option changes how a layer is written.
type Option func(*options)

// WithImageOptions sets the version, the GUID and other properties of the image.
// Parent and DefaultSecurity of o are ignored: the writer sets them.
func WithImageOptions(o cimfs.Options) Option { return func(opt *options) { opt.cim = o } }

// WithMissingHives sets the treatment of a base layer without all five hives.
func WithMissingHives(m MissingHives) Option { return func(opt *options) { opt.missing = m } }

// WithHiveWarnings has f called with each fault of a hive that cannot change the result
// of merging it, see regf.Harmless, with the path of the hive in the layer, or in one below, as Layer.
func WithHiveWarnings(f func(finding.Finding)) Option {
	return func(opt *options) { opt.hiveWarn = f }
}

// WithDamage has f called before [Store.Add] or [Store.AddComputed] makes a layer again that
// the store has but that is not whole, with the reason.
func WithDamage(f func(chainID string, cause error)) Option {
	return func(opt *options) { opt.damage = f }
}

// WithLossy allows entries with properties that an image can't represent: each such
// property is omitted and passed to f.
func WithLossy(f func(path, what string)) Option { return func(opt *options) { opt.lossy = f } }

// Create begins a layer. Its image must not exist; its files directory may, if it
// is empty. parents are the layers below it, base first, the immediate parent last;
// none makes it a base layer. They are opened for reading and never changed.
func Create(loc Location, parents []Location, opts ...Option) (*Writer, error) {
	w := &Writer{loc: loc, parents: nearestFirst(parents), opt: newOptions(opts), byPath: map[string]int{}}
	if err := w.open(); err != nil {
		w.Close()
		return nil, w.place("", err)
	}
	return w, nil
}

func (w *Writer) open() error {
	if err := checkChain(w.loc, w.parents); err != nil {
		return err
	}
	o := w.opt.cim
	o.Parent, o.DefaultSecurity = "", cimfs.NullDACL()
	if len(w.parents) > 0 {
		im, err := w.parents[0].openImage()
		if err != nil {
			return err
		}
		w.parent, o.Parent = im, w.parents[0].Name
		if o.Version == 0 {
			o.Version = im.Version()
		}
	}
	var err error
	if w.layers, w.giveLayers, err = w.loc.openLayers(); err != nil {
		return err
	}
	if w.dir, err = publish.CreateDirIn(w.layers, w.loc.base(), publish.Options{}); err != nil {
		return err
	}
	w.root = w.dir.Root()
	if w.images, w.giveImages, err = w.loc.openImages(); err != nil {
		return err
	}
	cw, err := cimfs.CreateIn(w.images, w.loc.Name, &o)
	if err != nil {
		return err
	}
	w.ImageWriter = NewImageWriter(cw, w.parent, ImageOptions{Name: w.loc.String(), Lossy: w.opt.lossy})
	return nil
}

// Add begins an entry.
func (w *Writer) Add(e *layer.Entry) error {
	if err := w.finish(); err != nil {
		return err
	}
	if err := w.add(e); err != nil {
		return w.failAt(e.Path, err)
	}
	return nil
}

func (w *Writer) add(e *layer.Entry) error {
	if e.Path == "" {
		return layer.ErrInvalidName
	}
	if w.opt.missing != TreeMissing {
		if err := layer.CheckPlace(e); err != nil {
			return err
		}
	}
	if _, _, _, err := hives.Place(e, len(w.parents) == 0); err != nil {
		return fmt.Errorf("%w: %w", err, ErrHive)
	}
	if winfs.EqualFold(e.Path, layoutName) && (e.Kind == layer.File || e.Kind == layer.Link) {
		return fmt.Errorf("the file is made when a layer is unpacked and may not be part of one: %w", layer.ErrDuplicate)
	}
	host, std := standard(e.Path)
	switch {
	case std && e.Kind == layer.File:
		return w.enqueue(e, host, hives.Private(host))
	case e.Kind == layer.Link && w.isQueued(e.Target):
		// The target joins the image at Commit, so the link has to wait behind it.
		return w.enqueue(e, "", false)
	}
	return w.ImageWriter.Add(e)
}

func (w *Writer) isQueued(path string) bool {
	_, ok := w.byPath[winfs.Fold(path)]
	return ok
}

// hiveMode are the permissions of a hive beside an image: the host does not enforce the
// descriptors of its keys, and SAM and SECURITY hold secrets.
const hiveMode fs.FileMode = 0o600

// enqueue keeps an entry for Commit and, for a file, opens its copy beside the
// image.
func (w *Writer) enqueue(e *layer.Entry, host string, hive bool) error {
	key := winfs.Fold(e.Path)
	if _, ok := w.byPath[key]; ok {
		return layer.ErrDuplicate
	}
	if err := winfs.ValidatePath(e.Path); err != nil {
		return err
	}
	q := queued{entry: e.Clone(), host: winfs.ToSlash(host)}
	if q.host != "" {
		if err := w.root.MkdirAll(filepath.Dir(q.host), 0o755); err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if hive {
			mode = hiveMode
		}
		f, err := publish.CreatePart(w.root, q.host, mode)
		if err != nil {
			return err
		}
		w.file = f
	}
	w.byPath[key] = len(w.queue)
	w.queue = append(w.queue, q)
	w.queueing, w.alt, w.left = true, false, 0
	return nil
}

// AddStream begins a stream of the entry.
func (w *Writer) AddStream(s *layer.Stream) error {
	if !w.queueing {
		return w.ImageWriter.AddStream(s)
	}
	if w.err != nil {
		return w.err
	}
	q := &w.queue[len(w.queue)-1]
	if err := w.beginQueued(q, s); err != nil {
		return w.failAt(q.entry.Path, err)
	}
	return nil
}

func (w *Writer) beginQueued(q *queued, s *layer.Stream) error {
	if w.left != 0 {
		return layer.ErrStreamSize
	}
	if q.host == "" || s.Size < 0 {
		return layer.ErrUnsupported
	}
	if s.Name == "" {
		if w.alt || q.size != 0 {
			return layer.ErrDuplicate
		}
		q.size, w.left = s.Size, s.Size
		return nil
	}
	if err := winfs.ValidateStream(s.Name); err != nil {
		return err
	}
	for _, old := range q.streams {
		if winfs.EqualFold(old.Name, s.Name) {
			return layer.ErrDuplicate
		}
	}
	if w.spool == nil {
		var err error
		if w.spool, err = newSpool(w.root); err != nil {
			return err
		}
	}
	q.streams = append(q.streams, spooledStream{Stream: layer.Stream{Name: s.Name, Size: s.Size}, at: w.spool.size})
	w.alt, w.left = true, s.Size
	return nil
}

// Write appends to the current stream.
func (w *Writer) Write(p []byte) (int, error) {
	if !w.queueing {
		return w.ImageWriter.Write(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	path := w.queue[len(w.queue)-1].entry.Path
	if int64(len(p)) > w.left {
		return 0, w.failAt(path, layer.ErrStreamSize)
	}
	sink := io.Writer(w.file)
	if w.alt {
		sink = w.spool
	}
	n, err := sink.Write(p)
	w.left -= int64(n)
	if err != nil {
		err = w.failAt(path, err)
	}
	return n, err
}

// FillsHole implements layer.HoleFiller.
func (w *Writer) FillsHole(n int64) bool { return w.queueing || w.ImageWriter.FillsHole(n) }

// WriteHole appends zeros to the current stream.
func (w *Writer) WriteHole(n int64) error {
	if !w.queueing {
		return w.ImageWriter.WriteHole(n)
	}
	var zeros [4096]byte
	for n > 0 {
		k, err := w.Write(zeros[:min(n, int64(len(zeros)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// finish ends the current queued entry.
func (w *Writer) finish() error {
	if w.err != nil {
		return w.err
	}
	if !w.queueing {
		return nil
	}
	w.queueing = false
	q := &w.queue[len(w.queue)-1]
	if w.left != 0 {
		return w.failAt(q.entry.Path, layer.ErrStreamSize)
	}
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	if err := f.Finish(); err != nil {
		return w.failAt(q.entry.Path, err)
	}
	return nil
}

// Commit adds the queued entries and the files that unpacking generates, and publishes
// the files and then the image. The layer exists once the image does.
func (w *Writer) Commit() error {
	if err := w.finish(); err != nil {
		return err
	}
	if err := w.enableCimBoot(); err != nil {
		return w.failAt("", err)
	}
	for i := range w.queue {
		if err := w.release(&w.queue[i]); err != nil {
			return w.failAt(w.queue[i].entry.Path, err)
		}
	}
	process := w.processBase
	if len(w.parents) > 0 {
		process = w.processFork
	}
	if err := process(); err != nil {
		return w.failAt("", err)
	}
	if err := w.publish(); err != nil {
		return w.failAt("", err)
	}
	w.done = true
	w.err = layer.ErrClosed
	return nil
}

// release adds a queued entry to the image.
func (w *Writer) release(q *queued) error {
	if err := w.ImageWriter.Add(&q.entry); err != nil || q.host == "" {
		return err
	}
	if err := w.ImageWriter.AddStream(&layer.Stream{Size: q.size}); err != nil {
		return err
	}
	if err := w.copyHost(q.host); err != nil {
		return err
	}
	for i := range q.streams {
		s := &q.streams[i]
		if err := w.ImageWriter.AddStream(&s.Stream); err != nil {
			return err
		}
		if err := w.spool.copyTo(w.ImageWriter, s); err != nil {
			return err
		}
	}
	return nil
}

// copyHost appends a file beside the image to the current stream.
func (w *Writer) copyHost(name string) error {
	f, err := w.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = copyTo(w.ImageWriter, f)
	return err
}

// addMade adds a file that no layer brings, with no times and the attribute NORMAL.
func (w *Writer) addMade(path, host string) error {
	st, err := w.root.Stat(host)
	if err != nil {
		return err
	}
	if err := w.ImageWriter.Add(&layer.Entry{Path: path, Kind: layer.File, Attributes: winfs.AttrNormal, Size: st.Size()}); err != nil {
		return err
	}
	if err := w.ImageWriter.AddStream(&layer.Stream{Size: st.Size()}); err != nil {
		return err
	}
	return w.copyHost(host)
}

// publish renames files and image to their final names, the image last. The writer of the
// image checks it before.
func (w *Writer) publish() error {
	if w.spool != nil {
		if err := w.spool.remove(); err != nil {
			return err
		}
		w.spool = nil
	}
	if err := publish.SyncTree(w.root); err != nil {
		return err
	}
	w.root = nil
	if err := w.dir.Commit(); err != nil {
		return err
	}
	if err := w.ImageWriter.Commit(); err != nil {
		// Without its image the directory is nothing.
		return errors.Join(err, publish.RemoveAll(w.layers, w.loc.base()))
	}
	return nil
}

// Close releases everything; without a successful Commit it removes the files written so
// far.
func (w *Writer) Close() error {
	var errs []error
	if w.file != nil {
		errs = append(errs, w.file.Close())
		w.file = nil
	}
	if w.spool != nil {
		errs = append(errs, w.spool.remove())
		w.spool = nil
	}
	if w.ImageWriter != nil {
		errs = append(errs, w.ImageWriter.Close())
	}
	if w.dir != nil {
		errs = append(errs, w.dir.Close())
		w.dir = nil
	}
	if w.parent != nil {
		errs = append(errs, w.parent.Close())
		w.parent = nil
	}
	for _, give := range []*func() error{&w.giveImages, &w.giveLayers} {
		if *give != nil {
			errs = append(errs, (*give)())
			*give = nil
		}
	}
	if w.err == nil {
		w.err = layer.ErrClosed
	}
	return errors.Join(errs...)
}

// failAt makes an error final.
func (w *Writer) failAt(path string, err error) error {
	w.err = w.place(path, err)
	return w.err
}

func (w *Writer) place(path string, err error) error {
	if errors.Is(err, fs.ErrExist) && !errors.Is(err, layer.ErrExists) {
		err = &translated{err, layer.ErrExists}
	}
	return fail("write cim layer", w.loc.String(), path, err)
}

// hostHive is the name beside an image of a hive, with slashes.
func hostHive(n hives.Name, f hives.Form) string {
	return strings.ReplaceAll(n.Path(f), `\`, "/")
}
