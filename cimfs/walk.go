package cimfs

import (
	"io/fs"

	"github.com/mullion/mullion/winfs"
)

const (
	walkWindow  = 64 << 10 // of a directory that is being read
	smallWindow = 1 << 10
	// windowedDepth is the depth up to which a walk keeps large windows, so that its
	// memory is bounded for the deepest tree there can be.
	windowedDepth = 32

	cacheBlock  = 16 << 10
	cacheBlocks = 64
)

// blockCache keeps pieces of the regions that hold file tables, for one walk. It
// is used by one goroutine.
type blockCache struct {
	im     *Image
	slots  [cacheBlocks]cacheSlot
	tables map[uint32]fileTable
	buf    [0x68]byte
}

type cacheSlot struct {
	key uint64 // region and block, plus 1
	b   []byte
}

// fileTable is Image.fileTable with a memory of 4,096 tables.
func (c *blockCache) fileTable(n uint32) (fileTable, error) {
	if t, ok := c.tables[n]; ok {
		return t, nil
	}
	t, err := c.im.fileTable(n)
	if err != nil {
		return t, err
	}
	if c.tables == nil || len(c.tables) >= 4096 {
		c.tables = make(map[uint32]fileTable)
	}
	c.tables[n] = t
	return t, nil
}

// read returns n <= 0x68 bytes at o, valid until the next call.
func (c *blockCache) read(o RegionOffset, n int) ([]byte, error) {
	r, err := c.im.span(o, int64(n))
	if err != nil {
		return nil, err
	}
	off := o.Offset()
	first, err := c.block(r, o.Region(), off/cacheBlock)
	if err != nil {
		return nil, err
	}
	in := int(off % cacheBlock)
	if in+n <= cacheBlock {
		return first[in : in+n], nil
	}
	k := copy(c.buf[:n], first[in:])
	second, err := c.block(r, o.Region(), off/cacheBlock+1)
	if err != nil {
		return nil, err
	}
	copy(c.buf[k:n], second)
	return c.buf[:n], nil
}

func (c *blockCache) block(r *region, index int, n int64) ([]byte, error) {
	key := uint64(index)<<40 | uint64(n) + 1
	s := &c.slots[key%cacheBlocks]
	if s.key == key {
		return s.b, nil
	}
	size := min(cacheBlock, r.src.Size()-n*cacheBlock)
	if cap(s.b) == 0 {
		s.b = make([]byte, cacheBlock)
	}
	s.key, s.b = 0, s.b[:size]
	if err := readFull(r.src, s.b, n*cacheBlock); err != nil {
		return nil, &place{r.name(), n * cacheBlock, err}
	}
	s.key = key
	return s.b, nil
}

// idSet is a set of FileIDs, one bit each.
type idSet []uint64

func newIDSet(files int64) idSet { return make(idSet, files/64+1) }

func (s idSet) has(id FileID) bool { return s[id/64]&(1<<(id%64)) != 0 }
func (s idSet) add(id FileID)      { s[id/64] |= 1 << (id % 64) }

// Walk calls fn for the root, with the path "", and everything below it: a
// directory before its children, names in stored order. A file with several names
// comes once under each. If fn returns fs.SkipDir for a directory its children
// are left out, and fs.SkipAll ends the walk; any other error ends it and is
// returned. The File may be kept.
//
// A directory that is reached twice, by two names or by a cycle, is [ErrCorrupt], and so
// is a path longer than 32,767 units. A name that no path leads to is [ErrName], see [Image.ListOddNames]; after that it is part of the path, and
// one without units in the root has the path "\".
func (im *Image) Walk(fn func(path string, f *File) error) error {
	root, err := im.Root()
	if err != nil {
		return err
	}
	w := &walker{im: im, fn: fn, cache: &blockCache{im: im}, seen: newIDSet(im.files)}
	err = w.visit("", 0, root, 0)
	if err == fs.SkipDir || err == fs.SkipAll {
		return nil
	}
	return err
}

type walker struct {
	im    *Image
	fn    func(path string, f *File) error
	cache *blockCache
	seen  idSet // directories
	count int64
}

// visit handles f and, if it is a directory, everything below. Its depth is bounded
// by the length of the path.
func (w *walker) visit(path string, units int, f *File, depth int) error {
	if err := w.fn(path, f); err != nil {
		if err == fs.SkipDir && f.IsDir() {
			return nil
		}
		return err
	}
	if !f.IsDir() {
		return nil
	}
	if w.seen.has(f.id) {
		return w.im.fail("walk", path, corrupt("directory %d is reached twice", f.id))
	}
	w.seen.add(f.id)
	t, err := f.table()
	if err != nil {
		return w.im.fail("walk", path, err)
	}
	if t == nil {
		return nil
	}
	window := walkWindow
	if depth >= windowedDepth {
		window = smallWindow
	}
	if w.count += int64(t.count); w.count > w.im.limits.Entries {
		return w.im.fail("walk", path, because(ErrLimit, "more than %d names", w.im.limits.Entries))
	}
	c := t.cursor(window)
	for i := range t.count {
		e, err := c.entry(i)
		if err != nil {
			return w.im.fail("walk", path, err)
		}
		child := &File{im: w.im, id: e.ID}
		if err := w.im.readRecord(e.ID, &child.rec, w.cache); err != nil {
			return w.im.fail("walk", joinPath(path, e.Name), err)
		}
		n := units + winfs.UTF16Len(e.Name)
		if units > 0 {
			n++
		}
		if n > maxPath {
			return w.im.fail("walk", path, corrupt("a path is longer than %d units", maxPath))
		}
		if err := w.visit(joinPath(path, e.Name), n, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func joinPath(dir, name string) string {
	if dir == "" && name != "" {
		return name
	}
	return dir + `\` + name
}
