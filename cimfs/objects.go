package cimfs

import (
	"bytes"
	"cmp"
	"crypto/sha512"
	"hash/maphash"

	"github.com/mullion/mullion/internal/nametree"
)

// digest identifies an object in an object table: it is the object itself, padded
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
	index nametree.Index // of numbers in list plus 1
	seed  maphash.Seed
}

func newObjectTable() *objectTable { return &objectTable{seed: maphash.MakeSeed()} }

// hash has a secret seed, because the digest of a short object is its content, which an
// attacker can choose.
func (t *objectTable) hash(length uint64, d *digest) uint32 {
	return uint32(maphash.Bytes(t.seed, d[:]) ^ length*0x9E3779B97F4A7C15)
}

func (t *objectTable) find(length uint64, d *digest) (RegionOffset, bool) {
	h := t.hash(length, d)
	for n, next := t.index.Next(h, 0); n != 0; n, next = t.index.Next(h, next) {
		if o := t.list.at(int(n) - 1); o.length == length && o.digest == *d {
			return o.at, true
		}
	}
	return 0, false
}

func (t *objectTable) add(o object) {
	t.list.push(o)
	t.index.Add(t.hash(o.length, &o.digest), uint32(t.list.len()))
}

// sort puts the list into the order of the file: length, then digest. Lookups are
// no longer possible.
func (t *objectTable) sort() {
	t.index = nametree.Index{}
	s := objectSort{at: t.list.at, compare: (*object).compare, digits: 8 + digestSize, digit: func(o *object, d int) byte {
		if d < 8 {
			return byte(o.length >> (56 - 8*d))
		}
		return o.digest[d-8]
	}}
	s.sort(0, t.list.len(), 0)
}

// sortByOffset puts objects of one region into the order of their offsets.
func sortByOffset(list []object) {
	s := objectSort{at: func(i int) *object { return &list[i] }, digits: 6, digit: func(o *object, d int) byte {
		return byte(o.at >> (40 - 8*d))
	}, compare: func(a, b *object) int { return cmp.Compare(a.at, b.at) }}
	s.sort(0, len(list), 0)
}

// objectSort sorts by one digit after the other, in place. For many objects that takes
// less than half of the time of sorting by comparisons.
type objectSort struct {
	at      func(i int) *object
	digits  int
	digit   func(o *object, d int) byte // the first one decides
	compare func(a, b *object) int      // of all digits
}

// fewObjects are sorted by comparing them.
const fewObjects = 24

// sort sorts objects that have the same digits before d.
func (s *objectSort) sort(from, to, d int) {
	if to-from < fewObjects {
		for i := from + 1; i < to; i++ {
			for j := i; j > from; j-- {
				a, b := s.at(j-1), s.at(j)
				if s.compare(a, b) <= 0 {
					break
				}
				*a, *b = *b, *a
			}
		}
		return
	}
	if d == s.digits {
		return
	}
	var next, end [256]int // of the part of each digit: where the next one goes
	for i := from; i < to; i++ {
		end[s.digit(s.at(i), d)]++
	}
	for v, sum := 0, from; v < len(end); v++ {
		next[v], sum = sum, sum+end[v]
		end[v] = sum
	}
	for v := range next {
		for next[v] < end[v] {
			o := s.at(next[v])
			k := s.digit(o, d)
			if int(k) != v {
				other := s.at(next[k])
				*o, *other = *other, *o
			}
			next[k]++
		}
	}
	for _, to := range end {
		s.sort(from, to, d+1)
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
