package cimfs

import "bytes"

// oldObjects finds objects of a region of a parent by content. The object table of the
// region is sorted and is searched where it is. One that is missing or broken costs
// space in the fork and nothing else.
type oldObjects struct {
	im     *Image
	index  int // of the region
	typ    RegionType
	src    Source // of the table, opened at the first search
	at     int64
	count  int64
	opened bool
}

func (t *oldObjects) find(length uint64, d *digest) (RegionOffset, bool) {
	if !t.opened {
		t.opened = true
		src, at, count, err := t.im.objectsIn(t.index)
		if err != nil {
			return 0, false
		}
		t.src, t.at, t.count = &cachedSource{Source: src}, at, count
	}
	want := object{length: length, digest: *d}
	var b [objectEntrySize]byte
	lo, hi := int64(0), t.count
	for lo < hi {
		mid := (lo + hi) / 2
		if readFull(t.src, b[:], t.at+mid*objectEntrySize) != nil {
			return 0, false
		}
		o := decodeObject(b[:], t.index)
		switch k := o.compare(&want); {
		case k < 0:
			lo = mid + 1
		case k > 0:
			hi = mid
		default:
			off := o.at.Offset()
			return o.at, o.at.Region() == t.index && off >= t.typ.start() && off%t.typ.align() == 0
		}
	}
	return 0, false
}

func (t *oldObjects) close() {
	if t.src != nil {
		t.src.Close()
	}
	t.opened, t.src, t.count = true, nil, 0
}

// findOld looks for an object in the regions of the parents, oldest first. same compares
// the object with the one that was found: an object table is only a claim, and a wrong one must not
// change files of the fork.
func (r *regionOut) findOld(length int64, d *digest, same func(RegionOffset) bool) (RegionOffset, bool) {
	for _, t := range r.inherited {
		if at, ok := t.find(uint64(length), d); ok && same(at) {
			return at, true
		}
	}
	return 0, false
}

// sameAs compares bytes with an object of a parent.
func (p *placer) sameAs(at RegionOffset, want []byte) bool {
	if p.compare == nil {
		p.compare = make([]byte, 64<<10)
	}
	for len(want) > 0 {
		n := min(len(want), len(p.compare))
		if p.parent.read(at, p.compare[:n]) != nil || !bytes.Equal(p.compare[:n], want[:n]) {
			return false
		}
		at, want = at+RegionOffset(n), want[n:]
	}
	return true
}

func (p *placer) sameAsSegments(at RegionOffset, j *job) bool {
	for _, s := range j.segments {
		if !p.sameAs(at, s.b) {
			return false
		}
		at += RegionOffset(len(s.b))
	}
	return true
}

func (p *placer) sameAsFile(at RegionOffset, f *outFile, off, n int64) bool {
	b := make([]byte, 64<<10)
	for n > 0 {
		k := min(n, int64(len(b)))
		if readFull(f.f, b[:k], off) != nil || !p.sameAs(at, b[:k]) {
			return false
		}
		at, off, n = at+RegionOffset(k), off+k, n-k
	}
	return true
}

// sameObjects compares the first n bytes of two objects of the parent.
func (p *placer) sameObjects(x, y RegionOffset, n int64) bool {
	b := make([]byte, 64<<10)
	for n > 0 {
		k := min(n, int64(len(b)))
		if p.parent.read(y, b[:k]) != nil || !p.sameAs(x, b[:k]) {
			return false
		}
		x, y, n = x+RegionOffset(k), y+RegionOffset(k), n-k
	}
	return true
}

// copyOld writes the first n bytes of an object of the parent to f at off.
func (p *placer) copyOld(from RegionOffset, f *outFile, off, n int64) error {
	b := make([]byte, 64<<10)
	for n > 0 {
		k := min(n, int64(len(b)))
		if err := p.parent.read(from, b[:k]); err != nil {
			return err
		}
		if err := f.writeAt(b[:k], off); err != nil {
			return err
		}
		from, off, n = from+RegionOffset(k), off+k, n-k
	}
	return nil
}

// oldContent returns the object with the content of a file of the parent, if it is plain
// and has size bytes, or 0.
func (w *Writer) oldContent(path string, size int64) RegionOffset {
	if w.parent == nil {
		return 0
	}
	f, err := w.parent.Lookup(path)
	if err != nil { // a file that is not there, or that cannot be read, saves nothing
		return 0
	}
	s := f.rec.data
	if s.kind() != PlainStream || s.packed != uint64(size) {
		return 0
	}
	return RegionOffset(s.offset)
}
