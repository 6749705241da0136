package cimfs

import "io"

// regionOut is a region file in the making, with the objects in it.
type regionOut struct {
	s         *staging
	version   Version
	typ       RegionType
	index     int // own index, -1 until the first object is kept
	f         *outFile
	objectOut *outFile // of the object table
	end       int64    // offset of the next object, aligned
	buf       []byte
	bufAt     int64
	objects   *objectTable
	// inherited are the objects of the parents of a fork in regions of the same type.
	inherited []*oldObjects
}

const regionBuffer = 256 << 10

func newRegionOut(s *staging, v Version, typ RegionType) *regionOut {
	return &regionOut{s: s, version: v, typ: typ, index: -1, objects: newObjectTable(), end: typ.start(), bufAt: typ.start()}
}

func (r *regionOut) tempName() string {
	return "region-" + [...]string{"metadata", "data", "small"}[r.typ]
}

func (r *regionOut) file() (*outFile, error) {
	if r.f == nil {
		f, err := r.s.create(r.tempName())
		if err != nil {
			return nil, err
		}
		r.f = f
	}
	return r.f, nil
}

// append adds an object and its padding.
func (r *regionOut) append(b []byte) error {
	if err := r.write(b); err != nil {
		return err
	}
	return r.pad()
}

// write adds bytes at the end of the region, through the buffer if they are few.
func (r *regionOut) write(b []byte) error {
	if err := r.room(int64(len(b))); err != nil {
		return err
	}
	if len(b) < regionBuffer/4 {
		r.buf = append(r.buf, b...)
		r.end += int64(len(b))
		return nil
	}
	if err := r.flush(); err != nil {
		return err
	}
	f, err := r.file()
	if err == nil {
		err = f.writeAt(b, r.end)
	}
	r.end += int64(len(b))
	r.bufAt = r.end
	return err
}

// pad ends an object.
func (r *regionOut) pad() error {
	next := roundUp(r.end, r.typ.align())
	r.buf = append(r.buf, zeroPage[:next-r.end]...)
	r.end = next
	if len(r.buf) >= regionBuffer {
		return r.flush()
	}
	return nil
}

func (r *regionOut) flush() error {
	if len(r.buf) == 0 {
		return nil
	}
	f, err := r.file()
	if err != nil {
		return err
	}
	if err := f.writeAt(r.buf, r.bufAt); err != nil {
		return err
	}
	r.bufAt += int64(len(r.buf))
	r.buf = r.buf[:0]
	return nil
}

func (r *regionOut) room(n int64) error {
	if n > maxOffset-pageSize-r.end {
		return because(ErrMetadata, "the %v region would pass 2^48 bytes", r.typ)
	}
	return nil
}

// finish writes the header and sets the padded length of the file.
func (r *regionOut) finish() error {
	if err := r.flush(); err != nil {
		return err
	}
	f, err := r.file()
	if err != nil {
		return err
	}
	b := appendCommon(nil, kindRegion, regionHeaderSize, r.version)
	b = append(b, 0, 0, byte(r.typ), 0, 0, 0, 0, 0) // the index word is 0 in every region
	if err := f.writeAt(b, 0); err != nil {
		return err
	}
	return f.truncate(r.end)
}

// writeObjects writes the object table of the region to f and the same bytes to sum. The list of objects, which is sorted, is given up.
//
// The table has the index of the region over those of all parents, which are base.
func (r *regionOut) writeObjects(f *outFile, base int, sum io.Writer) error {
	n := r.objects.list.len()
	if n > 1<<32-1 {
		return because(ErrLimit, "more than 2^32 objects")
	}
	b := make([]byte, 0, 64<<10)
	b = appendCommon(b, kindObjectID, objectHeaderSize, r.version)
	b = le.AppendUint16(b, uint16(base+r.index))
	b = append(b, byte(r.typ), 0, 0, 0, 0, 0)
	b = le.AppendUint32(b, objectHeaderSize)
	b = le.AppendUint32(b, uint32(n))
	off := int64(0)
	for i := range n {
		b = r.objects.list.at(i).append(b)
		if i < n-1 && len(b)+objectEntrySize <= cap(b) {
			continue
		}
		if err := f.writeAt(b, off); err != nil {
			return err
		}
		sum.Write(b)
		off += int64(len(b))
		b = b[:0]
	}
	r.objects = nil
	return nil
}

func appendCommon(b []byte, kind byte, length int, v Version) []byte {
	b = append(b, magic...)
	b = le.AppendUint32(b, uint32(length))
	b = append(b, kind, 0, 0, 0)
	b = le.AppendUint32(b, uint32(v))
	b = le.AppendUint32(b, 0)
	return le.AppendUint64(b, 0)
}

// put stores a metadata object once and returns where it is.
func (p *placer) put(b []byte) (RegionOffset, error) { return p.putDigest(b, digestOf(b)) }

// putDigest is put for an object whose digest is known.
func (p *placer) putDigest(b []byte, d digest) (RegionOffset, error) {
	r := p.regions[MetadataRegion]
	if at, ok := r.objects.find(uint64(len(b)), &d); ok {
		return at, nil
	}
	if at, ok := r.findOld(int64(len(b)), &d, func(at RegionOffset) bool { return p.sameAs(at, b) }); ok {
		return at, nil
	}
	at := p.keep(r, r.end, int64(len(b)), d)
	return at, r.append(b)
}

// keep enters an object into the table of its region, which by its first object
// gets the next index.
func (p *placer) keep(r *regionOut, off, length int64, d digest) RegionOffset {
	if r.index < 0 {
		r.index = p.nextIndex
		p.nextIndex++
	}
	at := at(p.ownBase+r.index, off)
	r.objects.add(object{uint64(length), d, at})
	return at
}

// putCounted stores bytes with their count before them.
func (p *placer) putCounted(b []byte) (uint64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if at, ok := p.counted[string(b)]; ok {
		return at, nil
	}
	at, err := p.put(append(le.AppendUint16(make([]byte, 0, 2+len(b)), uint16(len(b))), b...))
	if len(p.counted) < 4096 && len(b) <= 1024 { // most images have a few dozen descriptors
		p.counted[string(b)] = uint64(at)
	}
	return uint64(at), err
}
