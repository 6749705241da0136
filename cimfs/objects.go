package cimfs

import (
	"bytes"
	"cmp"
	"crypto/sha512"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"slices"
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
	index hashIndex // of numbers in list plus 1
	seed  maphash.Seed
	order []objectKey // after sort
}

func newObjectTable() *objectTable { return &objectTable{seed: maphash.MakeSeed()} }

// hash has a secret: what stands in the digest of a short object is up to whoever made
// it.
func (t *objectTable) hash(length uint64, d *digest) uint32 {
	return uint32(maphash.Bytes(t.seed, d[:]) ^ length*0x9E3779B97F4A7C15)
}

func (t *objectTable) find(length uint64, d *digest) (RegionOffset, bool) {
	h := t.hash(length, d)
	for n, next := t.index.next(h, int(h)); n != 0; n, next = t.index.next(h, next) {
		if o := t.list.at(int(n) - 1); o.length == length && o.digest == *d {
			return o.at, true
		}
	}
	return 0, false
}

func (t *objectTable) add(o object) {
	t.list.push(o)
	t.index.add(t.hash(o.length, &o.digest), uint32(t.list.len()))
}

// objectKey is what mostly decides about the order of objects, and which one it is.
// Sorting keys moves and looks at less memory than sorting objects.
type objectKey struct {
	length, head uint64 // head is the begin of the digest
	n            uint32
}

// sort finds the order of the file: length, then digest. Lookups are no longer
// possible.
func (t *objectTable) sort() {
	t.index = hashIndex{}
	t.order = make([]objectKey, t.list.len())
	for n := range t.order {
		o := t.list.at(n)
		t.order[n] = objectKey{o.length, binary.BigEndian.Uint64(o.digest[:]), uint32(n)}
	}
	slices.SortFunc(t.order, func(a, b objectKey) int {
		switch {
		case a.length != b.length:
			return cmp.Compare(a.length, b.length)
		case a.head != b.head:
			return cmp.Compare(a.head, b.head)
		}
		return t.list.at(int(a.n)).compare(t.list.at(int(b.n)))
	})
}

// sortByOffset puts objects of a region into the order in which they stand there. It
// takes one byte of the offsets after the other, from the highest on in which they
// differ, and needs no memory, for there may be millions.
func sortByOffset(list []object) {
	var differ RegionOffset
	for i := range list {
		differ |= list[i].at ^ list[0].at
	}
	sortByOffsetFrom(list, (bits.Len64(uint64(differ))-1)&^7)
}

// sortByOffsetFrom sorts by the byte at shift and those below it.
func sortByOffsetFrom(list []object, shift int) {
	if len(list) < 64 || shift < 0 {
		slices.SortFunc(list, func(a, b object) int { return cmp.Compare(a.at, b.at) })
		return
	}
	digit := func(i int) byte { return byte(list[i].at >> shift) }
	var next, end [256]int // of the part of each digit: where the next one goes
	for i := range list {
		end[digit(i)]++
	}
	for d, sum := 0, 0; d < len(end); d++ {
		next[d], sum = sum, sum+end[d]
		end[d] = sum
	}
	for d := range next {
		for next[d] < end[d] {
			k := digit(next[d])
			if int(k) != d {
				list[next[d]], list[next[k]] = list[next[k]], list[next[d]]
			}
			next[k]++
		}
	}
	from := 0
	for _, to := range end {
		sortByOffsetFrom(list[from:to], shift-8)
		from = to
	}
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
