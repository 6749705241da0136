package cimfs

import (
	"cmp"
	"crypto/sha512"
	"hash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mullion/mullion/cimfs/internal/sha512x8"
)

// How content flows from Write into the regions:
//
//	caller    copies bytes into chunks, cuts PE images, gathers files to batches
//	hashers   compute digests, on all processors, of the files of a batch side by side
//	placer    takes files in the order in which they were added, looks for their
//	          digests, places them and writes
//
// Because only the placer decides, the result does not depend on timing. A file of
// at most bufferedMax bytes waits for its digest in memory and is written only if
// it is new. A larger one is written at the end of the region while it is hashed,
// and the end is taken back when the digest is known already.
//
// A batch goes on when it is full, and before the caller waits for anything, for
// the batch may hold the chunks for which it waits.
const (
	chunkSize   = 256 << 10
	chunkCount  = 40 // 10 MiB
	bufferedMax = 4 * chunkSize
	batchItems  = 128
	batchBytes  = 3 << 20
	queueLength = 16 // batches
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
	region  RegionType
	inline  bool // digest is set by the caller

	segments []segment    // buffered
	toHash   chan segment // streamed
	toWrite  chan segment
	like     RegionOffset // of an object of the parent that may have the same content, 0 for none

	digest  digest
	ea      []byte // the hashes of an expanded executable, set by the hasher
	message sha512x8.Message
	batch   *batch  // whose digests are complete together
	result  *stream // filled by the placer
}

// reset makes a job ready for its next use.
func (j *job) reset() {
	clear(j.segments)
	j.segments = j.segments[:0]
	clear(j.message.Pieces)
	j.message.Pieces = j.message.Pieces[:0]
	j.stored, j.logical, j.pe, j.inline, j.toHash, j.toWrite, j.result, j.batch, j.ea, j.like = 0, 0, nil, false, nil, nil, nil, nil, nil, 0
}

// batch is a number of items that go on together.
type batch struct {
	items  []item
	hash   []*job         // whose digests are wanted
	hashed sync.WaitGroup // until they are there
	bytes  int64
}

// item is a unit of work of the placer: the metadata of a file and its stream.
type item struct {
	rec     *record // nil for an alternate stream
	meta    recordMeta
	dir     bool
	hole    int64 // length of a main stream of which nothing is stored
	content *job  // nil for directories and streams without content
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
	most      int           // batchItems, but in tests
	plain     bool          // one digest after the other, in tests
	regions   [3]*regionOut // by RegionType
	counted   map[string]uint64
	parent    *Image
	compare   []byte // memory for the comparison with objects of the parent

	free    chan *chunk
	made    int
	stopped bool
	queue   chan *batch
	hashq   chan *batch
	batch   *batch // the caller's
	batches sync.Pool
	wg      sync.WaitGroup
	done    chan struct{}
	err     atomic.Pointer[error]
	jobs    sync.Pool
}

func newPlacer(s *staging, v Version, parent *Image, hashers int) *placer {
	p := &placer{
		buffered: bufferedMax, most: batchItems,
		counted: make(map[string]uint64), parent: parent,
		free: make(chan *chunk, chunkCount), queue: make(chan *batch, queueLength),
		hashq: make(chan *batch, queueLength), done: make(chan struct{}),
	}
	if parent != nil {
		p.ownBase = len(parent.regions)
	}
	for t := range p.regions {
		p.regions[t] = newRegionOut(s, v, RegionType(t))
	}
	for range hashers {
		p.wg.Add(1)
		go p.hashLoop()
	}
	go p.placeLoop()
	return p
}

// fail keeps the first error; all later work is only drained.
func (p *placer) fail(err error) {
	if err != nil {
		first := err // a pointer to err itself would cost memory in every call
		p.err.CompareAndSwap(nil, &first)
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
			p.flush()
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

// add appends an item to the batch of the caller.
func (p *placer) add(it item) {
	if p.batch == nil {
		if p.batch, _ = p.batches.Get().(*batch); p.batch == nil {
			p.batch = &batch{items: make([]item, 0, batchItems)}
		}
	}
	b := p.batch
	b.items = append(b.items, it)
	if j := it.content; j != nil {
		j.batch = b
		if !j.inline {
			b.hash = append(b.hash, j)
		}
		b.bytes += j.stored
	}
	if len(b.items) >= p.most || b.bytes >= batchBytes {
		p.flush()
	}
}

// flush sends the batch of the caller on its way.
func (p *placer) flush() {
	b := p.batch
	if b == nil {
		return
	}
	p.batch = nil
	if len(b.hash) > 0 {
		b.hashed.Add(1)
		p.hashq <- b
	}
	p.queue <- b
}

func (p *placer) hashLoop() {
	defer p.wg.Done()
	var h sha512x8.Hasher
	var messages []*sha512x8.Message
	one := sha512.New()
	var images imageHasher
	for b := range p.hashq {
		// Long ones first: they would be alone in the end.
		slices.SortFunc(b.hash, func(a, b *job) int { return cmp.Compare(b.stored, a.stored) })
		messages = messages[:0]
		for _, j := range b.hash {
			if j.toHash != nil {
				one.Reset()
				images.begin(j)
				for s := range j.toHash {
					one.Write(s.b)
					images.write(s.b)
					p.release(s.c)
				}
				one.Sum(j.message.Sum[:0])
				images.end(j)
				continue
			}
			images.begin(j)
			for _, s := range j.segments {
				j.message.Pieces = append(j.message.Pieces, s.b)
				images.write(s.b)
			}
			images.end(j)
			messages = append(messages, &j.message)
		}
		h.Plain = p.plain
		h.Sum(messages)
		for _, j := range b.hash {
			copy(j.digest[:], j.message.Sum[:])
		}
		clear(messages)
		b.hashed.Done()
	}
}

func setDigest(d *digest, h hash.Hash) {
	var sum [sha512.Size]byte
	copy(d[:], h.Sum(sum[:0]))
}

func (p *placer) placeLoop() {
	defer close(p.done)
	for b := range p.queue {
		for i := range b.items {
			p.place(&b.items[i])
		}
		b.hashed.Wait() // after an error, place may not have waited
		for i := range b.items {
			if j := b.items[i].content; j != nil {
				j.reset()
				p.jobs.Put(j)
			}
		}
		clear(b.items)
		clear(b.hash)
		b.items, b.hash, b.bytes = b.items[:0], b.hash[:0], 0
		p.batches.Put(b)
	}
}

func (p *placer) place(it *item) {
	if it.rec != nil {
		p.fail(p.placeBefore(it))
	}
	if it.content != nil {
		s, err := p.placeContent(it.content)
		p.fail(err)
		if err == nil {
			*it.content.result = s
		}
	}
	if it.rec == nil || p.failed() != nil {
		return
	}
	ea := it.meta.ea
	if it.content != nil {
		ea = joinEAs(ea, it.content.ea)
	}
	if len(ea) > 0 {
		at, err := p.put(ea)
		it.rec.ea, it.rec.eaLength = uint64(at), uint16(len(ea))
		p.fail(err)
	}
}

// placeBefore fills a record and stores the objects that come before the content.
func (p *placer) placeBefore(it *item) error {
	if p.failed() != nil {
		return nil
	}
	m, rec := &it.meta, it.rec
	rec.flags, rec.reparseTag = m.flags, m.tag
	rec.creation, rec.lastWrite, rec.change, rec.lastAccess = m.rec.creation, m.rec.lastWrite, m.rec.change, m.rec.lastAccess
	rec.ea, rec.eaLength = 0, 0
	if !it.dir { // the commit makes the stream of a directory
		rec.data = p.hole(it.hole)
	}
	var err error
	if rec.security, err = p.putCounted(m.security); err != nil {
		return err
	}
	rec.reparse, err = p.putCounted(m.rep)
	return err
}

// hole is a stream of n bytes of which nothing is stored, with no bytes the empty
// one. Its offset names the region in which content of that length would be, if
// there is one yet, with all bits of the offset set.
func (p *placer) hole(n int64) stream {
	if n == 0 {
		return stream{}
	}
	at := uint64(maxOffset)
	if r := p.regions[formOf(nil, n).region]; r.index >= 0 {
		at |= uint64(p.ownBase+r.index) << 48
	}
	return stream{at, uint64(n) | streamSparse}
}

// placeContent stores the bytes of a stream unless they are there already.
func (p *placer) placeContent(j *job) (stream, error) {
	r := p.regions[j.region]
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
		j.batch.hashed.Wait()
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
	if at, ok := r.findOld(j.stored, &j.digest, func(at RegionOffset) bool { return p.sameAsSegments(at, j) }); ok {
		return at, nil
	}
	at := p.keep(r, r.end, j.stored, j.digest)
	for _, s := range j.segments {
		if err := r.write(s.b); err != nil {
			return 0, err
		}
	}
	return at, r.pad()
}

// placeStreamed writes while the hasher works on the same chunks.
func (p *placer) placeStreamed(r *regionOut, j *job) (RegionOffset, error) {
	start, off := r.end, r.end
	f, err := r.file()
	if err == nil {
		err = r.flush()
	}
	if err == nil {
		err = r.room(j.stored)
	}
	p.fail(err)
	like := j.like // while all bytes so far are equal to it, and none is written
	for s := range j.toWrite {
		if p.failed() == nil {
			if like != 0 && !p.sameAs(like+RegionOffset(off-start), s.b) {
				p.fail(p.copyOld(like, f, start, off-start))
				like = 0
			}
			if like == 0 {
				p.fail(f.writeAt(s.b, off))
			}
			off += int64(len(s.b))
		}
		p.release(s.c)
	}
	j.batch.hashed.Wait()
	if err := p.failed(); err != nil {
		return 0, err
	}
	at, known := r.objects.find(uint64(j.stored), &j.digest)
	if !known {
		at, known = r.findOld(j.stored, &j.digest, func(at RegionOffset) bool {
			if like != 0 {
				return at == like || p.sameObjects(at, like, j.stored)
			}
			return p.sameAsFile(at, f, start, j.stored)
		})
	}
	if known {
		return at, f.truncate(start)
	}
	if like != 0 { // the parent's table does not have it
		if err := p.copyOld(like, f, start, j.stored); err != nil {
			return 0, err
		}
	}
	r.end = roundUp(off, r.typ.align())
	r.bufAt = r.end
	return p.keep(r, start, j.stored, j.digest), nil
}

// finish waits until everything that was queued is placed. The placer may then be
// used by the caller.
func (p *placer) finish() {
	if p.stopped {
		return
	}
	p.stopped = true
	p.flush()
	close(p.hashq)
	close(p.queue)
	<-p.done
	p.wg.Wait()
}

// closeOld closes the object tables of the parents. Nothing is placed any more.
func (p *placer) closeOld() {
	for _, r := range p.regions {
		for _, t := range r.inherited {
			t.close()
		}
		r.inherited = nil
	}
}
