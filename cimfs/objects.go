package cimfs

import (
	"bytes"
	"crypto/sha512"
	"hash/maphash"
	"sort"
)

// digest is what an object table keeps of an object: the object itself, padded
// with zeros, if it has at most 24 bytes, otherwise the first 24 bytes of its
// SHA-512.
type digest [digestSize]byte

func digestOf(b []byte) (d digest) {
	if len(b) <= digestSize {
		copy(d[:], b)
		return d
	}
	sum := sha512.Sum512(b)
	copy(d[:], sum[:])
	return d
}

// object is one entry of an object table.
type object struct {
	length uint64
	digest digest
	at     RegionOffset // on disk without the region
}

// objectTable finds objects by content.
type objectTable struct {
	list  blocks[object]
	index []uint32 // number in list plus 1, 0 is free
	seed  maphash.Seed
}

func newObjectTable() *objectTable {
	return &objectTable{index: make([]uint32, 256), seed: maphash.MakeSeed()}
}

func (t *objectTable) hash(length uint64, d *digest) uint64 {
	return maphash.Bytes(t.seed, d[:]) ^ length*0x9E3779B97F4A7C15
}

func (t *objectTable) find(length uint64, d *digest) (RegionOffset, bool) {
	mask := uint64(len(t.index) - 1)
	for i := t.hash(length, d) & mask; t.index[i] != 0; i = (i + 1) & mask {
		if o := t.list.at(int(t.index[i]) - 1); o.length == length && o.digest == *d {
			return o.at, true
		}
	}
	return 0, false
}

func (t *objectTable) add(o object) {
	if (t.list.len()+1)*4 > len(t.index)*3 {
		t.index = make([]uint32, 2*len(t.index))
		for n := range t.list.len() {
			t.place(n)
		}
	}
	t.list.push(o)
	t.place(t.list.len() - 1)
}

func (t *objectTable) place(n int) {
	o := t.list.at(n)
	mask := uint64(len(t.index) - 1)
	i := t.hash(o.length, &o.digest) & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = uint32(n + 1)
}

// sort puts the list into the order of the file: length, then digest. Lookups are
// no longer possible.
func (t *objectTable) sort() {
	t.index = nil
	sort.Sort((*byDigest)(&t.list))
}

type byDigest blocks[object]

func (l *byDigest) Len() int { return l.n }
func (l *byDigest) Swap(i, j int) {
	a, b := (*blocks[object])(l).at(i), (*blocks[object])(l).at(j)
	*a, *b = *b, *a
}
func (l *byDigest) Less(i, j int) bool {
	return (*blocks[object])(l).at(i).compare((*blocks[object])(l).at(j)) < 0
}

func (o *object) compare(p *object) int {
	if o.length != p.length {
		if o.length < p.length {
			return -1
		}
		return 1
	}
	return bytes.Compare(o.digest[:], p.digest[:])
}

func (o *object) append(b []byte) []byte {
	b = le.AppendUint64(b, o.length)
	b = append(b, o.digest[:]...)
	return le.AppendUint64(b, uint64(o.at.Offset()))
}

func decodeObject(b []byte, region int) object {
	return object{le.Uint64(b), digest(b[8:32]), RegionOffset(region)<<48 + RegionOffset(le.Uint64(b[32:]))}
}
