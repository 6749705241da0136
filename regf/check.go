package regf

import (
	"context"
	"iter"
	"sort"
	"strings"

	"github.com/mullion/mullion/finding"
)

// Check verifies the whole hive: base block, bins, every cell, the tree, lists,
// hashes, counts, longest-something fields, descriptors and their ring, what is
// reachable and what is leaked, and the rules of layered hives. It never changes
// the hive. Findings come after the whole hive was read, errors first, then warnings,
// those of one severity in the order of discovery; there are 10,000 at most. Path is
// that of a key below the root, Offset that of a cell from the end of the base block.
//
// A hive without findings of severity Warning or above keeps every invariant that this
// package knows. The error is ErrClosed, that of a file that cannot be read, or that of
// ctx.
func (h *Hive) Check(ctx context.Context) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		found, err := h.check(ctx)
		if err != nil {
			yield(finding.Finding{}, h.opError("check", "", -1, err))
			return
		}
		for _, f := range found {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (h *Hive) check(ctx context.Context) ([]finding.Finding, error) {
	if h.bins == nil {
		return nil, ErrClosed
	}
	if err := h.loadAll(); err != nil {
		return nil, err
	}
	c := newChecker(h)
	c.ctx = ctx
	for _, part := range []func(){c.base, c.cells, c.tree, c.ring, c.leaks} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part()
	}
	if err := ctx.Err(); err != nil { // the part that it ended is not complete
		return nil, err
	}
	found := c.v.Findings()
	sort.SliceStable(found, func(i, j int) bool { return found[i].Severity > found[j].Severity })
	return found, nil
}

// checker verifies a view of the hive that has its own list of findings.
type checker struct {
	ctx   context.Context // of Check, nil in a repair
	h     *Hive
	v     *Hive
	alloc []uint64 // cells in use
	owned []uint64 // cells that something points at
	cut   []uint64 // one bit per page of bins that are cut into cells properly
	refs  map[uint32]uint32
	empty []uint32 // cells in use that values without data and classes of no length point at
}

func newChecker(h *Hive) *checker {
	v := &Hive{
		name: h.name, mode: Report, data: h.data, bins: h.bins, cellHdr: h.cellHdr, root: h.root,
		minor: h.minor, dirty: h.dirty, layered: h.layered, clock: h.clock, resident: h.resident,
	}
	v.seen = make([]uint32, (len(v.bins)/8+31)/32)
	v.binAt = make([]uint32, len(v.bins)/pageSize)
	words := (len(v.bins)/8 + 63) / 64
	return &checker{
		h: h, v: v, alloc: make([]uint64, words), owned: make([]uint64, words),
		cut: make([]uint64, (len(v.bins)/pageSize+63)/64), refs: make(map[uint32]uint32),
	}
}

func (c *checker) find(rule *finding.Rule, off int64, path, format string, args ...any) {
	c.v.report(rule.At(path, off, format, args...))
}

func (c *checker) bad(rule *finding.Rule, off uint32, k Key, format string, args ...any) {
	c.find(rule, int64(off), k.Path(), format, args...)
}

// done reports whether a check was cancelled.
func (c *checker) done() bool { return c.ctx != nil && c.ctx.Err() != nil }

func setBit(b []uint64, off uint32)      { b[off>>9] |= 1 << (off >> 3 & 63) }
func hasBit(b []uint64, off uint32) bool { return b[off>>9]>>(off>>3&63)&1 != 0 }

// base verifies the base block.
func (c *checker) base() {
	hdr, err := ParseHeader(c.v.data)
	if err != nil {
		c.find(ruleBaseBlock, -1, "", "base block is not readable")
		return
	}
	edited := c.h.edit != nil && c.h.edit.changed // image completes the base block
	if !edited {
		if !hdr.ChecksumOK {
			c.find(ruleChecksum, -1, "", "checksum is %#x, should be %#x", hdr.Checksum, HeaderChecksum(c.v.data))
		}
		if hdr.Primary != hdr.Secondary {
			c.find(ruleDirty, -1, "", "sequence numbers %d and %d differ: the logs were not replayed", hdr.Primary, hdr.Secondary)
		}
		if int(hdr.BinsSize) != len(c.v.bins) {
			c.find(ruleBinsSize, -1, "", "base block declares %#x bytes of bins, the file has %#x", hdr.BinsSize, len(c.v.bins))
		}
		if extra := len(c.v.data) - baseSize - len(c.v.bins); extra > 0 {
			c.find(ruleTail, -1, "", "%d bytes follow the bins", extra)
		}
	}
	if u32(c.v.data[hdrFormat:]) != 1 {
		c.find(ruleFormat, -1, "", "format is %d, not 1", u32(c.v.data[hdrFormat:]))
	}
	if hdr.Clustering != 1 {
		c.find(ruleClustering, -1, "", "clustering factor is %d, not 1", hdr.Clustering)
	}
	if hdr.Minor == 6 && hdr.Flags&^(HeaderKtmLocked|HeaderLayered) != 0 {
		c.find(ruleHeaderFlags, -1, "", "unknown flags %#x", hdr.Flags)
	}
}

// cells walks bins and cells and notes which are in use.
func (c *checker) cells() {
	b := c.v.bins
	end := uint32(len(b))
	for bin := uint32(0); bin < end && !c.done(); {
		size := u32(b[bin+8:])
		if string(b[bin:bin+4]) != "hbin" || u32(b[bin+4:]) != bin || size == 0 || size%pageSize != 0 || uint64(bin)+uint64(size) > uint64(end) {
			c.find(ruleBinHeader, int64(bin), "", "bin header is damaged")
			bin += pageSize
			for bin < end && (string(b[bin:bin+4]) != "hbin" || u32(b[bin+4:]) != bin) {
				bin += pageSize
			}
			continue
		}
		binEnd, lastFree := bin+size, false
		off := bin + binHeader
		for off < binEnd {
			n := int32(u32(b[off:]))
			size, free := uint32(n), n > 0
			if !free {
				size = uint32(-n)
			}
			if size < 8 || size%8 != 0 || uint64(off)+uint64(size) > uint64(binEnd) {
				c.find(ruleCellSize, int64(off), "", "cell size %d does not fit in the bin", n)
				break
			}
			if free && lastFree {
				c.find(ruleFreeUnmerged, int64(off), "", "free cell follows a free cell")
			}
			if !free {
				setBit(c.alloc, off)
			}
			lastFree = free
			off += size
		}
		if off == binEnd {
			for page := bin / pageSize; page < binEnd/pageSize; page++ {
				c.cut[page/64] |= 1 << (page % 64)
			}
		}
		if c.v.resident != nil {
			c.v.resident.add(size)
		}
		bin = binEnd
	}
}

// own claims a cell for its one owner.
func (c *checker) own(off uint32, k Key, what string) bool {
	if off&7 != 0 || uint64(off)+8 > uint64(len(c.v.bins)) {
		c.bad(ruleCellRange, off, k, "%s lies outside the bins", what)
		return false
	}
	if hasBit(c.owned, off) {
		c.bad(ruleCellShared, off, k, "%s is used twice", what)
		return false
	}
	setBit(c.owned, off)
	return true
}

// cell returns a cell's payload or says what is wrong.
func (c *checker) cell(off uint32, k Key, what string) []byte {
	b, err := c.v.cell(off)
	if err != nil {
		c.fault(err, off, k, what)
		return nil
	}
	return b
}

func (c *checker) fault(err error, off uint32, k Key, what string) {
	if f, ok := err.(*fault); ok {
		c.bad(f.rule, off, k, "%s: %s", what, f.msg)
		return
	}
	c.bad(ruleRead, off, k, "%s: %v", what, err)
}

type checkFrame struct {
	key   Key
	layer Layer
}

// tree verifies keys depth first.
func (c *checker) tree() {
	root := Key{h: c.v, off: c.v.root}
	if _, _, err := c.v.nk(root.off); err != nil {
		c.fault(err, root.off, root, "root key")
		return
	}
	c.own(root.off, root, "root key")
	stack := []checkFrame{{key: root}}
	var kids []uint32
	for len(stack) > 0 && !c.done() {
		f := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		kids = c.key(f, kids[:0])
		if f.key.level >= MaxDepth && len(kids) > 0 {
			c.bad(ruleDepth, f.key.off, f.key, "more than %d levels", MaxDepth)
			continue
		}
		for i := len(kids) - 1; i >= 0; i-- {
			stack = append(stack, checkFrame{Key{h: c.v, off: kids[i], level: f.key.level + 1}, f.key.Layer()})
		}
	}
}

// key verifies one key and returns its subkeys.
func (c *checker) key(f checkFrame, kids []uint32) []uint32 {
	k := f.key
	b, name, err := c.v.nk(k.off)
	if err != nil {
		return kids
	}
	latin := c.v.latinKey(b)
	c.name(k, name, latin, "key")
	if k.off != c.v.root && strings.Contains(nameString(name, latin), `\`) {
		c.bad(ruleNkName, k.off, k, "name holds a backslash")
	}
	if len(name) == 0 {
		c.bad(ruleNkName, k.off, k, "name is empty")
	}
	if k.off != c.v.root && unitsOf(name, latin) > MaxKeyName {
		c.find(ruleNkName.Lesser(), int64(k.off), k.Path(), "name has more than %d units", MaxKeyName)
	}
	c.class(k, b)
	c.security(k, b)
	c.values(k, b)
	c.layers(f, b)
	return c.subkeys(k, b, kids)
}

func (c *checker) name(k Key, name []byte, latin bool, what string) {
	if latin {
		return
	}
	if len(name)%2 != 0 {
		c.bad(ruleNameOdd, k.off, k, "%s name has an odd number of bytes", what)
	}
}

func (c *checker) class(k Key, b []byte) {
	n, off := int(u16(b[nkClassLen:])), u32(b[nkClass:])
	if n == 0 || off == nilCell {
		if n != 0 {
			c.bad(ruleClassSize, k.off, k, "class of %d bytes has no cell", n)
		}
		// ORMergeHives leaves the root a cell for a class of no length.
		if n == 0 && off&7 == 0 && uint64(off) < uint64(len(c.v.bins)) && hasBit(c.alloc, off) {
			c.empty = append(c.empty, off)
		}
		return
	}
	if cell := c.cell(off, k, "class"); cell != nil {
		c.own(off, k, "class")
		if n > len(cell) {
			c.bad(ruleClassSize, off, k, "class of %d bytes goes past its cell", n)
		}
	}
}

func (c *checker) security(k Key, b []byte) {
	off := u32(b[nkSecurity:])
	if _, err := c.v.sk(off); err != nil {
		c.fault(err, off, k, "security")
		return
	}
	c.refs[off]++
	setBit(c.owned, off)
}

func (c *checker) layers(f checkFrame, b []byte) {
	if !c.v.layered {
		return
	}
	k := f.key
	l := k.Layer()
	if l == LayerTombstone && (u32(b[nkSubkeys:]) != 0 || u32(b[nkValues:]) != 0 || u16(b[nkClassLen:]) != 0) {
		c.bad(ruleLayerTombstone, k.off, k, "tombstone has subkeys, values or a class")
	}
	if k.off == c.v.root {
		if l == LayerTombstone {
			c.bad(ruleLayerTombstone, k.off, k, "root is a tombstone")
		}
		return
	}
	if f.layer == LayerSupersedeTree && l != LayerSupersedeTree && l != LayerTombstone {
		// offreg itself makes such keys, and merging takes them so.
		c.find(ruleLayerTree, int64(k.off), k.Path(), "%v below a supersede-tree key counts as supersede-tree", l)
	}
	if f.layer == LayerTombstone {
		c.bad(ruleLayerTombstone, k.off, k, "key below a tombstone")
	}
}

// subkeys verifies the list of a key and collects the subkeys.
func (c *checker) subkeys(k Key, b []byte, kids []uint32) []uint32 {
	want, list := u32(b[nkSubkeys:]), u32(b[nkList:])
	if want == 0 {
		return kids // a stale list offset has no meaning
	}
	top := c.cell(list, k, "subkey list")
	if top == nil || !c.own(list, k, "subkey list") {
		return kids
	}
	entries, sig, err := listEntries(c.v, list, top)
	if err != nil {
		c.fault(err, list, k, "subkey list")
		return kids
	}
	var order struct {
		prev  []byte
		latin bool
	}
	var longName, longClass uint32
	leaf := func(off uint32, e []byte, sig uint16) {
		if len(e) == 0 {
			c.bad(ruleListEmpty, off, k, "leaf has no entries")
		}
		for step := int(leafStep(sig)); len(e) >= step; e = e[step:] {
			kid := u32(e)
			nb, name, err := c.v.nk(kid)
			if err != nil {
				c.fault(err, kid, k, "subkey")
				continue
			}
			if !c.own(kid, k, "subkey") {
				continue
			}
			latin := c.v.latinKey(nb)
			sub := Key{h: c.v, off: kid}
			if p := u32(nb[nkParent:]); p != k.off {
				c.find(ruleNkParent, int64(kid), k.Path(), "parent is %#x, not %#x", p, k.off)
			}
			if order.prev != nil {
				switch cmp := compareStored(order.prev, order.latin, name, latin); {
				case cmp == 0:
					c.bad(ruleNkDuplicate, kid, sub, "key has the name of its neighbour")
				case cmp > 0:
					c.bad(ruleListOrder, kid, sub, "subkeys are not in ascending order")
				}
			}
			order.prev, order.latin = name, latin
			switch sig {
			case sigLH:
				if h := hashStored(name, latin); u32(e[4:]) != h {
					c.bad(ruleListHash, kid, sub, "hash is %#x, should be %#x", u32(e[4:]), h)
				}
			case sigLF:
				if h := hintStored(name, latin); u32(e[4:]) != h && !looseHint(u32(e[4:]), h) {
					c.bad(ruleListHint, kid, sub, "hint is %#x, should be %#x", u32(e[4:]), h)
				}
			}
			longName = max(longName, uint32(2*unitsOf(name, latin)))
			longClass = max(longClass, uint32(u16(nb[nkClassLen:])))
			kids = append(kids, kid)
		}
	}
	if sig == sigRI {
		if len(entries) == 0 {
			c.bad(ruleListEmpty, list, k, "list of lists has no entries")
		}
		for ; len(entries) >= 4; entries = entries[4:] {
			off := u32(entries)
			cell := c.cell(off, k, "subkey list leaf")
			if cell == nil || !c.own(off, k, "subkey list leaf") {
				continue
			}
			e, lsig, err := listEntries(c.v, off, cell)
			if err != nil {
				c.fault(err, off, k, "subkey list leaf")
				continue
			}
			if lsig == sigRI {
				c.bad(ruleListNested, off, k, "list of lists inside a list of lists")
				continue
			}
			leaf(off, e, lsig)
		}
	} else {
		leaf(list, entries, sig)
	}
	if uint32(len(kids)) != want {
		c.bad(ruleSubkeyCount, k.off, k, "key declares %d subkeys, its list has %d that can be read", want, len(kids))
	}
	// A predefined handle or a volatile subkey can have left larger numbers behind;
	// only one that is too small makes buffers too small.
	if n := uint32(u16(b[nkMaxName:])); n < min(longName, 0xFFFF) {
		c.find(ruleLongestSubkey, int64(k.off), k.Path(), "longest subkey name is %d bytes, field says %d", longName, n)
	}
	if n := u32(b[nkMaxClass:]); n < longClass {
		c.find(ruleLongestClass, int64(k.off), k.Path(), "longest subkey class is %d bytes, field says %d", longClass, n)
	}
	return kids
}

// looseHint accepts a hint that differs in case alone: renaming keeps it in some
// versions of Windows, and lookups fold it.
func looseHint(a, b uint32) bool {
	for i := 0; i < 32; i += 8 {
		x, y := byte(a>>i), byte(b>>i)
		if 'a' <= x && x <= 'z' {
			x -= 'a' - 'A'
		}
		if 'a' <= y && y <= 'z' {
			y -= 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// values verifies the values of a key.
func (c *checker) values(k Key, b []byte) {
	n, list := u32(b[nkValues:]), u32(b[nkValueList:])
	if n == 0 || u16(b[nkFlags:])&uint16(KeyPredefined) != 0 {
		return
	}
	cell := c.cell(list, k, "value list")
	if cell == nil || !c.own(list, k, "value list") {
		return
	}
	if uint64(n)*4 > uint64(len(cell)) {
		c.bad(ruleValueCount, k.off, k, "%d values do not fit in their list at %#x", n, list)
		n = uint32(len(cell) / 4)
	}
	var longName, longData uint32
	var names nameSet
	for i := range n {
		off := u32(cell[4*i:])
		v, name, err := c.v.vk(off)
		if err != nil {
			c.fault(err, off, k, "value")
			continue
		}
		if !c.own(off, k, "value") {
			continue
		}
		latin := c.v.latinValue(v)
		c.name(Key{h: c.v, off: k.off}, name, latin, "value")
		if !names.add(name, latin) {
			c.bad(ruleVkDuplicate, off, k, "two values have the name %q", nameString(name, latin))
		}
		size := u32(v[vkDataSize:])
		c.data(k, off, v)
		if c.v.layered && u16(v[vkFlags:])&vkTombstone != 0 && (size != 0 || u32(v[vkType:]) != 0) {
			c.bad(ruleLayerValue, off, k, "tombstone value has a type or data")
		}
		longName = max(longName, uint32(2*unitsOf(name, latin)))
		longData = max(longData, size&^inlineBit)
	}
	if m := u32(b[nkMaxValName:]); m < longName {
		c.find(ruleLongestValueName, int64(k.off), k.Path(), "longest value name is %d bytes, field says %d", longName, m)
	}
	if m := u32(b[nkMaxValData:]); m < longData {
		c.find(ruleLongestValueData, int64(k.off), k.Path(), "longest value data is %d bytes, field says %d", longData, m)
	}
}

// data verifies the cells of a value's data.
func (c *checker) data(k Key, vk uint32, v []byte) {
	size, off := u32(v[vkDataSize:]), u32(v[vkData:])
	if size&inlineBit != 0 {
		if size&^inlineBit > 4 {
			c.bad(ruleDataInline, vk, k, "%d bytes are stored in a field of 4", size&^inlineBit)
		}
		return
	}
	if size == 0 {
		// Some versions of Windows keep a cell for data that has become empty.
		if off != nilCell && off&7 == 0 && uint64(off)+8 <= uint64(len(c.v.bins)) && hasBit(c.alloc, off) {
			c.empty = append(c.empty, off)
		}
		return
	}
	cell := c.cell(off, k, "data")
	if cell == nil || !c.own(off, k, "data") {
		return
	}
	if !c.v.bigData(size) {
		if uint64(size) > uint64(len(cell)) {
			c.bad(ruleDataSize, off, k, "%d bytes of data go past their cell", size)
		}
		return
	}
	if c.v.isFlat(off, size) {
		c.fault(flatData(off, size), off, k, "big data")
		return
	}
	list, n, err := c.v.segments(off)
	if err != nil {
		c.fault(err, off, k, "big data")
		return
	}
	need := int((size + segmentSize - 1) / segmentSize)
	if n != need {
		c.bad(ruleDbCount, off, k, "%d segments where %d bytes need %d", n, size, need)
	}
	lc := c.cell(list, k, "segment list")
	if lc == nil || !c.own(list, k, "segment list") {
		return
	}
	if 4*n > len(lc) {
		c.bad(ruleDbCount, list, k, "%d segments do not fit in their list", n)
		n = len(lc) / 4
	}
	left := size
	for i := range n {
		s := u32(lc[4*i:])
		want := min(left, segmentSize)
		left -= want
		sc := c.cell(s, k, "data segment")
		if sc == nil || !c.own(s, k, "data segment") {
			continue
		}
		if int(want) > len(sc) {
			c.bad(ruleDbSegment, s, k, "segment is shorter than %d bytes", want)
		} else if shortSegment(sc) {
			c.bad(ruleDbShort, s, k, "segment has room for %d bytes instead of %d: Windows drops the value in silence", len(sc), segmentSize)
		}
	}
}

// foldStored is a map key for a stored name without regard to case.
func foldStored(name []byte, latin bool) string {
	var t target
	t.set(nameString(name, latin))
	b := make([]byte, 0, 2*t.n)
	for _, u := range t.units() {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// ring verifies the descriptors: one ring, exact counts.
func (c *checker) ring() {
	root, _, err := c.v.nk(c.v.root)
	if err != nil {
		return
	}
	k := Key{h: c.v, off: c.v.root}
	ring, err := c.v.ringCells()
	if err != nil {
		c.fault(err, u32(root[nkSecurity:]), k, "ring of descriptors")
	}
	in := make(map[uint32]struct{}, len(ring))
	for _, off := range ring {
		in[off] = struct{}{}
		setBit(c.owned, off)
		b, err := c.v.cell(off)
		if err != nil {
			continue
		}
		if n := u32(b[skRefs:]); n != c.refs[off] {
			c.find(ruleSkRefs, int64(off), "", "reference count is %d, %d keys use it", n, c.refs[off])
		}
		if sd, err := c.v.sk(off); err != nil || !plausibleDescriptor(sd) {
			c.find(ruleSkDescriptor.Lesser(), int64(off), "", "not a self-relative security descriptor")
		}
	}
	var outside []uint32
	for off := range c.refs {
		if _, ok := in[off]; !ok {
			outside = append(outside, off)
		}
	}
	sort.Slice(outside, func(i, j int) bool { return outside[i] < outside[j] })
	for _, off := range outside {
		c.find(ruleSkRing, int64(off), "", "descriptor of %d keys is not in the ring", c.refs[off])
	}
}

// leaks lists cells in use that nothing points at, and what points into cells.
func (c *checker) leaks() {
	for _, off := range c.empty {
		setBit(c.owned, off)
	}
	for i, w := range c.alloc {
		for w &^= c.owned[i]; w != 0; w &= w - 1 {
			off := uint32(i*64+trailing(w)) * 8
			c.find(ruleCellLeak, int64(off), "", "cell of %d bytes is in use and nothing points at it", -int32(u32(c.v.bins[off:])))
		}
	}
	c.overlaps()
}

// overlaps lists cells that are pointed at and look like cells in use, but begin
// inside another: whoever edits the hive sees the other one. Where the bin is not
// cut into cells properly that has been said already.
func (c *checker) overlaps() {
	for i, w := range c.owned {
		for w &^= c.alloc[i]; w != 0; w &= w - 1 {
			off := uint32(i*64+trailing(w)) * 8
			page := off / pageSize
			if c.cut[page/64]>>(page%64)&1 != 0 && int32(u32(c.v.bins[off:])) < 0 {
				c.find(ruleCellOverlap, int64(off), "", "cell begins inside another cell")
			}
		}
	}
}
