package cimfs

import "github.com/mullion/mullion/cimfs/internal/sha512x8"

// objectPipe takes metadata objects that are made one after the other and hands them
// on in batches, which it hashes: side by side, while those before are being stored.
type objectPipe struct {
	batch      *objectBatch
	hasher     sha512x8.Hasher
	full, free chan *objectBatch
}

// A batch ends with so many objects or bytes. That is room for more file tables than
// are hashed at once.
const (
	pipeObjects = 64
	pipeBytes   = 1 << 20
	pipeAhead   = 2 // batches: one is made while the other is stored
)

type objectBatch struct {
	b    []byte // the objects, one behind the other
	n    int
	list [pipeObjects]pipedObject
}

type pipedObject struct {
	from, to int
	digest   digest
	at       *uint64 // takes the place of the object
	message  sha512x8.Message
}

// putAll stores the objects that produce makes, in their order. produce runs in a
// goroutine of its own. size is the memory of a batch at first, in bytes.
func (p *placer) putAll(size int, produce func(*objectPipe) error) error {
	out := &objectPipe{full: make(chan *objectBatch, pipeAhead), free: make(chan *objectBatch, pipeAhead)}
	for range pipeAhead {
		out.free <- &objectBatch{b: make([]byte, 0, size)}
	}
	var made error
	go func() {
		defer close(out.full)
		out.batch = <-out.free
		made = produce(out)
		out.flush()
	}()
	var failed error
	for b := range out.full { // to the end, even after an error
		for i := range b.list[:b.n] {
			o := &b.list[i]
			if failed != nil {
				break
			}
			var at RegionOffset
			at, failed = p.putDigest(b.b[o.from:o.to], o.digest)
			*o.at = uint64(at)
		}
		b.b, b.n = b.b[:0], 0
		if cap(b.b) > 2*pipeBytes {
			b.b = nil // a large directory was in it
		}
		out.free <- b
	}
	if failed == nil {
		failed = made
	}
	return failed
}

// begin returns the slice to which the next object is appended.
func (p *objectPipe) begin() []byte { return p.batch.b }

// end takes b, which begin has returned, with an object appended.
func (p *objectPipe) end(b []byte, at *uint64) {
	o := &p.batch.list[p.batch.n]
	o.from, o.to, o.at = len(p.batch.b), len(b), at
	p.batch.b = b
	if p.batch.n++; p.batch.n == pipeObjects || len(b) >= pipeBytes {
		p.flush()
		p.batch = <-p.free
	}
}

// flush hashes the batch and sends it on its way.
func (p *objectPipe) flush() {
	var buf [pipeObjects]*sha512x8.Message
	long := buf[:0]
	for i := range p.batch.list[:p.batch.n] {
		o := &p.batch.list[i]
		b := p.batch.b[o.from:o.to]
		if len(b) > digestSize {
			o.message.Pieces = append(o.message.Pieces[:0], b)
			long = append(long, &o.message)
		} else {
			o.digest = digestOf(b)
		}
	}
	p.hasher.Sum(long)
	for i := range p.batch.list[:p.batch.n] {
		if o := &p.batch.list[i]; o.to-o.from > digestSize {
			copy(o.digest[:], o.message.Sum[:])
		}
	}
	p.full <- p.batch
}
