package cimfs

import (
	"bytes"
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// files checks every directory and file that has a name, and then the others.
func (c *checker) files() error {
	im := c.im
	c.reached, c.dirs, c.parentOK = newIDSet(im.files), newIDSet(im.files), newIDSet(im.files)
	if im.version >= V3 {
		c.names = make([]uint32, im.files+1)
		c.listed = make([]uint32, im.files+1)
	}
	root, err := im.File(im.rootID)
	if err != nil {
		return c.blame(ruleRoot, err)
	}
	if c.opts.changes && root.id <= c.base {
		return nil // nothing has changed
	}
	c.reached.add(root.id)
	if err := c.file(root); err != nil {
		return err
	}
	if !root.IsDir() {
		if err := c.unusual(ruleRoot.Lesser(), c.recordAt(root.id), "the root is a file, so that no path leads to anything"); err != nil {
			return err
		}
	}
	if im.version >= V2 && root.rec.parent != root.id {
		if err := c.wrong(ruleRootParent, im.fileSystem, "the root's parent is file %d", root.rec.parent); err != nil {
			return err
		}
	}
	if im.version >= V3 {
		if err := c.rootLinks(root); err != nil {
			return err
		}
	}
	if root.IsDir() {
		if err := c.directory("", 0, root); err != nil {
			return err
		}
	}
	c.dir, c.name = "", nil
	first, again := FileID(1), false // again: the table of id was one before
	if c.opts.changes {
		first = c.base + 1
	}
	for id := first; int64(id) <= im.files; id++ {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if int(id-1)%tableFiles == 0 {
			again = c.seenTable(id)
		}
		if !c.reached.has(id) {
			if !again {
				if err := c.nameless(id); err != nil {
					return err
				}
			}
			continue
		}
		if id == im.rootID {
			continue
		}
		if im.version >= V2 && !c.parentOK.has(id) {
			if err := c.wrong(ruleParent, c.recordAt(id), "file %d names a parent that does not have it", id); err != nil {
				return err
			}
		}
		if im.version >= V3 {
			if err := c.linkCount(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// seenTable reports whether the file table of a FileID was looked at before under other
// numbers. Equal tables are one object, and a hostile image has thousands of them.
func (c *checker) seenTable(id FileID) bool {
	t, err := c.cache.fileTable(uint32(id-1) / tableFiles)
	return err == nil && !c.once(ruleFileTable, t.offset, int64(t.count))
}

// nameless checks a record that no directory names: a file that was deleted or, in a
// fork, replaced leaves one. Those in the regions of parents are not of this image.
func (c *checker) nameless(id FileID) error {
	t, err := c.cache.fileTable(uint32(id-1) / tableFiles)
	if err != nil {
		return nil // reported already
	}
	if t.offset.Region() < c.im.ownBase() || int(id-1)%tableFiles >= t.count {
		return nil
	}
	f := &File{im: c.im, id: id}
	if err := c.im.readRecord(id, &f.rec, c.cache); err != nil {
		return c.blame(ruleRecord, err)
	}
	if err := c.file(f); err != nil || !f.IsDir() {
		return err
	}
	// The entries of such a directory have records of their own, which are checked as
	// this one is.
	dir, err := c.table(f)
	if dir == nil || err != nil || !c.once(ruleLinkTable, dir.at, 0) {
		return err
	}
	if c.entries += int64(dir.count); c.entries > c.im.limits.Entries {
		return because(ErrLimit, "more than %d names", c.im.limits.Entries)
	}
	var order nameOrder
	order.reset(c, dir)
	cur := dir.cursor(walkWindow)
	for i := range dir.count {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		raw, err := cur.name(i)
		if err != nil {
			return c.blame(ruleLinkTable, err)
		}
		if err := order.check(cur, i, raw); err != nil {
			return err
		}
	}
	return order.end()
}

// isOlder reports whether a FileID can be that of a directory before the fork changed it:
// a record that the fork shares with its parent names the directories of the parent,
// though they have other numbers here.
func (c *checker) isOlder(dir FileID) bool { return dir != 0 && dir <= c.base }

// recordAt returns the offset of a record, or that of the table list if the record's
// table cannot be read.
func (c *checker) recordAt(id FileID) RegionOffset {
	t, err := c.cache.fileTable(uint32(id-1) / tableFiles)
	if err != nil {
		return c.im.tablesAt
	}
	return t.offset + RegionOffset(int(id-1)%tableFiles*recordSize(c.im.version))
}

// table opens the table of a directory and checks it as an object; nil if there is none,
// or none that can be read.
func (c *checker) table(f *File) (*linkTable, error) {
	t, err := c.im.directory(&f.rec)
	if err != nil {
		return nil, c.blame(ruleLinkTable, err)
	}
	if t == nil {
		if f.rec.data.packed != uint64(TableStream)<<streamTypeShift {
			return nil, c.wrong(ruleEmptyDirectory, c.recordAt(f.id), "stream word of an empty directory is %#x", f.rec.data.packed)
		}
		return nil, nil
	}
	if err := c.isObject(ruleLinkTable, t.at, t.length, false); err != nil {
		return nil, err
	}
	if t.count == 0 {
		return nil, c.wrong(ruleLinkTable, t.at, "an empty directory has a table")
	}
	return t, nil
}

// directory checks the table of f and everything below. path is of f.
func (c *checker) directory(path string, units int, f *File) error {
	c.dirs.add(f.id)
	c.dir, c.name = path, nil
	t, err := c.table(f)
	if t == nil || err != nil {
		return err
	}
	if c.entries += int64(t.count); c.entries > c.im.limits.Entries {
		return because(ErrLimit, "more than %d names", c.im.limits.Entries)
	}
	var order nameOrder
	order.reset(c, t)
	cur := t.cursor(walkWindow)
	child := &File{im: c.im}
	for i := range t.count {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.dir, c.name = path, nil
		v, err := cur.value(i)
		if err != nil {
			return c.blame(ruleLinkTable, err)
		}
		id := FileID(le.Uint32(v))
		raw, err := cur.name(i)
		if err != nil {
			return c.blame(ruleLinkTable, err)
		}
		if err := order.check(cur, i, raw); err != nil {
			return err
		}
		if err := checkComponent(raw); err != nil {
			if err := c.blame(ruleName, c.im.where(t.at, err)); err != nil {
				return err
			}
		}
		n := units + len(raw)/2
		if units > 0 {
			n++
		}
		c.name = raw
		if isOdd(raw) {
			if err := c.unusual(ruleOddName, t.at+RegionOffset(t.offsetAt(i)), "no path leads to the name"); err != nil {
				return err
			}
		}
		if n > maxPath {
			return c.wrong(rulePathLength, t.at, "a path is longer than %d units", maxPath)
		}
		if c.opts.changes && id <= c.base && id != 0 {
			continue
		}
		child.id = id
		if err := c.im.readRecord(id, &child.rec, c.cache); err != nil {
			if err := c.blame(ruleRecord, c.im.where(t.at, because(ErrCorrupt, "%v", err))); err != nil {
				return err
			}
			continue
		}
		if !c.reached.has(id) {
			c.reached.add(id)
			if err := c.file(child); err != nil {
				return err
			}
		}
		if child.rec.parent == f.id || id <= c.base && c.isOlder(child.rec.parent) {
			c.parentOK.add(id)
		}
		if c.im.version >= V3 {
			if err := c.hasLink(child, f.id, raw); err != nil {
				return err
			}
		}
		if child.IsDir() {
			if c.dirs.has(id) {
				if err := c.wrong(ruleDirectoryTwice, t.at, "directory %d is reached twice", id); err != nil {
					return err
				}
				continue
			}
			if err := c.directory(joinPath(path, decodeName(raw)), n, child); err != nil {
				return err
			}
		}
	}
	c.dir, c.name = path, nil
	return order.end()
}

// nameOrder checks that names are in order and stored back to back.
type nameOrder struct {
	c           *checker
	t           *linkTable
	last, spare []uint16
	next        int64
}

// reset starts another table and keeps the memory for names.
func (o *nameOrder) reset(c *checker, t *linkTable) {
	*o = nameOrder{c: c, t: t, next: t.namesAt(), last: o.last[:0], spare: o.spare[:0]}
}

// fold returns the upper case of a name. It is valid until the name after the next.
func (o *nameOrder) fold(raw []byte) []uint16 {
	u := o.c.fold(o.spare[:0], raw)
	o.spare = u
	return u
}

// keep makes the name that was folded the last one.
func (o *nameOrder) keep() { o.last, o.spare = o.spare, o.last }

// fold appends the upper case of a name as the image has it.
func (c *checker) fold(dst []uint16, raw []byte) []uint16 {
	dst = slices.Grow(dst, len(raw)/2)
	for i := 0; i+1 < len(raw); i += 2 {
		dst = append(dst, c.upcase[le.Uint16(raw[i:])])
	}
	return dst
}

func (o *nameOrder) packed(cur *linkCursor, i int, raw []byte) error {
	off, err := cur.nameOffset(i)
	if err != nil {
		return o.c.blame(ruleLinkTable, err)
	}
	if off != o.next {
		if err := o.c.wrong(ruleNameOffset, o.t.at+RegionOffset(o.t.offsetAt(i)), "name %d is at %#x, want %#x", i, off, o.next); err != nil {
			return err
		}
	}
	o.next = off + 2 + int64(len(raw))
	return nil
}

func (o *nameOrder) check(cur *linkCursor, i int, raw []byte) error {
	folded := o.fold(raw)
	if err := o.packed(cur, i, raw); err != nil {
		return err
	}
	if i > 0 && compareUnits(o.last, folded) >= 0 {
		if err := o.c.wrong(ruleNameOrder, o.t.at+RegionOffset(o.t.offsetAt(i)), "name %d is not behind the one before it", i); err != nil {
			return err
		}
	}
	o.keep()
	return nil
}

func (o *nameOrder) end() error {
	if o.next != o.t.length {
		return o.c.wrong(ruleLinkTableLength, o.t.at, "table has %d bytes, its names end at %d", o.t.length, o.next)
	}
	return nil
}

func compareUnits(a, b []uint16) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// file checks the record of a file and everything attached to it, but not the
// table of a directory.
func (c *checker) file(f *File) error {
	r := &f.rec
	if r.flags&^flagsKnown != 0 {
		if err := c.unusual(ruleAttributes, c.recordAt(f.id), "unknown attribute bits %#x", r.flags); err != nil {
			return err
		}
	}
	if r.reserved != 0 {
		if err := c.wrong(ruleReserved, c.recordAt(f.id), "reserved field of the record is not 0"); err != nil {
			return err
		}
	}
	if !f.IsDir() {
		if err := c.stream(r.data, c.recordAt(f.id)); err != nil {
			return err
		}
	}
	if err := c.metadata(f); err != nil {
		return err
	}
	if r.streams != 0 && c.once(ruleStreamTable, RegionOffset(r.streams), 0) {
		return c.streams(RegionOffset(r.streams))
	}
	return nil
}

// stream checks where a stream's bytes are.
func (c *checker) stream(s stream, from RegionOffset) error {
	o := RegionOffset(s.offset)
	// A sparse stream names the region that would hold its content, if there was one
	// when the stream was made.
	inNoRegion := o.Offset() == nowhere && (o.Region() < len(c.im.regions) || o.Region() == 0)
	if s.sparse() {
		if !inNoRegion && o != 0 || s.kind() != PlainStream || s.length() == 0 {
			return c.wrong(ruleSparse, from, "sparse stream of type %d with offset %v", s.kind(), o)
		}
		return nil
	}
	if s.length() == 0 {
		if inNoRegion && s.packed == 0 {
			return c.unusual(ruleEmptyStream.Lesser(), from, "empty stream with offset %v, as of a length of 2^48 bytes", o)
		}
		if s != (stream{}) {
			return c.wrong(ruleEmptyStream, from, "empty stream with offset %v and word %#x", RegionOffset(s.offset), s.packed)
		}
		return nil
	}
	if s.kind() == PlainStream {
		return c.isObject(ruleStream, o, s.length(), true)
	}
	if o == 0 {
		return c.wrong(ruleStream, from, "PE image has no descriptor")
	}
	if !c.once(rulePeImage, o, s.length()) {
		return nil
	}
	pe, err := c.im.readPE(o, s.length())
	if err != nil {
		return c.blame(rulePeImage, err)
	}
	if err := c.isObject(rulePeDescriptor, o, peHeaderSize+int64(len(pe.mappings))*peMappingSize, false); err != nil {
		return err
	}
	if pe.flags&^peValidImage != 0 {
		if err := c.wrong(rulePeFlags, o, "flags of the PE descriptor are %#x", pe.flags); err != nil {
			return err
		}
	}
	for _, m := range pe.mappings {
		if int64(m.offset) >= s.length() {
			return c.wrong(rulePeMapping, o, "mapping at %#x is not inside the file of %d bytes", m.offset, s.length())
		}
		if (int64(m.offset)+int64(m.delta))%pageSize != 0 {
			return c.wrong(rulePeMapping, o, "the mapping at %#x is not aligned to a page", m.offset)
		}
	}
	if err := c.isObject(rulePeData, pe.data, pe.length, true); err != nil {
		return err
	}
	if g, err := c.im.region(pe.data.Region()); err == nil && g.typ != DataRegion {
		return c.wrong(rulePeData, pe.data, "PE image is in a %v region", g.typ)
	}
	return nil
}

// metadata checks descriptor, extended attributes and reparse data.
func (c *checker) metadata(f *File) error {
	r, at := &f.rec, c.recordAt(f.id)
	if r.security != 0 && c.once(ruleSecurity, RegionOffset(r.security), 0) {
		b, err := c.im.counted(r.security)
		if err == nil {
			if err := c.isObject(ruleSecurity, RegionOffset(r.security), int64(len(b))+2, false); err != nil {
				return err
			}
			if odd := checkSecurity(b); odd != nil {
				err = c.unusual(ruleSecurity.Lesser(), RegionOffset(r.security), "%s", words(odd))
			}
		}
		if err := c.blame(ruleSecurity, err); err != nil {
			return err
		}
	}
	switch {
	case (r.ea == 0) != (r.eaLength == 0):
		if err := c.wrong(ruleExtendedAttributes, at, "extended attributes of %d bytes at %v", r.eaLength, RegionOffset(r.ea)); err != nil {
			return err
		}
	case r.ea != 0 && c.once(ruleExtendedAttributes, RegionOffset(r.ea), int64(r.eaLength)):
		if err := c.isObject(ruleExtendedAttributes, RegionOffset(r.ea), int64(r.eaLength), false); err != nil {
			return err
		}
		b := make([]byte, r.eaLength)
		err := c.im.read(RegionOffset(r.ea), b)
		if err == nil {
			if err = checkEAs(b); err != nil {
				err = c.im.where(RegionOffset(r.ea), err)
			}
		}
		if err := c.blame(ruleExtendedAttributes, err); err != nil {
			return err
		}
	}
	switch {
	case (r.reparse == 0) != (r.reparseTag == 0):
		return c.wrong(ruleReparse, at, "reparse tag %#x with data at %v", r.reparseTag, RegionOffset(r.reparse))
	case r.reparse != 0 && c.once(ruleReparse, RegionOffset(r.reparse), int64(r.reparseTag)):
		b, err := c.im.counted(r.reparse)
		if err == nil {
			if err := c.isObject(ruleReparse, RegionOffset(r.reparse), int64(len(b))+2, false); err != nil {
				return err
			}
			switch odd := checkReparse(b); {
			case len(b) < 8 || le.Uint32(b) != r.reparseTag:
				err = c.wrong(ruleReparse, RegionOffset(r.reparse), "%d bytes with another tag than that of the record, %#x", len(b), r.reparseTag)
			case odd != nil: // no writer looks at what is inside
				err = c.unusual(ruleReparse.Lesser(), RegionOffset(r.reparse), "%s", words(odd))
			}
		}
		return c.blame(ruleReparse, err)
	}
	return nil
}

// streams checks a table of alternate streams.
func (c *checker) streams(o RegionOffset) error {
	t, err := c.im.linkTable(o, -1, streamSize)
	if err != nil {
		return c.blame(ruleStreamTable, err)
	}
	if err := c.isObject(ruleStreamTable, o, t.length, false); err != nil {
		return err
	}
	if t.count == 0 || t.count > maxListed {
		return c.wrong(ruleStreamTable, o, "table of %d alternate streams", t.count)
	}
	var order nameOrder
	order.reset(c, t)
	cur := t.cursor(smallWindow)
	for i := range t.count {
		v, err := cur.value(i)
		if err != nil {
			return c.blame(ruleStreamTable, err)
		}
		s := decodeStream(v)
		raw, err := cur.name(i)
		if err != nil {
			return c.blame(ruleStreamTable, err)
		}
		if len(raw) == 0 {
			if err := c.unusual(ruleStreamName.Lesser(), o, "an alternate stream has no name"); err != nil {
				return err
			}
		}
		if bytes.Contains(raw, []byte{':', 0}) && strings.Contains(winfs.DecodeUTF16LE(raw), ":") {
			if err := c.wrong(ruleStreamName, o, "name of an alternate stream has a colon"); err != nil {
				return err
			}
		}
		if err := order.check(cur, i, raw); err != nil {
			return err
		}
		if s.kind() > ImageStream || s.kind() == TableStream || s.packed&streamReserved != 0 {
			if err := c.wrong(ruleStreamTable, o+RegionOffset(t.valueAt(i)), "stream word %#x", s.packed); err != nil {
				return err
			}
			continue
		}
		if err := c.stream(s, o+RegionOffset(t.valueAt(i))); err != nil {
			return err
		}
	}
	return order.end()
}

// parentLinks opens the parent links of a file for checking, until it is called again.
func (c *checker) parentLinks(f *File) (*linkTable, error) {
	if f.rec.links == 0 {
		return nil, c.wrong(ruleParentLinks, c.recordAt(f.id), "file %d has no parent links", f.id)
	}
	t := &c.links
	if err := t.open(c.im, RegionOffset(f.rec.links), -1, idValueSize); err != nil {
		return nil, c.blame(ruleParentLinks, err)
	}
	if t.count == 0 || t.count > maxListed {
		return nil, c.wrong(ruleParentLinks, t.at, "%d parent links", t.count)
	}
	return t, nil
}

// rootLinks checks the one link of the root, to itself.
func (c *checker) rootLinks(root *File) error {
	t, err := c.parentLinks(root)
	if t == nil || err != nil {
		return err
	}
	if err := c.isObject(ruleParentLinks, t.at, t.length, false); err != nil {
		return err
	}
	list, err := root.readLinks()
	if err != nil {
		return c.blame(ruleParentLinks, err)
	}
	if len(list) != 1 || list[0] != (Link{root.id, "."}) {
		return c.wrong(ruleParentLinks, t.at, "links of the root are %v, want itself as \".\"", list)
	}
	return nil
}

// manyLinks is the number of names above which their order is relied on to find
// one of them.
const manyLinks = 256

// hasLink checks that a file's parent links have a name under which it was found,
// and counts it. At the first name the table itself is checked.
func (c *checker) hasLink(f *File, dir FileID, name []byte) error {
	c.names[f.id]++
	t, err := c.parentLinks(f)
	if t == nil || err != nil {
		return err
	}
	cur := &c.linksAt
	cur.reset(t, smallWindow)
	if c.names[f.id] == 1 {
		c.listed[f.id] = uint32(t.count)
		if t.count == 1 || c.once(ruleParentLinks, t.at, 0) {
			if err := c.checkLinkOrder(t, cur); err != nil {
				return err
			}
		}
	}
	lo, hi := 0, t.count
	older := f.id <= c.base
	if t.count > manyLinks {
		want := dir
		if older {
			want = 0 // the first of that name
		}
		if lo, err = c.searchLink(cur, want, name); err != nil {
			return c.blame(ruleParentLinks, err)
		}
		if !older {
			hi = min(t.count, lo+1)
		}
	}
	for i := lo; i < hi; i++ {
		v, err := cur.value(i)
		if err != nil {
			return c.blame(ruleParentLinks, err)
		}
		if id := FileID(le.Uint32(v)); id != dir && !(older && c.isOlder(id)) {
			continue
		}
		raw, err := cur.name(i)
		if err != nil {
			return c.blame(ruleParentLinks, err)
		}
		if bytes.Equal(raw, name) {
			return nil
		}
	}
	return c.wrong(ruleParentLinks, t.at, "parent links of file %d lack this name in directory %d", f.id, dir)
}

// checkLinkOrder checks a table of parent links by itself.
func (c *checker) checkLinkOrder(t *linkTable, cur *linkCursor) error {
	if err := c.isObject(ruleParentLinks, t.at, t.length, false); err != nil {
		return err
	}
	order := &c.linkOrder
	order.reset(c, t)
	var lastID FileID
	for i := range t.count {
		v, err := cur.value(i)
		if err != nil {
			return c.blame(ruleParentLinks, err)
		}
		id := FileID(le.Uint32(v))
		raw, err := cur.name(i)
		if err != nil {
			return c.blame(ruleParentLinks, err)
		}
		folded := order.fold(raw)
		if err := order.packed(cur, i, raw); err != nil {
			return err
		}
		if i > 0 {
			if k := compareUnits(order.last, folded); k > 0 || k == 0 && lastID >= id {
				if err := c.wrong(ruleParentLinkOrder, t.at, "link %d is not behind the one before it", i); err != nil {
					return err
				}
			}
		}
		order.keep()
		lastID = id
	}
	return order.end()
}

// searchLink finds the position of a link by binary search.
func (c *checker) searchLink(cur *linkCursor, dir FileID, name []byte) (int, error) {
	want := c.fold(nil, name)
	lo, hi := 0, cur.t.count
	for lo < hi {
		mid := (lo + hi) / 2
		raw, err := cur.name(mid)
		if err != nil {
			return 0, err
		}
		k, err := c.im.compareFolded(raw, want)
		if err != nil {
			return 0, err
		}
		v, err := cur.value(mid)
		if err != nil {
			return 0, err
		}
		if k > 0 || k == 0 && FileID(le.Uint32(v)) >= dir {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, nil
}

// linkCount checks that a file has as many parent links as names. As every name
// was found among the links, they are then the same.
func (c *checker) linkCount(id FileID) error {
	if c.names[id] == 0 || c.names[id] == c.listed[id] || id <= c.base && c.names[id] < c.listed[id] {
		return nil // the root, or reported before; or as it should be, or some names are gone in the fork
	}
	f := &File{im: c.im, id: id}
	if err := c.im.readRecord(id, &f.rec, c.cache); err != nil {
		return c.blame(ruleRecord, err)
	}
	if f.rec.links == 0 {
		return nil // reported before
	}
	t, err := c.im.linkTable(RegionOffset(f.rec.links), -1, idValueSize)
	if err == nil && uint32(t.count) != c.names[id] && !(id <= c.base && uint32(t.count) > c.names[id]) {
		err = c.im.where(t.at, corrupt("file %d has %d names and %d parent links", id, c.names[id], t.count))
	}
	return c.blame(ruleParentLinks, err)
}
