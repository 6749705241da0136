package regf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// errView is the error of what needs a hive of its own.
var errView error = fmt.Errorf("this is a view of a merged hive, which can be read and written out: %w", ErrUnsupported)

// view is what a merged view needs besides its cells.
type view struct {
	ctx    context.Context // of MergeView, for writing the view out
	opt    MergeOptions
	layers []*Hive
	// moved maps the cell of a key of the base to that of the key in its place, of which
	// its subkeys are subkeys.
	moved map[uint32]uint32
	// written is the first cell that is not of the base.
	written uint32
}

// MergeView returns the hive that [Merge] makes, without making it: a view that reads the
// keys to which only the base contributes from the base, and has written anew only the keys
// that a layer above it has, or hides a subkey of. So it takes memory and time for the
// layers above the base and the subkeys of the keys in them, however large the base is.
//
// Everything that is read of the view is as in the merged hive, except for what a merged
// hive sets right: a damaged part of the base is an error only when it is reached, keys and
// values have the order of the base, and where it has two values of one name, both are
// read. Offsets differ, and so do the lengths of the longest names ([Key.Info]), which the
// base declares. Writing the view merges it into a file, see [MergeTo], and ends when ctx
// does; only [Hive.Image] and [Hive.WriteCompact] take the memory of the whole hive. An edit
// or a check of the view is ErrUnsupported.
//
// With Fold, and where the base cannot be shared, because it is in memory, was edited, is
// older than version 1.4 or was opened to salvage, MergeView merges. Errors are those of
// Merge.
//
// The view owns the layers: they must not be closed, but Close closes them with the view.
// If MergeView fails, they stay open.
func MergeView(ctx context.Context, layers []*Hive, opt *MergeOptions) (*Hive, error) {
	if opt == nil {
		opt = &MergeOptions{}
	}
	if len(layers) < 2 || opt.Fold || layers[0] == nil || !layers[0].sharable() {
		h, err := Merge(ctx, layers, opt)
		if err != nil {
			return nil, err
		}
		if err := closeAll(layers); err != nil {
			return nil, err
		}
		return h, nil
	}
	h, err := mergeView(ctx, layers, opt)
	if err != nil {
		return nil, (*Hive)(nil).opError("merge", "", -1, err)
	}
	return h, nil
}

func closeAll(layers []*Hive) error {
	var errs []error
	for _, h := range layers {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// sharable reports whether the cells of the hive can be read from its file at the place at
// which they are now.
func (h *Hive) sharable() bool {
	return h.bins != nil && h.edit == nil && h.view == nil && h.mode != Salvage && h.minor > 3 && h.cellHdr == 4 &&
		(h.file != nil || h.lazy != nil)
}

func mergeView(ctx context.Context, layers []*Hive, opt *MergeOptions) (*Hive, error) {
	if opt.Minor != 0 && (opt.Minor < 3 || opt.Minor > 6) {
		return nil, ErrInvalid
	}
	base := layers[0]
	if err := mergeable(ctx, layers, false, true); err != nil {
		return nil, err
	}
	above, source := 0, 0
	for i, h := range layers {
		source += len(h.bins)
		if i > 0 {
			above += len(h.bins)
		}
	}
	m := &merger{ctx: ctx, opt: *opt, treeWriter: newTreeWriter(5, false, above, source), moved: map[uint32]uint32{}}
	m.below, m.origin = base, uint32(len(base.bins))
	if err := m.survey(layers); err != nil {
		return nil, err
	}
	if err := m.writeAll(); err != nil {
		return nil, err
	}
	b := m.image()
	stamp(b, opt.Now)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	h := newHive(base.name, &Options{Mode: base.mode, AllowHarmless: base.allowHarmless, Warn: base.warn, Content: base.content})
	h.view = &view{ctx: ctx, opt: *opt, layers: layers, moved: m.moved, written: m.origin}
	if err := h.share(base, b); err != nil {
		return nil, err
	}
	h.minor, h.cellHdr, h.root = 5, 4, m.root
	h.makeTables()
	unmap := h.unmap
	h.unmap = func() error {
		if unmap != nil {
			return errors.Join(unmap(), closeAll(layers))
		}
		return closeAll(layers)
	}
	return h, nil
}

// share makes the memory of a view: the base block of written, the bins of the base, and the
// bins of written.
func (h *Hive) share(base *Hive, written []byte) error {
	below := baseSize + len(base.bins)
	total := below + len(written) - baseSize
	if total-baseSize > maxBins {
		return errBinsLimit
	}
	var r io.ReaderAt = base.file
	if base.lazy != nil {
		r = base.lazy.r
	} else if data, unmap, err := mapAgain(base.file, below, total); err == nil {
		h.data, h.unmap = data, unmap
		// The base block and the bins above the base are in memory alone.
		if page := os.Getpagesize(); canRelease && below > 2*page {
			h.resident = &residence{mapping: data[page : below&^(page-1)]}
		}
	}
	if h.data == nil {
		h.data = make([]byte, total)
		h.lazy = newPageSource(r, int64(total))
		h.lazy.have[0] |= 1
		for p := below / pageSize; p < total/pageSize; p++ {
			h.lazy.have[p/64] |= 1 << (p % 64)
		}
	}
	copy(h.data, written[:baseSize])
	copy(h.data[below:], written[baseSize:])
	h.adopt(h.data, total-baseSize)
	return nil
}

// merge makes the hive of which h is a view.
func (h *Hive) merge() (*Hive, error) {
	return Merge(h.view.ctx, h.view.layers, &h.view.opt)
}

// shared reports whether the result has the key where the base has it, with all below it.
func (m *merger) shared(p planned) bool {
	return m.below != nil && p.source != manyNodes && m.roots[p.source].h == m.below
}

// share enters a key of the base in the list of its parent.
func (m *merger) share(p planned, at slotAt) error {
	b, name, err := m.below.nk(p.node)
	if err != nil {
		return err
	}
	latin := m.below.latinKey(b)
	m.slot(at.list, int(at.index), p.node, name, latin)
	up := m.at(at.parent)
	raiseName(up, 2*unitsOf(name, latin))
	if b[nkLayer]&inheritClass == 0 {
		raise(up[nkMaxClass:], uint32(u16(b[nkClassLen:])))
	}
	return nil
}

// parent returns the cell of the parent that a key with cell b has.
func (h *Hive) parent(b []byte) uint32 {
	p := u32(b[nkParent:])
	if h.view != nil {
		if at, ok := h.view.moved[p]; ok {
			return at
		}
	}
	return p
}

// inView reports whether the bits of the key's node are read as merging writes them.
func (k Key) inView() bool { return k.h != nil && k.h.view != nil }

// brokenLink reports whether a key of a view, with cell b, is a symbolic link whose values
// merging drops.
func (k Key) brokenLink(b []byte) bool {
	if u16(b[nkFlags:])&uint16(KeySymlink) == 0 || k.off >= k.h.view.written {
		return false
	}
	list, err := k.h.cell(u32(b[nkValueList:]))
	if u32(b[nkValues:]) != 1 || err != nil || len(list) < 4 {
		return u32(b[nkValues:]) != 0 && err == nil
	}
	v := Value{h: k.h, off: u32(list), key: k.off}
	return v.Valid() && !soundLink([]outValue{{Value: v}})
}
