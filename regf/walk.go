package regf

import "iter"

// walk records the cells that a traversal has reached, so that it ends on any input: no
// key, list or value is reached twice.
type walk struct {
	seen   []uint64
	source uint16 // which layer of a merge is walked
	pass   *pass  // of a merge, or nil
}

func newWalk(h *Hive) *walk { return &walk{seen: make([]uint64, (len(h.bins)/8+63)/64)} }

// claim reports whether a cell offset is new. One outside the bins always is: reading it
// returns the error.
func (w *walk) claim(off uint32) bool {
	w.pass.reach(off)
	i, bit := off>>9, uint64(1)<<(off>>3&63)
	if uint64(i) >= uint64(len(w.seen)) {
		return true
	}
	if w.seen[i]&bit != 0 {
		return false
	}
	w.seen[i] |= bit
	return true
}

// Traverse returns the same key for one recursive pass by one goroutine: Subkeys and Values
// yield each key and value below it at most once, and a second occurrence in a damaged or
// hostile hive is a fault. Recursion over an untrusted hive must start with Traverse;
// [Key.Walk] does.
func (k Key) Traverse() Key {
	if k.h != nil && k.h.bins != nil {
		k.w = newWalk(k.h)
		if _, _, err := k.h.nk(k.off); err == nil {
			k.w.claim(k.off)
		}
	}
	return k
}

// Walk yields the key and everything below it, depth first, parents before children, in
// stored order. Each key is yielded at most once, even in a damaged hive. In strict mode
// the first fault ends the sequence with an error; an error of the underlying reader always
// does.
func (k Key) Walk() iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) { k.walk(yield) }
}

func (k Key) walk(yield func(Key, error) bool) {
	h := k.h
	b, err := k.node()
	if err != nil {
		yield(Key{}, h.opError("walk", k.Path(), int64(k.off), err))
		return
	}
	k = k.Traverse()
	if !yield(k, nil) {
		return
	}
	stack := make([]subIter, 1, 16)
	stack[0].start(h, k.w, k.off, b)
	for len(stack) > 0 {
		it := &stack[len(stack)-1]
		off, ok := it.next()
		if !ok {
			if it.err != nil {
				yield(Key{}, h.opError("walk", Key{h: h, off: it.owner}.Path(), int64(it.owner), it.err))
				return
			}
			stack = stack[:len(stack)-1]
			continue
		}
		if err := it.child(off); err != nil {
			it.fault(err)
			continue
		}
		child := Key{h: h, w: k.w, off: off, level: k.level + uint16(len(stack))}
		if !yield(child, nil) {
			return
		}
		b, err := child.node() // an edit may have removed it
		if err != nil {
			continue
		}
		if u32(b[nkSubkeys:]) == 0 {
			continue
		}
		if int(child.level) >= MaxDepth {
			it.fault(faultf(ruleDepth, off, "more than %d levels", MaxDepth))
			continue
		}
		stack = append(stack, subIter{})
		stack[len(stack)-1].start(h, k.w, off, b)
	}
}

// has reports whether a cell was reached.
func (w *walk) has(off uint32) bool {
	i := off >> 9
	return uint64(i) < uint64(len(w.seen)) && w.seen[i]>>(off>>3&63)&1 != 0
}
