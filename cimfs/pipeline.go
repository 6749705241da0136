package cimfs

import (
	"bytes"
	"crypto/sha512"
	"hash"
	"sync"
	"sync/atomic"
)

// How content flows from Write into the regions:
//
//	caller    copies bytes into chunks, cuts PE images, asks for a digest
//	hashers   compute digests, on all processors, of several files at once
//	placer    takes files in the order in which they were added, looks for their
//	          digests, gives them their places and writes
//
// Because only the placer decides, the result does not depend on timing. A file of
// at most bufferedMax bytes waits for its digest in memory and is written only if
// it is new. A larger one is written at the end of the region while it is hashed,
// and the end is taken back when the digest is known already.
const (
	chunkSize   = 256 << 10
	chunkCount  = 64 // 16 MiB
	bufferedMax = 4 * chunkSize
	queueLength = 1024
)

// chunk is a piece of memory shared by several files; refs counts its users.
type chunk struct {
	refs atomic.Int32
	n    int
	b    [chunkSize]byte
}

type segment struct {
	c *chunk
	b []byte
}

// job is the content of one stream on its way.
type job struct {
	stored  int64 // bytes that the region takes
	logical int64
	pe      *pePlan // nil for plain
	inline  bool    // digest is set by the caller

	segments []segment    // buffered
	toHash   chan segment // streamed
	toWrite  chan segment

	digest digest
	hashed sync.WaitGroup
	result *stream // filled by the placer
}

// reset makes a job ready for its next use.
func (j *job) reset() {
	clear(j.segments)
	j.segments = j.segments[:0]
	j.stored, j.logical, j.pe, j.inline, j.toHash, j.toWrite, j.result = 0, 0, nil, false, nil, nil, nil
}

// item is what the placer works off: the metadata of a file and its stream.
type item struct {
	rec     *record // nil for an alternate stream
	meta    recordMeta
	content *job // nil for directories and empty streams
}

// recordMeta is Meta, checked, copied and encoded.
type recordMeta struct {
	flags             uint16
	tag               uint32
	rec               record // times
	security, ea, rep []byte
}

type placer struct {
	ownBase   int // regions of the parents
	nextIndex int
	buffered  int64         // bufferedMax, but in tests
	regions   [3]*regionOut // by RegionType
	counted   map[string]uint64
	small     []byte
	parent    *Image

	free    chan *chunk
	made    int
	stopped bool
	queue   chan item
	hashq   chan *job
	wg      sync.WaitGroup
	done    chan struct{}
	err     atomic.Pointer[error]
	jobs    sync.Pool
}

func newPlacer(s *staging, v Version, parent *Image, hashers int) *placer {
	p := &placer{
		buffered: bufferedMax,
		counted:  make(map[string]uint64), parent: parent,
		free: make(chan *chunk, chunkCount), queue: make(chan item, queueLength),
		hashq: make(chan *job, queueLength), done: make(chan struct{}),
	}
	if parent != nil {
		p.ownBase = len(parent.regions)
	}
	for t := range p.regions {
		p.regions[t] = newRegionOut(s, v, RegionType(t))
	}
	p.keepMetadataFirst()
	for range hashers {
		p.wg.Add(1)
		go p.hashLoop()
	}
	go p.placeLoop()
	return p
}

// keepMetadataFirst gives the metadata region index 0, which it always has.
func (p *placer) keepMetadataFirst() {
	p.regions[MetadataRegion].index, p.nextIndex = 0, 1
}

// fail keeps the first error; all later work is only drained.
func (p *placer) fail(err error) {
	if err != nil {
		p.err.CompareAndSwap(nil, &err)
	}
}

func (p *placer) failed() error {
	if e := p.err.Load(); e != nil {
		return *e
	}
	return nil
}

// chunk returns an empty chunk with one reference, waiting for one if all are in
// use.
func (p *placer) chunk() *chunk {
	var c *chunk
	select {
	case c = <-p.free:
	default:
		if p.made < chunkCount {
			p.made++
			c = new(chunk)
		} else {
			c = <-p.free
		}
	}
	c.n = 0
	c.refs.Store(1)
	return c
}

func (p *placer) release(c *chunk) {
	if c.refs.Add(-1) == 0 {
		p.free <- c
	}
}

func (p *placer) hashLoop() {
	defer p.wg.Done()
	h := sha512.New()
	for j := range p.hashq {
		h.Reset()
		if j.toHash != nil {
			for s := range j.toHash {
				h.Write(s.b)
				p.release(s.c)
			}
		} else {
			for _, s := range j.segments {
				h.Write(s.b)
			}
		}
		setDigest(&j.digest, h)
		j.hashed.Done()
	}
}

func setDigest(d *digest, h hash.Hash) {
	var sum [sha512.Size]byte
	copy(d[:], h.Sum(sum[:0]))
}

func (p *placer) placeLoop() {
	defer close(p.done)
	for it := range p.queue {
		if it.rec != nil {
			p.fail(p.placeBefore(&it))
		}
		if it.content != nil {
			s, err := p.placeContent(it.content)
			p.fail(err)
			if err == nil {
				*it.content.result = s
			}
			it.content.reset()
			p.jobs.Put(it.content)
		}
		if it.rec != nil && len(it.meta.ea) > 0 && p.failed() == nil {
			at, err := p.put(it.meta.ea)
			it.rec.ea, it.rec.eaLength = uint64(at), uint16(len(it.meta.ea))
			p.fail(err)
		}
	}
}

// placeBefore fills a record and stores what comes before the content.
func (p *placer) placeBefore(it *item) error {
	if p.failed() != nil {
		return nil
	}
	m, rec := &it.meta, it.rec
	rec.flags, rec.reparseTag = m.flags, m.tag
	rec.creation, rec.lastWrite, rec.change, rec.lastAccess = m.rec.creation, m.rec.lastWrite, m.rec.change, m.rec.lastAccess
	rec.ea, rec.eaLength = 0, 0
	var err error
	if rec.security, err = p.putCounted(m.security); err != nil {
		return err
	}
	rec.reparse, err = p.putCounted(m.rep)
	return err
}

// placeContent stores the bytes of a stream unless they are there already.
func (p *placer) placeContent(j *job) (stream, error) {
	r := p.regions[DataRegion]
	if j.pe == nil && j.stored <= smallLimit {
		r = p.regions[SmallRegion]
	}
	var at RegionOffset
	var err error
	if j.toWrite != nil {
		at, err = p.placeStreamed(r, j)
	} else {
		at, err = p.placeBuffered(r, j)
	}
	if err != nil {
		return stream{}, err
	}
	if j.pe == nil {
		return stream{uint64(at), uint64(j.logical)}, nil
	}
	at, err = p.put(j.pe.descriptor(at))
	return stream{uint64(at), uint64(j.logical) | uint64(ImageStream)<<streamTypeShift}, err
}

func (p *placer) placeBuffered(r *regionOut, j *job) (RegionOffset, error) {
	if !j.inline {
		j.hashed.Wait()
	}
	defer func() {
		for _, s := range j.segments {
			p.release(s.c)
		}
	}()
	if err := p.failed(); err != nil {
		return 0, err
	}
	if at, ok := r.objects.find(uint64(j.stored), &j.digest); ok {
		return at, nil
	}
	if r.inherited != nil {
		if at, ok := r.inherited.find(uint64(j.stored), &j.digest); ok && p.sameAsSegments(at, j) {
			return at, nil
		}
	}
	at := p.keep(r, r.end, j.stored, j.digest)
	if r.typ == SmallRegion {
		p.small = p.small[:0]
		for _, s := range j.segments {
			p.small = append(p.small, s.b...)
		}
		return at, r.append(p.small)
	}
	if err := r.room(j.stored); err != nil {
		return 0, err
	}
	f, err := r.file()
	if err != nil {
		return 0, err
	}
	off := r.end
	for _, s := range j.segments {
		if err := f.writeAt(s.b, off); err != nil {
			return 0, err
		}
		off += int64(len(s.b))
	}
	r.end = roundUp(off, r.typ.align())
	return at, nil
}

// placeStreamed writes while the hasher works on the same chunks.
func (p *placer) placeStreamed(r *regionOut, j *job) (RegionOffset, error) {
	start, off := r.end, r.end
	f, err := r.file()
	if err == nil {
		err = r.room(j.stored)
	}
	p.fail(err)
	for s := range j.toWrite {
		if p.failed() == nil {
			p.fail(f.writeAt(s.b, off))
			off += int64(len(s.b))
		}
		p.release(s.c)
	}
	j.hashed.Wait()
	if err := p.failed(); err != nil {
		return 0, err
	}
	at, known := r.objects.find(uint64(j.stored), &j.digest)
	if !known && r.inherited != nil {
		if at, known = r.inherited.find(uint64(j.stored), &j.digest); known {
			known = p.sameAsFile(at, f, start, j.stored)
		}
	}
	if known {
		return at, f.truncate(start)
	}
	r.end = roundUp(off, r.typ.align())
	return p.keep(r, start, j.stored, j.digest), nil
}

// sameAsSegments compares new content with an object of a parent: its object table
// is only a claim, and a wrong one must not change files of the child.
func (p *placer) sameAsSegments(at RegionOffset, j *job) bool {
	buf := make([]byte, 64<<10)
	for _, s := range j.segments {
		for b := s.b; len(b) > 0; {
			n := min(len(b), len(buf))
			if p.parent.read(at, buf[:n]) != nil || !bytes.Equal(buf[:n], b[:n]) {
				return false
			}
			at += RegionOffset(n)
			b = b[n:]
		}
	}
	return true
}

func (p *placer) sameAsFile(at RegionOffset, f *outFile, off, n int64) bool {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for n > 0 {
		k := min(n, int64(len(a)))
		if p.parent.read(at, a[:k]) != nil || readFull(f.f, b[:k], off) != nil || !bytes.Equal(a[:k], b[:k]) {
			return false
		}
		at, off, n = at+RegionOffset(k), off+k, n-k
	}
	return true
}

// finish waits until everything that was queued is placed. The placer may then be
// used by the caller.
func (p *placer) finish() {
	if p.stopped {
		return
	}
	p.stopped = true
	close(p.hashq)
	close(p.queue)
	<-p.done
	p.wg.Wait()
}
