package cimfs

import (
	"bytes"
	"sync/atomic"

	"github.com/mullion/mullion/winfs"
)

// upcasePages is the image's own upcase table, read page by page as comparisons
// ask for it: a lookup of a Latin name costs 512 bytes and not 128 KiB.
type upcasePages struct {
	pages [65536 / upcasePageUnits]atomic.Pointer[upcasePage]
}

const upcasePageUnits = 256

type upcasePage [upcasePageUnits]uint16

// fold maps one unit through the table of the image.
func (im *Image) fold(u uint16) (uint16, error) {
	slot := &im.upcase.pages[u/upcasePageUnits]
	p := slot.Load()
	if p == nil {
		var b [upcasePageUnits * 2]byte
		if err := im.read(im.upcaseAt+RegionOffset(u/upcasePageUnits)*upcasePageUnits*2, b[:]); err != nil {
			return 0, err
		}
		p = new(upcasePage)
		for i := range p {
			p[i] = le.Uint16(b[2*i:])
		}
		slot.Store(p) // a race stores equal pages
	}
	return p[u%upcasePageUnits], nil
}

// foldInto replaces units by their upper case.
func (im *Image) foldInto(units []uint16) error {
	for i, u := range units {
		f, err := im.fold(u)
		if err != nil {
			return err
		}
		units[i] = f
	}
	return nil
}

// compareFolded orders little-endian units as they are stored in a table against
// folded units.
func (im *Image) compareFolded(name []byte, folded []uint16) (int, error) {
	n := len(name) / 2
	for i := range min(n, len(folded)) {
		u, err := im.fold(le.Uint16(name[2*i:]))
		if err != nil {
			return 0, err
		}
		if u != folded[i] {
			if u < folded[i] {
				return -1, nil
			}
			return 1, nil
		}
	}
	return n - len(folded), nil
}

// StandardUpcase reports whether the upcase table of the image is the one of all
// genuine images, [winfs.AppendUpcaseTable]. It reads the whole table.
func (im *Image) StandardUpcase() (bool, error) {
	b := make([]byte, winfs.UpcaseTableSize)
	if err := im.read(im.upcaseAt, b); err != nil {
		return false, im.fail("read upcase table", "", err)
	}
	return bytes.Equal(b, winfs.AppendUpcaseTable(nil)), nil
}
