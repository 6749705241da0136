package regf

import (
	"slices"
)

// compactor lays out a new hive as offreg does. The allocation rules were derived from
// hives that offreg wrote:
//
// Keys are written level by level: a key is followed by its list of values, each value
// followed by its data, the class, and the leaves of its subkey list; then comes the next
// key of the same level. All descriptors follow the root in ring order.
//
// Free space is kept in stacks for six size classes, bounded by freeBounds. A request takes
// the top of the lowest class whose cells are all large enough, and the rest is pushed on
// its own class. A request that no class satisfies gets a new bin of the fewest pages that
// hold it.
//
// Version 10.0 saves all hives in this way, and version 6.2 those that it opened. Hives
// that 6.2 created are filled from low addresses instead.
type compactor struct {
	out    []byte // base block and bins
	spill  *spill // has the bins if not nil, and out the base block alone
	origin uint32 // offset of the first bin in out, 0 unless the bins continue those of a file
	free   [len(freeBounds)][]span
	big    bool // data above 16,344 bytes is cut into segments
	hash   bool // lists are lh, not lf

	sks []skEntry

	limit uint64 // maximum bytes of bins in the result
}

type span struct{ off, size uint32 }

// freeBounds are the minimum sizes of the classes. The last was measured to lie between
// 3,528 and 3,640.
var freeBounds = [...]uint32{8, 16, 64, 256, 1024, 3584}

type skEntry struct {
	src  uint32 // cell in the source
	off  uint32 // cell in the output
	refs uint32
}

// maxGrowth limits the bins of the result to this multiple of the bins of its source. No
// sound hive comes near it: data just above 16,344 bytes in whole segments takes two and a
// half times its room, a list of offsets alone twice when it gets hashes. Overlapping
// cells, however, are copied once each, so that their copies grow with the square of the
// enclosing space.
const maxGrowth = 4

// newCompactor prepares for a result of about sizeHint bytes, made from source bytes of
// bins.
func newCompactor(sizeHint, source int) *compactor {
	return &compactor{
		out:   make([]byte, baseSize, baseSize+sizeHint),
		limit: min(maxBins, maxGrowth*uint64(source)+1<<20),
	}
}

func freeClass(size uint32) int {
	c := 0
	for c+1 < len(freeBounds) && size >= freeBounds[c+1] {
		c++
	}
	return c
}

// alloc returns the offset of a new cell with room for n bytes; its payload is
// zero.
func (c *compactor) alloc(n uint32) (uint32, error) {
	size := round8(n + 4)
	class := 0
	for class < len(freeBounds) && freeBounds[class] < size {
		class++
	}
	for ; class < len(freeBounds); class++ {
		stack := c.free[class]
		if len(stack) == 0 {
			continue
		}
		s := stack[len(stack)-1]
		c.free[class] = stack[:len(stack)-1]
		c.cut(s, size)
		return s.off, nil
	}
	bin := c.end()
	pages := roundPage(size + binHeader)
	if size < n || uint64(bin)+uint64(pages) > c.limit {
		if c.limit == maxBins {
			return 0, errBinsLimit
		}
		return 0, &LimitError{"bytes of bins: the cells of the hive overlap, and copies of them would be many times its size", int64(c.limit)}
	}
	b := c.extend(pages)
	copy(b, "hbin")
	put32(b[4:], bin)
	put32(b[8:], pages)
	c.cut(span{bin + binHeader, pages - binHeader}, size)
	return bin + binHeader, nil
}

// grow lengthens b by n zero bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[: len(b)+n : cap(b)]
	}
	return append(slices.Grow(b, n+len(b)/4), make([]byte, n)...)
}

// cut allocates the first size bytes of a free cell.
func (c *compactor) cut(s span, size uint32) {
	put32(c.cell(s.off), -size)
	if rest := s.size - size; rest != 0 {
		at := s.off + size
		put32(c.cell(at), rest)
		k := freeClass(rest)
		c.free[k] = append(c.free[k], span{at, rest})
	}
}

// end returns the offset at which the bins end.
func (c *compactor) end() uint32 {
	if c.spill != nil {
		return c.spill.size
	}
	return c.origin + uint32(len(c.out)-baseSize)
}

// extend appends n zero bytes to the bins and returns them.
func (c *compactor) extend(n uint32) []byte {
	if c.spill != nil {
		return c.spill.extend(n)
	}
	from := len(c.out)
	c.out = grow(c.out, int(n))
	return c.out[from:]
}

// cell returns a cell from its size on.
func (c *compactor) cell(off uint32) []byte {
	if c.spill != nil {
		return c.spill.at(off)
	}
	return c.out[baseSize+off-c.origin:]
}

// at returns the payload of a cell that was allocated.
func (c *compactor) at(off uint32) []byte { return c.cell(off)[4:] }

// settle bounds the memory of a result that goes to a file. The slices that at returned
// before are not part of the result any more.
func (c *compactor) settle() {
	if c.spill != nil {
		c.spill.settle()
	}
}

// fault returns the error of the file that a result goes to.
func (c *compactor) fault() error {
	if c.spill != nil {
		return c.spill.err
	}
	return nil
}

// put allocates a cell and fills it.
func (c *compactor) put(b []byte) (uint32, error) {
	off, err := c.alloc(uint32(len(b)))
	if err == nil {
		copy(c.at(off), b)
	}
	return off, err
}

// data writes the data of a value that is not inline.
func (c *compactor) data(b []byte) (uint32, error) {
	if len(b) <= segmentSize || !c.big {
		return c.put(b)
	}
	n := (len(b) + segmentSize - 1) / segmentSize
	if n > 0xFFFF {
		return 0, &LimitError{"bytes of data in one value", 0xFFFF * segmentSize}
	}
	db, err := c.alloc(8)
	if err != nil {
		return 0, err
	}
	list, err := c.alloc(uint32(4 * n))
	if err != nil {
		return 0, err
	}
	head := c.at(db)
	put16(head, sigDB)
	put16(head[2:], uint16(n))
	put32(head[4:], list)
	for i := range n {
		seg, err := c.alloc(segmentSize) // the last one too, see shortSegment
		if err != nil {
			return 0, err
		}
		copy(c.at(seg), b[i*segmentSize:min(len(b), (i+1)*segmentSize)])
		put32(c.at(list)[4*i:], seg)
		c.settle()
	}
	return db, nil
}

// lists allocates the subkey list of a key with n subkeys and returns its cell. slot fills
// the entries.
func (c *compactor) lists(n int) (uint32, error) {
	leaf := func(n int) (uint32, error) {
		off, err := c.alloc(uint32(4 + 8*n))
		if err != nil {
			return 0, err
		}
		sig := uint16(sigLF)
		if c.hash {
			sig = sigLH
		}
		put16(c.at(off), sig)
		put16(c.at(off)[2:], uint16(n))
		return off, nil
	}
	if n <= leafMax {
		return leaf(n)
	}
	leaves := (n + leafMax - 1) / leafMax
	if leaves > 0xFFFF {
		return 0, errListLimit
	}
	ri, err := c.alloc(uint32(4 + 4*leaves))
	if err != nil {
		return 0, err
	}
	put16(c.at(ri), sigRI)
	put16(c.at(ri)[2:], uint16(leaves))
	for i := range leaves {
		off, err := leaf(min(leafMax, n-i*leafMax))
		if err != nil {
			return 0, err
		}
		put32(c.at(ri)[4+4*i:], off)
	}
	return ri, nil
}

// slot fills entry i of a list.
func (c *compactor) slot(list uint32, i int, key uint32, name []byte, latin bool) {
	b := c.at(list)
	if u16(b) == sigRI && len(b) >= 8+4*(i/leafMax) {
		b = c.at(u32(b[4+4*(i/leafMax):]))
		i %= leafMax
	}
	if c.spill != nil && (c.spill.err != nil || len(b) < 12+8*i) {
		c.spill.fail(errSpill)
		return
	}
	e := b[4+8*i:]
	put32(e, key)
	if c.hash {
		put32(e[4:], hashStored(name, latin))
	} else {
		put32(e[4:], hintStored(name, latin))
	}
}

// sk writes a security cell; ring links it later.
func (c *compactor) sk(reserved uint16, sd []byte) (uint32, error) {
	off, err := c.alloc(uint32(skSize + len(sd)))
	if err != nil {
		return 0, err
	}
	b := c.at(off)
	put16(b, sigSK)
	put16(b[2:], reserved)
	put32(b[skLen:], uint32(len(sd)))
	copy(b[skBytes:], sd)
	return off, nil
}

// ring links the security cells and writes their counts.
func (c *compactor) ring() {
	n := len(c.sks)
	for i, s := range c.sks {
		b := c.at(s.off)
		put32(b[skFlink:], c.sks[(i+1)%n].off)
		put32(b[skBlink:], c.sks[(i+n-1)%n].off)
		put32(b[skRefs:], s.refs)
		c.settle()
	}
}

// raise raises a maximum-length field of a node to v.
func raise(b []byte, v uint32) {
	if u32(b) < v {
		put32(b, v)
	}
}

// raiseName raises the length of the longest subkey name in a node. The field has 16 bits;
// for longer names, which Windows never writes, it is 0xFFFF.
func raiseName(b []byte, n int) {
	if n = min(n, 0xFFFF); int(u16(b[nkMaxName:])) < n {
		put16(b[nkMaxName:], uint16(n))
	}
}

// begin writes the base block of a new hive, as offreg does: first sequence, no time and no
// name.
func (c *compactor) begin(minor int) {
	b := c.out
	copy(b, "regf")
	put32(b[hdrPrimary:], 1)
	put32(b[hdrSecondary:], 1)
	put32(b[hdrMajor:], 1)
	put32(b[hdrMinor:], uint32(minor))
	put32(b[hdrFormat:], 1)
	put32(b[hdrCluster:], 1)
}

// finish completes the base block.
func (c *compactor) finish(root uint32) {
	put32(c.out[hdrRoot:], root)
	put32(c.out[hdrBins:], c.end())
	put32(c.out[hdrChecksum:], HeaderChecksum(c.out))
}
