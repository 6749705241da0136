package cimlayer

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// ImageWriter adds the entries of a layer to an image that is being written.
//
// Ancestors that the layer does not mention are made, as directories with default
// metadata, and take that of their own entry if one comes later. A file without
// attributes gets ARCHIVE, as on NTFS. A second entry for one path is refused, except for
// a directory, of which the last entry counts; so is an entry below a file, a symbolic
// link or a junction. A hard link whose target does not exist yet waits for it; at the
// end the target may be one of the parent's files, even one that the layer hides or
// replaces. A whiteout removes entries of the parent from the fork, regardless of the
// order of entries, and never an entry of the layer itself. Without a parent it is
// refused.
//
// A sparse main stream that is all hole is stored as one. The format
// knows no streams with data and holes, so other holes are stored as zeros.
type ImageWriter struct {
	w      *cimfs.Writer
	parent *cimfs.Image // of a fork, or nil
	opts   ImageOptions

	pending pendingFile
	path    string // current entry, for errors
	kind    layer.Kind
	hasMain bool
	names   []string // folded names of its alternate streams so far
	sparse  int64    // size of a sparse main stream of which nothing is known yet, otherwise -1
	hole    bool     // it is all hole

	links   []deferredLink
	waiting map[string]bool // folded paths of links; nil without a parent
	linked  map[string]bool // folded paths of the parent's files that links have named; likewise
	hidden  []hiding
	own     map[string]ownership // by folded path; nil without a parent
	lastDir string               // the directory that was looked at last, which is one and no link
	above   int64                // directories made for entries in them
	opened  bool                 // a stream of w is open
	zeros   []byte
	err     error // sticky
}

// ImageOptions change how an ImageWriter works.
type ImageOptions struct {
	// Name is that of the image, for errors.
	Name string
	// Lossy, if set, is called for each property that an image can't represent, and the
	// entry is written without it. If it is nil, such an entry is refused with
	// layer.ErrUnsupported. The only such property is the NTFS object identifier.
	Lossy func(path, what string)
}

type deferredLink struct{ path, target string }

// ownership is the kind of an entry that the layer itself added at a path of a fork.
type ownership uint8

const (
	ownFile ownership = 1 << iota
	ownDir
	ownBelow // something under it
)

type hiding struct {
	path   string
	opaque bool
}

// pendingFile is a file whose main stream has not come yet; the size is only known
// then.
type pendingFile struct {
	open bool
	meta cimfs.Meta
	size int64 // that the entry announced
}

var (
	_ layer.Writer       = (*ImageWriter)(nil)
	_ layer.ExtentWriter = (*ImageWriter)(nil)
)

// NewImageWriter returns a writer of entries over w, which it takes over: its
// Commit commits w and its Close closes it. For a fork parent is the image that w
// forks; it stays open and belongs to the caller. It is nil otherwise.
func NewImageWriter(w *cimfs.Writer, parent *cimfs.Image, opts ImageOptions) *ImageWriter {
	iw := &ImageWriter{w: w, parent: parent, opts: opts, sparse: -1}
	if parent != nil {
		iw.own = map[string]ownership{}
	}
	return iw
}

// SetRoot sets the metadata of the image's root, which is not an entry of a layer.
func (w *ImageWriter) SetRoot(e *layer.Entry) error {
	if err := w.finishEntry(); err != nil {
		return err
	}
	w.path, w.kind, w.names = "", layer.Dir, w.names[:0]
	m, err := metaOf(e)
	if err == nil {
		err = w.w.AddDir("", &m)
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// Add begins an entry.
func (w *ImageWriter) Add(e *layer.Entry) error {
	if err := w.finishEntry(); err != nil {
		return err
	}
	w.path, w.kind, w.hasMain, w.names = e.Path, e.Kind, false, w.names[:0]
	if err := w.add(e); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *ImageWriter) add(e *layer.Entry) error {
	if err := winfs.ValidatePath(e.Path); err != nil {
		return err
	}
	if e.Path == "" {
		return layer.ErrInvalidName
	}
	if len(e.ObjectID) > 0 {
		if w.opts.Lossy == nil {
			return &translated{errors.New("an image has no room for an object identifier"), layer.ErrUnsupported}
		}
		w.opts.Lossy(e.Path, "object identifier")
	}
	switch e.Kind {
	case layer.Whiteout, layer.Opaque:
		if w.parent == nil {
			return &translated{errors.New("there is no parent image whose content it could hide"), layer.ErrWhiteout}
		}
		w.hidden = append(w.hidden, hiding{e.Path, e.Kind == layer.Opaque})
		return nil
	case layer.Link:
		if err := winfs.ValidatePath(e.Target); err != nil {
			return err
		}
		if e.Target == "" || winfs.EqualFold(e.Target, e.Path) {
			return layer.ErrLinkTarget
		}
		if ok, err := w.tryLink(e.Path, e.Target, false); ok || err != nil {
			return err
		}
		w.links = append(w.links, deferredLink{e.Path, e.Target})
		if w.parent != nil {
			if w.waiting == nil {
				w.waiting = map[string]bool{}
			}
			w.waiting[winfs.Fold(e.Path)] = true
		}
		return nil
	case layer.Dir:
		if err := w.makeRoom(e.Path, ownDir, isLink(e)); err != nil {
			return err
		}
		m, err := metaOf(e)
		if err != nil {
			return err
		}
		w.note(e.Path, ownDir)
		return w.w.AddDir(e.Path, &m)
	case layer.File:
		if err := w.makeRoom(e.Path, ownFile, false); err != nil {
			return err
		}
		m, err := metaOf(e)
		if err != nil {
			return err
		}
		w.note(e.Path, ownFile)
		w.keep(m, e.Size)
		return nil
	}
	return &translated{errors.New(e.Kind.String()), layer.ErrUnsupported}
}

// metaOf converts an entry's metadata; the result shares memory with e.
func metaOf(e *layer.Entry) (cimfs.Meta, error) {
	m := cimfs.Meta{Attributes: e.Attributes, Times: e.Times, Security: e.Security, Reparse: e.Reparse}
	if m.Attributes == 0 && e.Kind == layer.File {
		m.Attributes = winfs.AttrArchive
	}
	var err error
	m.EAs, err = winfs.EncodeEAs(e.EAs)
	return m, err
}

// keep copies m until the main stream comes, into buffers that are used again.
func (w *ImageWriter) keep(m cimfs.Meta, size int64) {
	p := &w.pending
	fill := func(buf, b []byte) []byte {
		if b == nil {
			return nil
		}
		return append(buf[:0], b...)
	}
	security, eas, reparse := fill(p.meta.Security, m.Security), m.EAs, fill(p.meta.Reparse, m.Reparse)
	p.meta = m
	p.meta.Security, p.meta.EAs, p.meta.Reparse = security, eas, reparse
	p.open, p.size = true, size
}

// isLink reports whether an entry is a symbolic link or junction.
func isLink(e *layer.Entry) bool {
	return len(e.Reparse) >= 4 && winfs.IsNameSurrogate(binary.LittleEndian.Uint32(e.Reparse))
}

// makeParent makes the directories above path that do not exist.
func (w *ImageWriter) makeParent(path string) error {
	dir, _ := winfs.SplitPath(path)
	if dir == "" || dir == w.lastDir {
		return nil
	}
	if there := w.w.Stat(dir); there.Exists {
		if !there.Dir || there.Link {
			return layer.ErrNotDirectory
		}
	} else {
		if err := w.makeParent(dir); err != nil {
			return err
		}
		w.above++
		w.note(dir, ownDir)
		if err := w.w.AddDir(dir, &cimfs.Meta{Attributes: winfs.AttrDirectory}); err != nil {
			return err
		}
	}
	w.lastDir = strings.Clone(dir)
	return nil
}

// makeRoom creates the parent directory of an entry and removes the entry of the parent
// image that it replaces. A second entry of the layer for one path is refused, except for
// a directory, of which the last entry counts, as in a union.
func (w *ImageWriter) makeRoom(path string, as ownership, link bool) error {
	if err := w.makeParent(path); err != nil {
		return err
	}
	there := w.w.Stat(path)
	if !there.Exists {
		return nil
	}
	own := w.own[winfs.Fold(path)]
	directory := as == ownDir && !link && there.Dir
	switch {
	case !there.Old || own&(ownFile|ownDir) != 0:
		if directory && !there.Link {
			return w.w.RemoveStreams(path)
		}
		if _, name := winfs.SplitPath(path); name != there.Name && !there.Old {
			return layer.ErrCaseConflict
		}
		return layer.ErrDuplicate
	case directory:
		return w.w.RemoveStreams(path)
	case !there.Dir && w.linked[winfs.Fold(path)]:
		// Links to the parent's file keep it. Written over, it would be one file with them.
		return w.w.Remove(path)
	case !there.Dir:
		return nil
	case own != 0:
		return &translated{errors.New("the layer has entries below it"), layer.ErrNotDirectory}
	}
	w.lastDir = ""
	return w.w.Remove(path)
}

// note records that the layer has brought a file or directory to path.
func (w *ImageWriter) note(path string, as ownership) {
	if w.own == nil {
		return
	}
	p := winfs.Fold(path)
	w.own[p] = w.own[p]&ownBelow | as
	for p != "" {
		p, _ = winfs.SplitPath(p)
		if w.own[p]&ownBelow != 0 {
			return
		}
		w.own[p] |= ownBelow
	}
}

// inherits reports whether a path shows a file of the parent that the layer neither hides
// nor replaces.
func (w *ImageWriter) inherits(path string) bool {
	there := w.w.Stat(path)
	if !there.Exists || !there.Old || there.Dir {
		return false
	}
	for _, h := range w.hidden {
		if winfs.Under(path, h.path) || !h.opaque && winfs.EqualFold(path, h.path) {
			return false
		}
	}
	return true
}

// tryLink links if the target is there: in this layer, or in the parent where this layer
// has put nothing before. At the end everything is there that will be.
func (w *ImageWriter) tryLink(path, target string, atEnd bool) (bool, error) {
	there := w.w.Stat(target)
	key := winfs.Fold(target)
	var lost *cimfs.File // file that the layer's own entry replaces or has replaced
	switch {
	case atEnd || w.parent == nil || w.own[key]&ownFile != 0:
		if !atEnd && !there.Exists {
			return false, nil
		}
		if there.Dir {
			return false, layer.ErrLinkTarget
		}
	case w.waiting[key]:
		return false, nil
	default:
		// The layer has no entry there so far, so the link refers to the parent's file, even
		// if a later entry replaces that.
		f, err := w.ofParent(target)
		if errors.Is(err, layer.ErrLinkTarget) {
			return false, nil
		}
		if f == nil {
			return false, err
		}
		if there.Dir {
			return false, layer.ErrLinkTarget // the layer has made a directory of it
		}
	}
	if lost == nil && (!there.Exists || winfs.Under(target, path)) {
		var err error
		if lost, err = w.ofParent(target); lost == nil {
			return false, err
		}
	}
	if err := w.makeRoom(path, ownFile, false); err != nil {
		return false, err
	}
	w.note(path, ownFile)
	if lost == nil {
		if w.parent != nil && w.own[key]&ownFile == 0 {
			if w.linked == nil {
				w.linked = map[string]bool{}
			}
			w.linked[key] = true
		}
		return true, w.w.Link(path, target)
	}
	return true, w.w.LinkParent(path, lost.ID())
}

// ofParent returns a file of the parent image, nil if there is none of that name.
func (w *ImageWriter) ofParent(path string) (*cimfs.File, error) {
	if w.parent == nil {
		return nil, nil
	}
	f, err := w.parent.Lookup(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cimfs.ErrNotDirectory) {
		return nil, nil
	}
	if err == nil && f.IsDir() {
		err = layer.ErrLinkTarget
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// AddStream begins a stream of the entry.
func (w *ImageWriter) AddStream(s *layer.Stream) error {
	if err := w.finishStream(); err != nil {
		return err
	}
	if err := w.addStream(s); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *ImageWriter) addStream(s *layer.Stream) error {
	if w.kind != layer.File && w.kind != layer.Dir || s.Size < 0 {
		return cimfs.ErrSequence
	}
	if s.Name == "" {
		if w.kind != layer.File || w.hasMain || !w.pending.open {
			return cimfs.ErrSequence
		}
		w.hasMain = true
		if s.Sparse && s.Size > 0 {
			w.sparse, w.hole = s.Size, false
			return nil
		}
		return w.addPending(s.Size, false)
	}
	if err := w.addEmpty(); err != nil {
		return err
	}
	name := winfs.Fold(s.Name)
	if slices.Contains(w.names, name) {
		return layer.ErrDuplicate
	}
	w.names = append(w.names, name)
	w.hasMain, w.opened = true, true
	return w.w.CreateStream(w.path, s.Name, s.Size)
}

// addPending adds the file that waits for its main stream, if one does.
func (w *ImageWriter) addPending(size int64, hole bool) error {
	if !w.pending.open {
		return nil
	}
	w.pending.open, w.opened = false, !hole
	if w.pending.meta.Hole = hole; hole {
		w.pending.meta.Attributes |= winfs.AttrSparse
	}
	return w.w.AddFile(w.path, &w.pending.meta, size)
}

// addEmpty adds the file that waits, whose main stream was left out.
func (w *ImageWriter) addEmpty() error {
	if w.pending.open && w.pending.size > 0 {
		return layer.ErrStreamSize
	}
	return w.addPending(0, false)
}

// Write appends to the current stream.
func (w *ImageWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if w.sparse >= 0 {
		if err := w.storeSparse(); err != nil {
			return 0, w.fail(err)
		}
	}
	n, err := w.w.Write(p)
	if err != nil {
		err = w.fail(err)
	}
	return n, err
}

// storeSparse turns the sparse stream to a stored one: it has data.
func (w *ImageWriter) storeSparse() error {
	size := w.sparse
	w.sparse = -1
	if w.hole {
		return layer.ErrStreamSize // it has all its bytes
	}
	return w.addPending(size, false)
}

// DirectoriesMade implements layer.DirectoryMaker.
func (w *ImageWriter) DirectoriesMade() int64 { return w.above }

// FillsHole implements layer.HoleFiller: the only hole that an image keeps is a whole
// stream.
func (w *ImageWriter) FillsHole(n int64) bool { return w.sparse < 0 || w.hole || n != w.sparse }

// WriteHole appends zeros to the current stream.
func (w *ImageWriter) WriteHole(n int64) error {
	if w.err != nil {
		return w.err
	}
	if n < 0 {
		return w.fail(layer.ErrStreamSize)
	}
	if n == 0 {
		return nil
	}
	if !w.FillsHole(n) {
		w.hole = true
		return nil
	}
	if w.sparse >= 0 {
		if err := w.storeSparse(); err != nil {
			return w.fail(err)
		}
	}
	if err := w.writeZeros(n); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *ImageWriter) writeZeros(n int64) error {
	if n > 0 && w.zeros == nil {
		w.zeros = make([]byte, 1<<16)
	}
	for n > 0 {
		k := min(n, int64(len(w.zeros)))
		if _, err := w.w.Write(w.zeros[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// finishStream ends the current stream, which must be complete.
func (w *ImageWriter) finishStream() error {
	if w.err != nil {
		return w.err
	}
	if size := w.sparse; size >= 0 {
		w.sparse = -1
		if !w.hole {
			return w.fail(layer.ErrStreamSize)
		}
		if err := w.addPending(size, true); err != nil {
			return w.fail(err)
		}
		return nil
	}
	if w.opened {
		w.opened = false
		if err := w.w.CloseStream(); err != nil {
			return w.fail(err)
		}
	}
	return nil
}

func (w *ImageWriter) finishEntry() error {
	if err := w.finishStream(); err != nil {
		return err
	}
	if !w.pending.open {
		return nil
	}
	if err := w.addEmpty(); err != nil {
		return w.fail(err)
	}
	return w.finishStream()
}

// Commit makes the links that waited for their targets, removes the entries that the
// layer hides, and publishes the image.
func (w *ImageWriter) Commit() error {
	if err := w.finishEntry(); err != nil {
		return err
	}
	if err := w.linkDeferred(); err != nil {
		return w.fail(err)
	}
	w.path = ""
	for _, h := range w.hidden {
		w.path = h.path
		if err := w.hide(h.path, !h.opaque); err != nil {
			return w.fail(err)
		}
	}
	w.path = ""
	if err := w.w.Commit(); err != nil {
		return w.fail(err)
	}
	w.err = layer.ErrClosed
	return nil
}

// linkDeferred makes the links that waited for their targets. The target may be such a
// link itself and is then made first. Each link is made once.
func (w *ImageWriter) linkDeferred() error {
	const following, linked = 1, 2
	byPath := make(map[string]int, len(w.links))
	for i, l := range w.links {
		byPath[winfs.Fold(l.path)] = i
	}
	state := make([]uint8, len(w.links))
	var chain []int
	for i := range w.links {
		for waits := true; waits && state[i] == 0; {
			state[i], w.path = following, w.links[i].path
			chain = append(chain, i)
			if i, waits = byPath[winfs.Fold(w.links[i].target)]; waits && state[i] == following {
				return &translated{errors.New("links lead in a circle"), layer.ErrLinkTarget}
			}
		}
		for ; len(chain) > 0; chain = chain[:len(chain)-1] {
			i := chain[len(chain)-1]
			l := w.links[i]
			w.path = l.path
			ok, err := w.tryLink(l.path, l.target, true)
			if err != nil {
				return err
			}
			if !ok {
				return &translated{errors.New("target " + l.target + " does not exist"), layer.ErrLinkTarget}
			}
			state[i] = linked
		}
	}
	return nil
}

// hide removes the parent image's entries below path, and with self the one at path, but
// no entry that the layer itself added.
func (w *ImageWriter) hide(path string, self bool) error {
	f, err := w.parent.Lookup(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cimfs.ErrNotDirectory) {
		return nil // Windows ignores a whiteout of nothing, too
	}
	if err != nil {
		return err
	}
	own := w.own[winfs.Fold(path)]
	if own&ownFile != 0 {
		return nil
	}
	if self && own == 0 {
		err := w.w.Remove(path)
		// If the layer has replaced a directory above it by a file, it is gone already.
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cimfs.ErrNotDirectory) {
			err = nil
		}
		return err
	}
	if self && own&ownDir == 0 {
		// Only the layer's entries below keep the directory there, so nothing of the
		// hidden one but its name stays.
		err := w.w.AddDir(path, &cimfs.Meta{Attributes: winfs.AttrDirectory})
		if err == nil {
			err = w.w.RemoveStreams(path)
		}
		if err != nil {
			return err
		}
	}
	if !f.IsDir() {
		return nil
	}
	for e, err := range f.Entries() {
		if err != nil {
			return err
		}
		if err := w.hide(winfs.JoinPath(path, e.Name), true); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the image writer; without a successful Commit it removes the files
// written so far.
func (w *ImageWriter) Close() error {
	if w.err == nil {
		w.err = layer.ErrClosed
	}
	return w.w.Close()
}

// fail makes an error final.
func (w *ImageWriter) fail(err error) error {
	w.err = fail("write cim", w.opts.Name, w.path, err)
	return w.err
}
