package regf

// subIter walks the subkey list of one key in stored order. Its only pointers are slices of
// the hive, so that a stack of them costs one allocation.
type subIter struct {
	h     *Hive
	w     *walk
	owner uint32 // the key's cell
	ri    []byte // remaining entries of the root list
	leaf  []byte // remaining entries of the current leaf
	step  uint32 // bytes of a leaf entry: 4 or 8
	left  uint32 // keys that may still come before the list is implausible
	count uint32 // keys returned so far
	want  uint32 // keys the node declares
	err   error
	done  bool
	keep  *[]*fault // collects all faults, for a repair
}

// start prepares for the list of a key's cell b.
func (it *subIter) start(h *Hive, w *walk, off uint32, b []byte) {
	*it = subIter{h: h, w: w, owner: off, want: u32(b[nkSubkeys:]), keep: it.keep}
	// Every subkey has a cell of its own of 80 bytes or more.
	it.left = uint32(len(h.bins) / (nkSize + 4))
	list := u32(b[nkList:])
	if it.want == 0 || list == nilCell {
		if it.want != 0 {
			it.fault(faultf(ruleListNone, off, "key declares %d subkeys and has no list", it.want))
		}
		it.done = true
		return
	}
	c, sig, err := it.open(list)
	if err != nil {
		it.fault(err)
		it.done = true
		return
	}
	if sig == sigRI {
		it.ri = c
	} else {
		it.leaf, it.step = c, leafStep(sig)
	}
}

func (it *subIter) fault(err error) {
	if f, ok := err.(*fault); ok && it.keep != nil {
		*it.keep = append(*it.keep, f)
	}
	if it.err == nil {
		k := Key{h: it.h, off: it.owner}
		if !isFault(err) {
			it.err = err
			return
		}
		it.err = it.h.tolerate(err, &k)
	}
}

func isFault(err error) bool {
	_, ok := err.(*fault)
	return ok
}

func leafStep(sig uint16) uint32 {
	if sig == sigLI {
		return 4
	}
	return 8
}

// open returns the entries of a list cell.
func (it *subIter) open(off uint32) ([]byte, uint16, error) {
	b, err := it.h.cell(off)
	if err != nil {
		return nil, 0, err
	}
	if it.w != nil && !it.w.claim(off) {
		return nil, 0, faultf(ruleListShared, off, "list is reached twice")
	}
	return listEntries(it.h, off, b)
}

// listEntries checks a list's signature and cuts its entries out of the cell.
func listEntries(h *Hive, off uint32, b []byte) ([]byte, uint16, error) {
	if len(b) < 4 {
		return nil, 0, faultf(ruleList, off, "cell is too small for a list")
	}
	sig, n := u16(b), int(u16(b[2:]))
	step := 4
	switch sig {
	case sigLF, sigLH:
		step = 8
	case sigLI, sigRI:
	default:
		return nil, 0, faultf(ruleList, off, "cell is not a list of subkeys")
	}
	if n*step > len(b)-4 {
		if err := h.tolerate(faultf(ruleListCount, off, "%d entries do not fit in the cell", n), nil); err != nil {
			return nil, 0, err
		}
		n = (len(b) - 4) / step
	}
	return b[4 : 4+n*step], sig, nil
}

// next returns the cell of the next subkey. After false, it.err is the reason.
func (it *subIter) next() (uint32, bool) {
	for {
		if len(it.leaf) >= int(it.step) && it.step != 0 {
			off := u32(it.leaf)
			it.leaf = it.leaf[it.step:]
			if it.left == 0 {
				it.fault(faultf(ruleListLong, it.owner, "list has more entries than the hive has room for keys"))
				it.leaf, it.ri = nil, nil
				it.done = true
				return 0, false
			}
			it.left--
			it.count++
			return off, true
		}
		if it.done || it.err != nil {
			return 0, false
		}
		if len(it.ri) < 4 {
			it.done = true
			if it.count != it.want {
				it.fault(faultf(ruleSubkeyCount, it.owner, "key declares %d subkeys, its list has %d", it.want, it.count))
			}
			return 0, false
		}
		off := u32(it.ri)
		it.ri = it.ri[4:]
		c, sig, err := it.open(off)
		if err == nil && sig == sigRI {
			err = faultf(ruleListNested, off, "list of lists inside a list of lists")
		}
		if err != nil {
			it.fault(err)
			if it.err != nil {
				return 0, false
			}
			continue
		}
		it.leaf, it.step = c, leafStep(sig)
	}
}

// child checks that a list entry is a key that belongs here.
func (it *subIter) child(off uint32) error {
	if off == it.h.root {
		return faultf(ruleNkCycle, off, "root is listed as a subkey")
	}
	b, _, err := it.h.nk(off)
	if err != nil {
		return err
	}
	if it.w != nil && !it.w.claim(off) {
		return faultf(ruleNkTwice, off, "key is reached twice")
	}
	if up := it.h.parent(b); up != it.owner {
		return it.h.tolerate(faultf(ruleNkParent, off, "parent is %#x, not %#x", up, it.owner), nil)
	}
	return nil
}
