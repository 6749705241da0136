package regf

// sortedMin is the size of a list from which it pays to record that it is in order.
const sortedMin = 8

// find returns the cell of a subkey, or nilCell. In a leaf with hashes only the entries
// with the right hash are compared; the right leaf is found by binary search. If that
// fails, every name is compared once, because old hives are ordered by smaller tables and
// damaged ones not at all; a list that proves to be in order is recorded and not searched
// in this way again.
func (k Key) find(t *target) (uint32, error) {
	b, err := k.node()
	if err != nil {
		return nilCell, err
	}
	list := u32(b[nkList:])
	if u32(b[nkSubkeys:]) == 0 || list == nilCell {
		return nilCell, nil
	}
	h := k.h
	c, err := h.cell(list)
	if err != nil {
		return nilCell, err
	}
	entries, sig, err := listEntries(h, list, c)
	if err != nil {
		return nilCell, err
	}
	if sig != sigRI {
		if off := h.findLeaf(entries, sig, t); off != nilCell {
			return off, nil
		}
	} else if leaf, lsig, ok := h.leafFor(entries, t); ok {
		if off := h.findLeaf(leaf, lsig, t); off != nilCell {
			return off, nil
		}
	}
	return k.findLinear(t, b)
}

// leafFor finds, by binary search, the leaf of a root list that can hold a name.
func (h *Hive) leafFor(ri []byte, t *target) (leaf []byte, sig uint16, ok bool) {
	open := func(i int) ([]byte, uint16, bool) {
		off := u32(ri[4*i:])
		c, err := h.cell(off)
		if err != nil {
			return nil, 0, false
		}
		e, sig, err := listEntries(h, off, c)
		return e, sig, err == nil && sig != sigRI && len(e) >= 4
	}
	lo, hi := 0, len(ri)/4 // the last leaf whose first name is not after t
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		e, _, ok := open(mid)
		if !ok {
			return nil, 0, false
		}
		b, name, err := h.nk(u32(e))
		if err != nil {
			return nil, 0, false
		}
		if t.compare(name, h.latinKey(b)) <= 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	if len(ri) < 4 {
		return nil, 0, false
	}
	return open(lo)
}

// findLeaf searches one leaf for a name, trusting hashes, hints and order.
func (h *Hive) findLeaf(e []byte, sig uint16, t *target) uint32 {
	match := func(off uint32) bool {
		b, name, err := h.nk(off)
		return err == nil && off != h.root && t.equal(name, h.latinKey(b))
	}
	if sig == sigLH {
		for ; len(e) >= 8; e = e[8:] {
			if u32(e[4:]) == t.hash && match(u32(e)) {
				return u32(e)
			}
		}
		return nilCell
	}
	step := int(leafStep(sig))
	lo, hi := 0, len(e)/step
	for lo < hi {
		mid := (lo + hi) / 2
		b, name, err := h.nk(u32(e[mid*step:]))
		if err != nil {
			return nilCell
		}
		switch c := t.compare(name, h.latinKey(b)); {
		case c < 0:
			lo = mid + 1
		case c > 0:
			hi = mid
		case mid > 0 && match(u32(e[(mid-1)*step:])): // the first of equal ones
			hi = mid
		default:
			if u32(e[mid*step:]) == h.root {
				return nilCell
			}
			return u32(e[mid*step:])
		}
	}
	return nilCell
}

// findLinear compares every name, unless the list is known to be in order.
func (k Key) findLinear(t *target, b []byte) (uint32, error) {
	h := k.h
	n := u32(b[nkSubkeys:])
	if (n >= sortedMin || h.edit != nil) && h.knownSorted(k.off) {
		return nilCell, nil
	}
	var it subIter
	it.start(h, nil, k.off, b)
	inOrder := true
	var prev []byte
	var prevLatin bool
	for {
		off, ok := it.next()
		if !ok {
			break
		}
		nb, name, err := h.nk(off)
		if err != nil {
			if h.mode == Strict {
				return nilCell, err
			}
			inOrder = false
			continue
		}
		latin := h.latinKey(nb)
		if off != h.root && t.equal(name, latin) {
			return off, nil
		}
		if prev != nil && compareStored(prev, prevLatin, name, latin) >= 0 {
			inOrder = false
		}
		prev, prevLatin = name, latin
	}
	if it.err != nil {
		return nilCell, it.err
	}
	// A list in order but with wrong hashes would still hide names, but only from lookups
	// that this pass has just answered; Check verifies hashes.
	if inOrder && n >= sortedMin && h.hashesRight(k.off) {
		h.markSorted(k.off)
	}
	return nilCell, nil
}

// hashesRight verifies the hashes of a key's lh leaves.
func (h *Hive) hashesRight(off uint32) bool {
	b, _, err := h.nk(off)
	if err != nil {
		return false
	}
	check := func(list uint32) (ri []byte, ok bool) {
		c, err := h.cell(list)
		if err != nil {
			return nil, false
		}
		e, sig, err := listEntries(h, list, c)
		if err != nil {
			return nil, false
		}
		if sig == sigRI {
			return e, true
		}
		for ; sig == sigLH && len(e) >= 8; e = e[8:] {
			nb, name, err := h.nk(u32(e))
			if err != nil || hashStored(name, h.latinKey(nb)) != u32(e[4:]) {
				return nil, false
			}
		}
		return nil, true
	}
	ri, ok := check(u32(b[nkList:]))
	if !ok {
		return false
	}
	for ; len(ri) >= 4; ri = ri[4:] {
		if nested, ok := check(u32(ri)); !ok || nested != nil {
			return false
		}
	}
	return true
}

func (h *Hive) knownSorted(off uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.sorted[off]
	return ok
}

func (h *Hive) markSorted(off uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sorted == nil {
		h.sorted = make(map[uint32]struct{})
	}
	h.sorted[off] = struct{}{}
}

// forgetKey forgets what is known of a key whose cell is freed.
func (h *Hive) forgetKey(off uint32) {
	if h.edit != nil {
		h.edit.depths = [2]keyDepth{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sorted, off)
}
