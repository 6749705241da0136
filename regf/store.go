package regf

import (
	"errors"
	"io"

	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
)

// New creates an empty hive in memory, as ORCreateHive does: a root named ROOT with
// offreg's default descriptor, version 1.5.
func New(opt *Options) *Hive {
	h := newHive("", opt)
	c := newCompactor(pageSize, pageSize)
	c.begin(5)
	const name = "ROOT"
	root, _ := c.alloc(nkSize + len32(name)) // cannot fail: the hive is empty
	sk, _ := c.sk(0, defaultSecurity())
	c.sks = []skEntry{{off: sk, refs: 1}}
	c.ring()
	n := c.at(root)
	put16(n, sigNK)
	put16(n[nkFlags:], flagNameLatin)
	put64(n[nkTime:], uint64(h.clock()))
	put32(n[nkParent:], nilCell)
	put32(n[nkList:], nilCell)
	put32(n[nkVolList:], nilCell)
	put32(n[nkValueList:], nilCell)
	put32(n[nkSecurity:], sk)
	put32(n[nkClass:], nilCell)
	put16(n[nkNameLen:], uint16(len(name)))
	copy(n[nkNameAt:], name)
	c.finish(root)
	h.data = c.out
	h.owned = true
	if err := h.start(nil); err != nil {
		panic("regf: new hive: " + err.Error()) // all inputs are constants
	}
	return h
}

func len32(s string) uint32 { return uint32(len(s)) }

// WriteOptions are the options for writing the edited image.
type WriteOptions struct {
	// Overwrite allows replacing an existing file. Without it that is ErrExists.
	Overwrite bool
}

// WriteImageFile writes the edited hive to a file without moving cells. It is the quick way to save
// a small change; WriteCompactFile compacts. After an edit both sequence numbers are one higher than
// before. The file appears complete or not at all; storing over the file that was opened is
// allowed, and the open hive keeps its old contents.
func (h *Hive) WriteImageFile(name string, opt *WriteOptions) error {
	overwrite := opt != nil && opt.Overwrite
	if h.streams() {
		return h.opError("store", "", -1, h.mergeToFile(name, overwrite))
	}
	b, err := h.image()
	if err == nil {
		err = writeFile(name, b, overwrite)
	}
	return h.opError("store", "", -1, err)
}

// WriteImage writes it to a writer. A view is merged into a temporary file first, see
// [MergeTo].
func (h *Hive) WriteImage(w io.Writer) error {
	if h.streams() {
		return h.opError("store", "", -1, h.mergeThrough(w))
	}
	b, err := h.image()
	if err == nil {
		err = h.writeParts(func(p []byte, _ int64) (int, error) { return w.Write(p) }, b)
	}
	return h.opError("store", "", -1, err)
}

// WriteImageAt writes it to a file, from the start of f on, and returns its size. Unlike
// WriteImage it needs no temporary file for a view. After an error f has a part of the hive.
func (h *Hive) WriteImageAt(f ReadWriterAt) (size int64, err error) {
	if h.streams() {
		size, err = MergeTo(h.view.ctx, f, h.view.layers, &h.view.opt)
		return size, h.opError("store", "", -1, err)
	}
	b, err := h.image()
	if err == nil {
		err = h.writeParts(f.WriteAt, b)
	}
	if err != nil {
		return 0, h.opError("store", "", -1, err)
	}
	return int64(len(b)), nil
}

// Image returns a copy of the bytes that WriteImage writes.
func (h *Hive) Image() ([]byte, error) {
	b, err := h.image()
	return append([]byte(nil), b...), h.opError("store", "", -1, err)
}

// streams reports whether the hive is a view, which is written out without holding it.
func (h *Hive) streams() bool { return h.bins != nil && h.view != nil }

// writeParts writes the image of a hive. Memory of a mapped hive is released in between.
func (h *Hive) writeParts(write func(p []byte, off int64) (int, error), b []byte) error {
	if h.resident == nil {
		_, err := write(b, 0)
		return err
	}
	for off := 0; off < len(b); off += residentMax / 2 {
		if _, err := write(b[off:min(off+residentMax/2, len(b))], int64(off)); err != nil {
			return err
		}
		h.releaseMapped()
	}
	return nil
}

// mergeThrough writes a view to w by way of a temporary file.
func (h *Hive) mergeThrough(w io.Writer) (err error) {
	f, err := tempfile.Create("", "mullion-hive-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := MergeTo(h.view.ctx, f, h.view.layers, &h.view.opt)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, ctxio.Reader(h.view.ctx, io.NewSectionReader(f, 0, size)), make([]byte, 1<<18))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// image updates the base block.
func (h *Hive) image() ([]byte, error) {
	if h.bins == nil {
		return nil, ErrClosed
	}
	if h.view != nil {
		m, err := h.merge()
		if err != nil {
			return nil, err
		}
		return m.data, nil
	}
	if h.dirty && h.edit == nil {
		return nil, ErrDirty
	}
	if err := h.loadAll(); err != nil {
		return nil, err
	}
	b := h.data[:baseSize+len(h.bins)]
	if h.edit != nil && h.edit.changed {
		h.edit.changed = false
		seq := u32(b[hdrPrimary:]) + 1
		put32(b[hdrPrimary:], seq)
		put32(b[hdrSecondary:], seq)
		put32(b[hdrBins:], uint32(len(h.bins)))
		put32(b[hdrChecksum:], HeaderChecksum(b))
		h.dirty = false
	}
	return b, nil
}
