package regf

import (
	"io"
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
	b, err := h.image()
	if err == nil {
		err = writeFile(name, b, opt != nil && opt.Overwrite)
	}
	return h.opError("store", "", -1, err)
}

// WriteImage writes it to a writer.
func (h *Hive) WriteImage(w io.Writer) error {
	b, err := h.image()
	if err == nil {
		_, err = w.Write(b)
	}
	return h.opError("store", "", -1, err)
}

// Image returns a copy of the bytes that WriteImage writes.
func (h *Hive) Image() ([]byte, error) {
	b, err := h.image()
	return append([]byte(nil), b...), h.opError("store", "", -1, err)
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
