package regf

import "fmt"

// ErrNeedsRepair reports that a hive is damaged in such a way that an edit would lose data:
// a reachable cell is free, is inside another or has two owners, or a list cannot be read.
// It is ErrCorrupt too. See [Hive.Repair].
var ErrNeedsRepair error = &sentinel{text: "hive has to be repaired before it is edited", codes: [2]Errno{ErrorBadDB}, also: ErrCorrupt}

// needsRepair turns a fault into the error for an edit.
func needsRepair(err error) error {
	if err == nil || !isFault(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNeedsRepair, err)
}

// A prover reads the whole hive once before the first change and stops at faults because of
// which an edit would lose data: space that is allocated or freed must have no other owner.
// It uses one bit for 8 bytes of bins and a few bytes for each key on the way down.
type prover struct {
	h     *Hive
	alloc []uint64 // cells in use without a known owner yet
	refs  map[uint32]uint32
	empty []uint32 // cells of values without data
	stack []provenKey
}

type provenKey struct {
	off, parent uint32
	level       uint16
}

// prove verifies the hive and records in e the state that the editor needs.
func (h *Hive) prove(e *editor) error {
	p := &prover{h: h, alloc: make([]uint64, (len(h.bins)/8+63)/64), refs: make(map[uint32]uint32)}
	if err := p.cells(); err != nil {
		return err
	}
	if err := p.tree(); err != nil {
		return err
	}
	for _, off := range p.empty {
		if !hasBit(p.alloc, off) {
			continue
		}
		if e.emptied == nil {
			e.emptied = make(map[uint32]struct{})
		}
		e.emptied[off] = struct{}{}
	}
	e.counted = p.counted()
	return nil
}

// cells records the starts of cells in use.
func (p *prover) cells() error {
	b := p.h.bins
	for bin := uint32(0); bin < uint32(len(b)); {
		end, err := p.h.binEnd(bin)
		if err != nil {
			return err
		}
		for off := bin + binHeader; off < end; {
			n := int32(u32(b[off:]))
			size := uint32(n)
			if n < 0 {
				size = -size
				setBit(p.alloc, off)
			}
			if size < 8 || size%8 != 0 || size > end-off {
				return faultf(ruleCellSize, off, "size %d does not fit in its bin", n)
			}
			off += size
		}
		bin = end
	}
	return nil
}

// binEnd checks the header of a bin and returns where the bin ends.
func (h *Hive) binEnd(bin uint32) (uint32, error) {
	b := h.bins
	size := u32(b[bin+8:])
	if string(b[bin:bin+4]) != "hbin" || u32(b[bin+4:]) != bin || size == 0 || size%pageSize != 0 || uint64(bin)+uint64(size) > uint64(len(b)) {
		return 0, faultf(ruleBinHeader, bin, "bin header is damaged")
	}
	return bin + size, nil
}

// take claims a cell for its one owner and returns its payload.
func (p *prover) take(off uint32, what string) ([]byte, error) {
	b := p.h.bins
	if off&7 != 0 || off < binHeader || uint64(off)+8 > uint64(len(b)) {
		return nil, faultf(ruleCellRange, off, "%s lies outside the bins", what)
	}
	if !hasBit(p.alloc, off) {
		return nil, p.notOwned(off, what)
	}
	p.alloc[off>>9] &^= 1 << (off >> 3 & 63)
	return b[off+4 : off-u32(b[off:])], nil
}

// notOwned returns the reason why a cell cannot be claimed.
func (p *prover) notOwned(off uint32, what string) error {
	b := p.h.bins
	bin, _, ok := p.h.bin(off / pageSize)
	if !ok {
		return faultf(ruleBinHeader, off&^(pageSize-1), "no bin header covers this page")
	}
	at := bin + binHeader
	for at < off {
		n := int32(u32(b[at:]))
		at += uint32(max(n, -n))
	}
	switch {
	case at != off:
		return faultf(ruleCellOverlap, off, "%s begins inside another cell", what)
	case int32(u32(b[off:])) > 0:
		return faultf(ruleCellFree, off, "%s is a free cell", what)
	}
	return faultf(ruleCellShared, off, "%s is used twice", what)
}

// tree claims everything that is reached from the root.
func (p *prover) tree() error {
	p.stack = append(p.stack, provenKey{off: p.h.root, parent: nilCell})
	for len(p.stack) > 0 {
		k := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		if err := p.key(k); err != nil {
			return err
		}
	}
	return nil
}

func (p *prover) key(k provenKey) error {
	b, err := p.take(k.off, "key")
	if err != nil {
		return err
	}
	switch {
	case len(b) < nkSize || u16(b) != sigNK:
		return faultf(ruleNk, k.off, "cell is not a key")
	case int(u16(b[nkNameLen:])) > len(b)-nkSize:
		return faultf(ruleNkName, k.off, "name of %d bytes goes past the cell", u16(b[nkNameLen:]))
	case k.parent != nilCell && u32(b[nkParent:]) != k.parent:
		return faultf(ruleNkParent, k.off, "parent is %#x, not %#x", u32(b[nkParent:]), k.parent)
	case k.level > MaxDepth:
		return faultf(ruleDepth, k.off, "more than %d levels", MaxDepth)
	}
	sk := u32(b[nkSecurity:])
	if p.refs[sk] == 0 {
		c, err := p.take(sk, "security descriptor")
		if err != nil {
			return err
		}
		if len(c) < skSize || u16(c) != sigSK {
			return faultf(ruleSk, sk, "cell is not a security descriptor")
		}
	}
	p.refs[sk]++
	if n, off := u16(b[nkClassLen:]), u32(b[nkClass:]); n != 0 && off != nilCell {
		if _, err := p.take(off, "class"); err != nil {
			return err
		}
	}
	if err := p.values(k.off, b); err != nil {
		return err
	}
	return p.subkeys(k, b)
}

func (p *prover) subkeys(k provenKey, b []byte) error {
	want, list := u32(b[nkSubkeys:]), u32(b[nkList:])
	if want == 0 {
		return nil
	}
	entries, sig, err := p.list(list)
	if err != nil {
		return err
	}
	first := len(p.stack)
	if sig != sigRI {
		p.push(k, entries, sig)
	} else {
		for ; len(entries) >= 4; entries = entries[4:] {
			leaf, lsig, err := p.list(u32(entries))
			if err != nil {
				return err
			}
			if lsig == sigRI {
				return faultf(ruleListNested, u32(entries), "list of lists inside a list of lists")
			}
			p.push(k, leaf, lsig)
		}
	}
	if n := len(p.stack) - first; uint32(n) != want {
		return faultf(ruleSubkeyCount, k.off, "key declares %d subkeys, its list has %d", want, n)
	}
	return nil
}

// push adds the keys of a leaf to the stack.
func (p *prover) push(k provenKey, leaf []byte, sig uint16) {
	for step := int(leafStep(sig)); len(leaf) >= step; leaf = leaf[step:] {
		p.stack = append(p.stack, provenKey{u32(leaf), k.off, k.level + 1})
	}
}

// list claims a list of subkeys and returns its entries.
func (p *prover) list(off uint32) ([]byte, uint16, error) {
	b, err := p.take(off, "list of subkeys")
	if err != nil {
		return nil, 0, err
	}
	if len(b) < 4 {
		return nil, 0, faultf(ruleList, off, "cell is too small for a list")
	}
	sig, n, step := u16(b), int(u16(b[2:])), 4
	switch sig {
	case sigLF, sigLH:
		step = 8
	case sigLI, sigRI:
	default:
		return nil, 0, faultf(ruleList, off, "cell is not a list of subkeys")
	}
	if n*step > len(b)-4 {
		return nil, 0, faultf(ruleListCount, off, "%d entries do not fit in the cell", n)
	}
	return b[4 : 4+n*step], sig, nil
}

func (p *prover) values(key uint32, b []byte) error {
	n, list := u32(b[nkValues:]), u32(b[nkValueList:])
	if n == 0 || u16(b[nkFlags:])&uint16(KeyPredefined) != 0 {
		return nil
	}
	c, err := p.take(list, "list of values")
	if err != nil {
		return err
	}
	if uint64(n)*4 > uint64(len(c)) {
		return faultf(ruleValueCount, key, "%d values do not fit in their list at %#x", n, list)
	}
	for c = c[:4*n]; len(c) >= 4; c = c[4:] {
		off := u32(c)
		v, err := p.take(off, "value")
		switch {
		case err != nil:
			return err
		case len(v) < vkSize || u16(v) != sigVK:
			return faultf(ruleVk, off, "cell is not a value")
		case int(u16(v[vkNameLen:])) > len(v)-vkSize:
			return faultf(ruleVkName, off, "name of %d bytes goes past the cell", u16(v[vkNameLen:]))
		}
		if err := p.data(v); err != nil {
			return err
		}
	}
	return nil
}

// data claims the cells of a value's data. They need not hold all of it: missing data
// cannot be lost.
func (p *prover) data(v []byte) error {
	size, off := u32(v[vkDataSize:]), u32(v[vkData:])
	switch {
	case size&inlineBit != 0:
		return nil
	case size == 0:
		if off&7 == 0 && uint64(off)+8 <= uint64(len(p.h.bins)) {
			p.empty = append(p.empty, off)
		}
		return nil
	}
	c, err := p.take(off, "data")
	if err != nil || !p.h.bigData(size) || uint64(size) <= uint64(len(c)) {
		return err
	}
	if len(c) < 8 || u16(c) != sigDB {
		return faultf(ruleDb, off, "cell is not the head of big data")
	}
	list, n := u32(c[4:]), int(u16(c[2:]))
	l, err := p.take(list, "list of segments")
	if err != nil {
		return err
	}
	if need := int((size + segmentSize - 1) / segmentSize); n != need || 4*n > len(l) {
		return faultf(ruleDbCount, off, "%d segments where %d bytes need %d", n, size, need)
	}
	for i := range n {
		if _, err := p.take(u32(l[4*i:]), "data segment"); err != nil {
			return err
		}
	}
	return nil
}

// counted reports whether the reference counts are right and all descriptors in their ring,
// so that no count is needed later.
func (p *prover) counted() bool {
	ring, err := p.h.ringCells()
	if err != nil {
		return false
	}
	used := 0
	for _, off := range ring {
		c, err := p.h.skCell(off)
		if err != nil || u32(c[skRefs:]) != p.refs[off] {
			return false
		}
		if p.refs[off] != 0 {
			used++
		}
	}
	return used == len(p.refs)
}
