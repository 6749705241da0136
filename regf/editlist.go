package regf

// place is a position in a subkey list.
type place struct {
	root  uint32 // ri cell, or nilCell
	slot  int    // index of the leaf in the ri
	leaf  uint32
	index int // index in the leaf
	count int // entries of the leaf
	step  int
}

// leafOf opens a leaf for changing.
func (h *Hive) leafOf(off uint32) (b []byte, sig uint16, n, step int, err error) {
	if b, err = h.cell(off); err != nil {
		return
	}
	if len(b) < 4 {
		return nil, 0, 0, 0, faultf(ruleList, off, "cell is too small for a list")
	}
	sig, n = u16(b), int(u16(b[2:]))
	switch sig {
	case sigLF, sigLH:
		step = 8
	case sigLI, sigRI:
		step = 4
	default:
		return nil, 0, 0, 0, faultf(ruleList, off, "cell is not a list of subkeys")
	}
	if 4+n*step > len(b) {
		return nil, 0, 0, 0, faultf(ruleListCount, off, "%d entries do not fit in the cell", n)
	}
	return
}

// putEntry writes a list entry.
func putEntry(e []byte, sig uint16, key uint32, raw []byte, latin bool) {
	put32(e, key)
	switch sig {
	case sigLH:
		put32(e[4:], hashStored(raw, latin))
	case sigLF:
		put32(e[4:], hintStored(raw, latin))
	}
}

// inOrder verifies that a key's list ascends, once per list.
func (h *Hive) inOrder(off uint32) bool {
	if h.knownSorted(off) {
		return true
	}
	b, _, err := h.nk(off)
	if err != nil {
		return false
	}
	var it subIter
	it.start(h, nil, off, b)
	var prev []byte
	var prevLatin bool
	for {
		kid, ok := it.next()
		if !ok {
			break
		}
		nb, name, err := h.nk(kid)
		if err != nil {
			return false
		}
		latin := u16(nb[nkFlags:])&flagNameLatin != 0
		if prev != nil && compareStored(prev, prevLatin, name, latin) >= 0 {
			return false
		}
		prev, prevLatin = name, latin
	}
	if it.err != nil || it.count != it.want {
		return false
	}
	if h.hashesRight(off) {
		h.markSorted(off)
	}
	return true
}

// locate finds the place of a name in a sorted list.
func (h *Hive) locate(list uint32, t *target) (place, error) {
	p := place{root: nilCell, leaf: list}
	b, sig, n, _, err := h.leafOf(list)
	if err != nil {
		return p, err
	}
	compareAt := func(b []byte, i, step int) (int, error) {
		nb, name, err := h.nk(u32(b[4+i*step:]))
		if err != nil {
			return 0, err
		}
		return t.compare(name, u16(nb[nkFlags:])&flagNameLatin != 0), nil
	}
	if sig == sigRI {
		p.root = list
		lo, hi := 0, n
		for hi-lo > 1 {
			mid := (lo + hi) / 2
			lb, lsig, ln, lstep, err := h.leafOf(u32(b[4+4*mid:]))
			if err != nil {
				return p, err
			}
			if lsig == sigRI || ln == 0 {
				return p, faultf(ruleList, u32(b[4+4*mid:]), "leaf is empty or a list of lists")
			}
			c, err := compareAt(lb, 0, lstep)
			if err != nil {
				return p, err
			}
			if c <= 0 {
				lo = mid
			} else {
				hi = mid
			}
		}
		if n == 0 {
			return p, faultf(ruleList, list, "list of lists is empty")
		}
		p.slot, p.leaf = lo, u32(b[4+4*lo:])
	}
	b, sig, n, step, err := h.leafOf(p.leaf)
	if err != nil {
		return p, err
	}
	if sig == sigRI {
		return p, faultf(ruleListNested, p.leaf, "list of lists inside a list of lists")
	}
	lo, hi := 0, n
	for lo < hi {
		mid := (lo + hi) / 2
		c, err := compareAt(b, mid, step)
		if err != nil {
			return p, err
		}
		if c < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	p.index, p.count, p.step = lo, n, step
	return p, nil
}

// link adds a key under its name to the list of its parent k.
func (k Key) link(key uint32, raw []byte, latin bool, t *target) error {
	h := k.h
	b, err := k.node()
	if err != nil {
		return err
	}
	if u32(b[nkSubkeys:]) == 0 || u32(b[nkList:]) == nilCell {
		off, err := h.newLeaf(h.leafSig(), 1)
		if err != nil {
			return err
		}
		lb := h.bins[off+4:]
		putEntry(lb[4:], u16(lb), key, raw, latin)
		if b, err = k.node(); err != nil {
			return err
		}
		put32(b[nkList:], off)
		put32(b[nkSubkeys:], 1)
		return nil
	}
	p, err := h.locate(u32(b[nkList:]), t)
	if err != nil {
		return err
	}
	if p.count >= leafMax {
		if p, err = k.split(p); err != nil {
			return err
		}
	}
	lb, sig, n, step, err := h.leafOf(p.leaf)
	if err != nil {
		return err
	}
	if need := 4 + (n+1)*step; need > len(lb) {
		// Reserve extra room, so that a growing list is not moved every time.
		to, err := h.resize(p.leaf, min(need+step*(n/4), 4+leafMax*step))
		if err != nil {
			return err
		}
		if to != p.leaf {
			if err := k.repoint(p, to); err != nil {
				return err
			}
			p.leaf = to
		}
		if lb, sig, n, step, err = h.leafOf(p.leaf); err != nil {
			return err
		}
	}
	if p.index > n || 4+(n+1)*step > len(lb) {
		return faultf(ruleListShared, p.leaf, "list has changed while it was edited: its cell is another's too")
	}
	at := 4 + p.index*step
	copy(lb[at+step:4+(n+1)*step], lb[at:4+n*step])
	putEntry(lb[at:], sig, key, raw, latin)
	put16(lb[2:], uint16(n+1))
	if b, err = k.node(); err != nil {
		return err
	}
	put32(b[nkSubkeys:], u32(b[nkSubkeys:])+1)
	return nil
}

func (h *Hive) leafSig() uint16 {
	if h.minor >= 5 {
		return sigLH
	}
	return sigLF
}

// newLeaf makes a leaf of n empty entries.
func (h *Hive) newLeaf(sig uint16, n int) (uint32, error) {
	step := int(leafStep(sig))
	off, err := h.alloc(4 + n*step)
	if err != nil {
		return 0, err
	}
	put16(h.bins[off+4:], sig)
	put16(h.bins[off+6:], uint16(n))
	return off, nil
}

// repoint updates the pointer to a moved leaf in the key or its root list.
func (k Key) repoint(p place, to uint32) error {
	if p.root == nilCell {
		b, err := k.node()
		if err != nil {
			return err
		}
		put32(b[nkList:], to)
		return nil
	}
	b, _, n, _, err := k.h.leafOf(p.root)
	if err != nil {
		return err
	}
	if p.slot >= n {
		return faultf(ruleList, p.root, "list has changed")
	}
	put32(b[4+4*p.slot:], to)
	return nil
}

// split makes room in a full leaf: keys added in order start a new leaf, others halve it.
// It returns the place in the leaf that now holds it.
func (k Key) split(p place) (place, error) {
	h := k.h
	_, sig, n, _, err := h.leafOf(p.leaf)
	if err != nil {
		return p, err
	}
	last := true
	if p.root != nilCell {
		_, _, leaves, _, err := h.leafOf(p.root)
		if err != nil {
			return p, err
		}
		if leaves >= 0xFFFF {
			return p, errListLimit
		}
		last = p.slot == leaves-1
	}
	keep := n / 2
	if last && p.index == n {
		keep = n
	}
	// All space is allocated before anything changes.
	newLeaf, err := h.newLeaf(sig, n-keep)
	if err != nil {
		return p, err
	}
	root := p.root
	if root == nilCell {
		if root, err = h.alloc(4 + 4*2); err != nil {
			h.free(newLeaf)
			return p, err
		}
		rb := h.bins[root+4:]
		put16(rb, sigRI)
		put16(rb[2:], 1)
		put32(rb[4:], p.leaf)
	} else {
		rb, _, leaves, _, err := h.leafOf(root)
		if err != nil {
			return p, err
		}
		if 4+4*(leaves+1) > len(rb) {
			if root, err = h.resize(root, 4+4*(leaves+1+leaves/4)); err != nil {
				h.free(newLeaf)
				return p, err
			}
		}
	}
	kb, err := k.node()
	if err != nil {
		return p, err
	}
	put32(kb[nkList:], root)
	p.root = root
	b, _, now, step, err := h.leafOf(p.leaf)
	if err != nil {
		return p, err
	}
	rb, rsig, leaves, _, err := h.leafOf(root)
	if err != nil {
		return p, err
	}
	if now != n || rsig != sigRI || p.slot >= leaves || 4+4*(leaves+1) > len(rb) {
		return p, faultf(ruleListShared, p.leaf, "list has changed while it was edited: its cell is another's too")
	}
	copy(h.bins[newLeaf+4+4:], b[4+keep*step:4+n*step])
	clear(b[4+keep*step : 4+n*step])
	put16(b[2:], uint16(keep))
	h.shrink(p.leaf, round8(uint32(4+keep*step+4)))
	copy(rb[4+4*(p.slot+2):4+4*(leaves+1)], rb[4+4*(p.slot+1):4+4*leaves])
	put32(rb[4+4*(p.slot+1):], newLeaf)
	put16(rb[2:], uint16(leaves+1))
	if p.index >= keep && (keep < n || p.index == n) {
		p.slot, p.leaf, p.index = p.slot+1, newLeaf, p.index-keep
		p.count = n - keep
	} else {
		p.count = keep
	}
	return p, nil
}

// unlink removes a key from the list of its parent k.
func (k Key) unlink(key uint32) error {
	h := k.h
	kb, err := k.node()
	if err != nil {
		return err
	}
	list := u32(kb[nkList:])
	b, sig, n, _, err := h.leafOf(list)
	if err != nil {
		return err
	}
	root, leaves := uint32(nilCell), []byte(nil)
	if sig == sigRI {
		root, leaves = list, b[4:4+4*n]
	}
	try := func(slot int, leaf uint32) (bool, error) {
		b, _, n, step, err := h.leafOf(leaf)
		if err != nil {
			return false, err
		}
		for i := range n {
			e := b[4+i*step:]
			if u32(e) != key {
				continue
			}
			copy(e, b[4+(i+1)*step:4+n*step])
			clear(b[4+(n-1)*step : 4+n*step])
			put16(b[2:], uint16(n-1))
			return true, k.dropped(root, slot, leaf, n-1, step)
		}
		return false, nil
	}
	if root == nilCell {
		ok, err := try(0, list)
		if err == nil && !ok {
			err = faultf(ruleList, list, "key is not in the list of its parent")
		}
		return err
	}
	for slot := range len(leaves) / 4 {
		ok, err := try(slot, u32(leaves[4*slot:]))
		if ok || err != nil {
			return err
		}
	}
	return faultf(ruleList, list, "key is not in the list of its parent")
}

// dropped tidies up after an entry was removed from a leaf that has n left.
func (k Key) dropped(root uint32, slot int, leaf uint32, n, step int) error {
	h := k.h
	kb, err := k.node()
	if err != nil {
		return err
	}
	put32(kb[nkSubkeys:], u32(kb[nkSubkeys:])-1)
	if n > 0 {
		if have := int(-h.rawSize(leaf)) - 8; have > 2*n*step+256 {
			h.shrink(leaf, round8(uint32(4+n*step+4)))
		}
		return nil
	}
	h.free(leaf)
	if root == nilCell {
		put32(kb[nkList:], nilCell)
		return nil
	}
	rb, _, leaves, _, err := h.leafOf(root)
	if err != nil {
		return err
	}
	if slot >= leaves {
		return faultf(ruleListShared, root, "list has changed while it was edited: its cell is another's too")
	}
	copy(rb[4+4*slot:], rb[4+4*(slot+1):4+4*leaves])
	clear(rb[4+4*(leaves-1) : 4+4*leaves])
	put16(rb[2:], uint16(leaves-1))
	if leaves-1 == 1 { // one leaf needs no list of lists
		put32(kb[nkList:], u32(rb[4:]))
		h.free(root)
	}
	return nil
}
