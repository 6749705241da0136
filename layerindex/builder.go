package layerindex

import (
	"math"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
)

// A table that is larger than its entries explain is not kept: a layer may have
// metadata without end.
const (
	tableFree     = 32 << 20
	tablePerEntry = 200
)

// builder makes the tables of an index, entry by entry.
type builder struct {
	x        *Index
	shared   map[string]int // numbers of descriptors
	enc      encoder
	same     int32
	last     int64 // offset of the entry before
	scratch  []byte
	size     int64 // of everything kept
	overfull bool
}

func newBuilder() *builder {
	return &builder{x: &Index{}, shared: map[string]int{}, last: -1}
}

// add adds an entry with all its streams; sums are the SHA-256 of those that are summed.
func (b *builder) add(r *record, sums []byte) {
	x := b.x
	if b.overfull || x.head.Entries == math.MaxInt32 {
		b.overfull = true
		return
	}
	if r.offset == b.last {
		b.same++
	} else {
		b.same, b.last = 0, r.offset
	}
	if x.head.Entries%groupSize == 0 {
		b.enc = encoder{}
		x.marks = append(x.marks, mark{at: int64(len(x.table)), same: b.same, sum: int32(len(x.sums) / sumSize)})
	}
	security := 0
	if len(r.Security) > 0 {
		n, ok := b.shared[string(r.Security)]
		if !ok {
			x.descriptors = append(x.descriptors, append([]byte(nil), r.Security...))
			n = len(x.descriptors)
			b.shared[string(r.Security)] = n
			b.size += int64(2*len(r.Security)) + 64
		}
		security = n
	}
	b.scratch = b.enc.append(b.scratch[:0], r, security)
	x.table = append(x.table, b.scratch...)
	x.sums = append(x.sums, sums...)
	b.count(r)
	if b.size+int64(len(x.table)+len(x.sums)) > tableFree+tablePerEntry*x.head.Entries || len(x.sums)/sumSize > math.MaxInt32 {
		b.overfull = true
	}
	if b.overfull {
		x.table, x.sums, x.marks, x.descriptors, b.shared = nil, nil, nil, nil, nil
	}
}

// count counts an entry in the totals.
func (b *builder) count(r *record) {
	h := &b.x.head
	if _, _, ok := hives.Match(r.Path); ok && r.Kind != layer.Whiteout && r.Kind != layer.Opaque {
		h.Hives = append(h.Hives, int32(h.Entries))
		b.overfull = b.overfull || len(h.Hives) > maxHives
	}
	h.Entries++
	switch r.Kind {
	case layer.File:
		h.Files++
	case layer.Dir:
		h.Dirs++
	case layer.Link:
		h.Links++
	case layer.Whiteout, layer.Opaque:
		h.Whiteouts++
	}
	for i := range r.streams {
		h.Content += r.streams[i].Size
	}
}
