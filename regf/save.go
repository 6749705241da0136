package regf

import (
	"fmt"
	"io"
	"sort"

	"github.com/mullion/mullion/winfs"
)

// CompactOptions are the options for writing a compacted hive.
type CompactOptions struct {
	// Minor is the minor version to write: 3, 4, 5 or 6, and 0 for that of the hive.
	// Version 3 is that of Windows 5.0, for which offreg drops the flags for virtualisation
	// of keys; so does Save if 3 is set explicitly, but not for 0. Versions up to 1.2
	// cannot be written and become 3. A layered hive can only be written as 6; [Merge]
	// makes other versions of it. MinorForWindows returns the version that offreg uses for
	// a version of Windows.
	Minor int
	// Tag writes offreg's marks: the letters OfRg and Time.
	Tag bool
	// Time is the time of serialisation, written with Tag only.
	Time winfs.Filetime
	// Overwrite allows replacing an existing file. Without it that is ErrExists.
	Overwrite bool
}

// MinorForWindows returns the minor version that offreg writes for a version of Windows: 3
// for 5.0, and 5 for 5.1, 5.2, 6.0 to 6.3 and 10.0. Others are ErrInvalid, as in offreg.
func MinorForWindows(major, minor int) (int, error) {
	switch {
	case major == 5 && minor == 0:
		return 3, nil
	case major == 5 && (minor == 1 || minor == 2), major == 6 && minor >= 0 && minor <= 3, major == 10 && minor == 0:
		return 5, nil
	}
	return 0, &Error{Op: "choose version", Offset: -1, Err: ErrInvalid}
}

// MinorForWindows returns the minor version with which offreg saves this hive for a version
// of Windows: that of [MinorForWindows], except that a hive of version 1.6 keeps its
// version.
func (h *Hive) MinorForWindows(major, minor int) (int, error) {
	m, err := MinorForWindows(major, minor)
	if err == nil && h.minor == 6 {
		m = 6
	}
	return m, err
}

// WriteCompactFile writes a compacted copy of the hive, in offreg's layout, to a new file: cells level
// by level, lists in leaves of 507, no free space between. The file appears complete or not
// at all. The open hive does not change.
//
// For a dirty hive Save returns ErrDirty unless Options.EditDirty is set, because the new
// file is clean.
//
// In strict mode a fault anywhere in the tree is an error. In the other modes unreadable
// parts are omitted and listed in Findings, lists are sorted, and of keys with one name the
// first is kept.
func (h *Hive) WriteCompactFile(name string, opt *CompactOptions) error {
	b, err := h.compact(opt)
	if err != nil {
		return err
	}
	return h.opError("save", "", -1, writeFile(name, b, opt != nil && opt.Overwrite))
}

// WriteCompact writes it to a writer.
func (h *Hive) WriteCompact(w io.Writer, opt *CompactOptions) error {
	b, err := h.compact(opt)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return h.opError("save", "", -1, err)
}

// Compact returns the bytes that WriteCompact writes.
func (h *Hive) Compact(opt *CompactOptions) ([]byte, error) { return h.compact(opt) }

// pending is a key that is listed and not yet written.
type pending struct {
	src    uint32 // cell in the source
	list   uint32 // list in the output that names it
	index  uint32
	parent uint32 // cell in the output
}

type saver struct {
	*compactor
	h     *Hive
	w     *walk
	skAt  map[uint32]int // source cell to index in sks
	queue []pending
	level int // of the keys being written
	// flags50 drops the flags that offreg does not write for Windows 5.0: virtual target
	// and the virtualisation control.
	flags50 bool
	kids    []uint32
	vals    []uint32
	buf     []byte
	given   []uint32 // the descriptors to write, if a first attempt found the ring wrong
	ringN   int      // descriptors that were written before the first key below the root
}

func (h *Hive) compact(opt *CompactOptions) ([]byte, error) {
	if opt == nil {
		opt = &CompactOptions{}
	}
	b, err := h.compactImage(opt)
	return b, h.opError("save", "", -1, err)
}

func (h *Hive) compactImage(opt *CompactOptions) ([]byte, error) {
	minor := opt.Minor
	if minor == 0 {
		minor = max(int(h.minor), 3)
	}
	if minor < 3 || minor > 6 {
		return nil, ErrInvalid
	}
	if h.layered && minor != 6 {
		return nil, fmt.Errorf("keys and values that are deleted would come back, version 1.%d has no layers: %w", minor, ErrInvalid)
	}
	if h.bins == nil {
		return nil, ErrClosed
	}
	if h.view != nil {
		m, err := h.merge()
		if err != nil {
			return nil, err
		}
		h = m
	}
	if h.dirty && !h.editDirty {
		return nil, ErrDirty
	}
	if err := h.loadAll(); err != nil {
		return nil, err
	}
	root := h.Root()
	if !root.Valid() {
		return nil, faultf(ruleRootKey, h.root, "hive has no root key")
	}
	s, err := h.layOut(root, minor, opt.Minor == 3, nil)
	if err != nil {
		return nil, err
	}
	if order, again := s.order(); again {
		if s, err = h.layOut(root, minor, opt.Minor == 3, order); err != nil {
			return nil, err
		}
	}
	hdr := s.out
	put32(hdr[hdrMinor:], uint32(minor))
	put32(hdr[hdrType:], 0)
	put32(hdr[hdrFormat:], 1)
	if h.repair != nil {
		put32(hdr[hdrCluster:], 1)
		if minor == 6 {
			put32(hdr[hdrFlags:], u32(hdr[hdrFlags:])&(HeaderKtmLocked|HeaderLayered))
		}
	}
	if h.dirty || u32(hdr[hdrPrimary:]) != u32(hdr[hdrSecondary:]) {
		put32(hdr[hdrSecondary:], u32(hdr[hdrPrimary:]))
	}
	if minor == 6 && h.minor != 6 { // left-over bytes must not acquire a meaning
		put32(hdr[hdrFlags:], 0)
	}
	if opt.Tag {
		stamp(hdr, opt.Time)
	}
	s.finish(binHeader)
	return s.out, nil
}

// stamp writes offreg's marks in the base block of a hive that it saves.
func stamp(hdr []byte, serialised winfs.Filetime) {
	copy(hdr[hdrOfRg:], "OfRg")
	put32(hdr[hdrOfRg+4:], 1)
	put64(hdr[hdrSerialised:], uint64(serialised))
}

// layOut writes all cells of a compacted hive.
func (h *Hive) layOut(root Key, minor int, flags50 bool, order []uint32) (*saver, error) {
	s := &saver{h: h, w: newWalk(h), given: order, flags50: flags50}
	s.compactor = newCompactor(len(h.bins)+len(h.bins)/16+1<<16, len(h.bins))
	s.big = minor > 3
	s.hash = h.minor >= 5
	copy(s.out, h.data[:baseSize])
	if h.repair != nil {
		h.repair.begin()
	}
	return s, s.run(root)
}

// run writes all cells.
func (s *saver) run(root Key) error {
	s.w.claim(root.off)
	nk, err := s.node(root.off, nilCell)
	if err != nil {
		return err
	}
	if err := s.descriptors(root); err != nil {
		return err
	}
	if err := s.secure(nk, root.off); err != nil {
		return err
	}
	if err := s.rest(nk, root.off); err != nil {
		return err
	}
	end := len(s.queue)
	s.level = 1
	released := 0
	for i := 0; i < len(s.queue); i++ {
		if i == end {
			s.level++
			// Written keys are removed, so that the queue stays as wide as two levels.
			s.queue = append(s.queue[:0], s.queue[i:]...)
			i, end = 0, len(s.queue)
		}
		if s.h.repair != nil {
			if err := s.h.repair.ctx.Err(); err != nil {
				return err
			}
			if len(s.out)-released >= residentMax {
				s.h.releaseMapped() // its check has counted all pages already
				released = len(s.out)
			}
		}
		p := s.queue[i]
		nk, err := s.node(p.src, p.parent)
		if err != nil {
			return err
		}
		if err := s.secure(nk, p.src); err != nil {
			return err
		}
		b := s.at(nk)
		latin := u16(b[nkFlags:])&flagNameLatin != 0
		s.slot(p.list, int(p.index), nk, b[nkNameAt:nkNameAt+uint32(u16(b[nkNameLen:]))], latin)
		if err := s.rest(nk, p.src); err != nil {
			return err
		}
	}
	if len(s.sks) > 0 {
		s.ring()
	}
	return nil
}

// node copies the fixed part and the name of a key.
func (s *saver) node(src, parent uint32) (uint32, error) {
	b, name, err := s.h.nk(src)
	if err != nil {
		return 0, err
	}
	latin := u16(b[nkFlags:])&flagNameLatin != 0
	if s.h.repair != nil {
		name, latin = s.h.repair.keyName(src, name, s.h.latinKey(b))
	}
	nk, err := s.alloc(uint32(nkSize + len(name)))
	if err != nil {
		return 0, err
	}
	o := s.at(nk)
	copy(o[:nkSize], b)
	copy(o[nkNameAt:], name)
	put16(o[nkFlags:], latinFlag(u16(o[nkFlags:]), flagNameLatin, latin))
	if s.h.repair != nil && s.h.layered {
		o[nkLayer] = o[nkLayer]&^3 | byte(s.h.repair.layer(Key{h: s.h, off: src}))
	}
	if s.h.ancient() { // the title index is not access bits, and names are UTF-16
		put32(o[nkAccess:], 0)
		put16(o[nkFlags:], u16(o[nkFlags:])&^flagNameLatin)
		o[nkVirtual], o[nkDebug] = 0, 0
	}
	put16(o[nkNameLen:], uint16(len(name)))
	if s.flags50 {
		put16(o[nkFlags:], u16(o[nkFlags:])&^uint16(KeyVirtualTarget))
		o[nkVirtual] &= 0x0F
	}
	if parent != nilCell {
		put32(o[nkParent:], parent)
		raiseName(s.at(parent), 2*unitsOf(name, u16(o[nkFlags:])&flagNameLatin != 0))
	}
	put32(o[nkSubkeys:], 0)
	put32(o[nkVolatile:], 0)
	put32(o[nkList:], nilCell)
	put32(o[nkVolList:], nilCell)
	if u16(o[nkFlags:])&uint16(KeyPredefined) == 0 {
		put32(o[nkValues:], 0)
	}
	put32(o[nkValueList:], nilCell)
	put32(o[nkClass:], nilCell)
	put16(o[nkClassLen:], 0)
	// The maximum lengths are computed anew, except that offreg keeps the fields about
	// subkeys if there are none.
	if u32(b[nkSubkeys:]) != 0 {
		put16(o[nkMaxName:], 0)
		put32(o[nkMaxClass:], 0)
	}
	put32(o[nkMaxValName:], 0)
	put32(o[nkMaxValData:], 0)
	return nk, nil
}

// descriptors copies the ring, starting with the root's descriptor. If that cannot be read,
// the default takes its place, so that there is always a first one: keys whose own
// descriptor cannot be read get it too.
func (s *saver) descriptors(root Key) error {
	h := s.h
	s.skAt = make(map[uint32]int)
	defer func() { s.ringN = len(s.sks) }()
	for _, off := range s.given {
		if err := s.ringEntry(off); err != nil {
			return err
		}
	}
	if s.given != nil {
		return nil
	}
	first := root.SecurityCell()
	if err := s.ringEntry(first); err != nil {
		return err
	}
	if len(s.sks) == 0 {
		if err := s.ringEntry(nilCell); err != nil {
			return err
		}
	}
	for off := first; ; {
		b, err := h.cell(off)
		if err != nil || len(b) < skSize || u16(b) != sigSK {
			return nil
		}
		// The end, or a ring that does not close at its start.
		off = u32(b[skFlink:])
		if _, again := s.skAt[off]; again || off == nilCell {
			return nil
		}
		if err := s.ringEntry(off); err != nil {
			return err
		}
	}
}

// ringEntry copies a descriptor if it can be read. The default is that of nilCell.
func (s *saver) ringEntry(off uint32) error {
	if off != nilCell {
		_, err := s.descriptor(off)
		return err
	}
	at, err := s.sk(0, defaultSecurity())
	s.sks = append(s.sks, skEntry{src: nilCell, off: at})
	return err
}

// order returns the descriptors that keys use, and whether they differ from those that were
// written: the ring can hold some that no key uses, and lack some. Both are rare, so that
// starting again is cheaper than counting beforehand.
func (s *saver) order() ([]uint32, bool) {
	again := len(s.sks) > s.ringN
	order := make([]uint32, 0, len(s.sks))
	for _, sk := range s.sks {
		if sk.refs == 0 {
			again = true
			continue
		}
		order = append(order, sk.src)
	}
	return order, again && s.given == nil
}

// descriptor copies one descriptor, or finds its copy. It returns -1 if the descriptor
// cannot be read.
func (s *saver) descriptor(off uint32) (int, error) {
	if i, ok := s.skAt[off]; ok {
		return i, nil
	}
	sd, err := s.h.sk(off)
	if err == nil && s.h.repair != nil && !plausibleDescriptor(sd) {
		err = faultf(ruleSkDescriptor, off, "not a self-relative security descriptor")
	}
	if err != nil {
		s.skAt[off] = -1
		return -1, s.h.tolerate(err, nil)
	}
	b, err := s.h.cell(off)
	if err != nil {
		return -1, err
	}
	at, err := s.sk(u16(b[2:]), sd)
	if err != nil {
		return -1, err
	}
	s.skAt[off] = len(s.sks)
	s.sks = append(s.sks, skEntry{src: off, off: at})
	return len(s.sks) - 1, nil
}

// secure points a key at its descriptor.
func (s *saver) secure(nk, src uint32) error {
	b, _, err := s.h.nk(src)
	if err != nil {
		return err
	}
	i, err := s.descriptor(u32(b[nkSecurity:]))
	if err != nil {
		return err
	}
	if i < 0 {
		i = s.inherited(nk)
		if s.h.repair != nil {
			s.h.repair.unsecured(Key{h: s.h, off: src})
		}
	}
	s.sks[i].refs++
	put32(s.at(nk)[nkSecurity:], s.sks[i].off)
	return nil
}

// inherited returns the parent's descriptor, for a key whose own cannot be read. For the
// root it is the first one: its own or the default in its place.
func (s *saver) inherited(nk uint32) int {
	if s.level > 0 {
		above := u32(s.at(u32(s.at(nk)[nkParent:]))[nkSecurity:])
		for i := range s.sks {
			if s.sks[i].off == above {
				return i
			}
		}
	}
	return 0
}

// rest writes the parts of a key other than its node: values, class, subkey list.
func (s *saver) rest(nk, src uint32) error {
	h := s.h
	k := Key{h: h, off: src, w: s.w}
	b, _, err := h.nk(src)
	if err != nil {
		return err
	}
	if h.repair != nil && h.repair.buried(k, b) {
		put16(s.at(nk)[nkMaxName:], 0)
		put32(s.at(nk)[nkMaxClass:], 0)
		return nil
	}
	if err := s.values(k, nk); err != nil {
		return err
	}
	class, err := k.ClassBytes()
	if err != nil && h.mode == Strict {
		return err
	}
	if h.repair != nil {
		h.repair.classRead(k, b, err)
	}
	if len(class) > 0 {
		off, err := s.put(class)
		if err != nil {
			return err
		}
		o := s.at(nk)
		put32(o[nkClass:], off)
		put16(o[nkClassLen:], uint16(len(class)))
		if p := u32(o[nkParent:]); src != h.root {
			raise(s.at(p)[nkMaxClass:], uint32(len(class)))
		}
	}
	if u32(b[nkSubkeys:]) == 0 && h.repair == nil {
		return nil
	}
	if s.level >= MaxDepth {
		deep := faultf(ruleDepth, src, "more than %d levels", MaxDepth)
		if h.repair != nil && u32(b[nkSubkeys:]) != 0 {
			h.repair.lose(deep, k, "the keys below are left out")
		}
		return h.tolerate(deep, &k)
	}
	if err := s.subkeys(k, b); err != nil || len(s.kids) == 0 {
		return err
	}
	list, err := s.lists(len(s.kids))
	if err != nil {
		return err
	}
	put32(s.at(nk)[nkSubkeys:], uint32(len(s.kids)))
	put32(s.at(nk)[nkList:], list)
	for i, kid := range s.kids {
		s.queue = append(s.queue, pending{src: kid, list: list, index: uint32(i), parent: nk})
	}
	return nil
}

// subkeys collects the subkeys of a key in order, into s.kids.
func (s *saver) subkeys(k Key, b []byte) error {
	h := s.h
	s.kids = s.kids[:0]
	if h.repair != nil {
		var err error
		s.kids, err = h.repair.subkeys(s.w, k, b, s.kids)
		return err
	}
	var it subIter
	it.start(h, s.w, k.off, b)
	var prev []byte
	var prevLatin bool
	ordered := true
	for {
		off, ok := it.next()
		if !ok {
			break
		}
		if err := it.child(off); err != nil {
			it.fault(err)
			continue
		}
		nb, name, err := h.nk(off)
		if err != nil {
			it.fault(err)
			continue
		}
		latin := h.latinKey(nb)
		if prev != nil && ordered && compareStored(prev, prevLatin, name, latin) >= 0 {
			ordered = false
			it.fault(faultf(ruleListOrder, off, "subkeys are not in ascending order"))
		}
		prev, prevLatin = name, latin
		s.kids = append(s.kids, off)
	}
	if it.err != nil || ordered {
		return it.err
	}
	key := func(off uint32) Key { return Key{h: h, off: off} }
	sort.SliceStable(s.kids, func(i, j int) bool { return key(s.kids[i]).CompareName(key(s.kids[j])) < 0 })
	kept := s.kids[:1]
	for _, off := range s.kids[1:] {
		if key(kept[len(kept)-1]).CompareName(key(off)) == 0 {
			h.note(faultf(ruleNkDuplicate, off, "key has the name of its neighbour"), &k)
			continue
		}
		kept = append(kept, off)
	}
	s.kids = kept
	return nil
}

// values copies the values of a key.
func (s *saver) values(k Key, nk uint32) error {
	h := s.h
	if h.repair != nil {
		s.vals = h.repair.values(Key{h: h, off: k.off}, s.vals[:0])
		return s.writeValues(k, nk)
	}
	list, err := k.valueList()
	if err != nil {
		return k.fault(err)
	}
	if len(list) == 0 {
		return nil
	}
	s.vals = s.vals[:0]
	for ; len(list) >= 4; list = list[4:] {
		off := u32(list)
		b, _, err := h.vk(off)
		if err == nil {
			err = s.w.claimValue(h, off, b)
		}
		if err != nil {
			if err = k.fault(err); err != nil {
				return err
			}
			continue
		}
		s.vals = append(s.vals, off)
	}
	return s.writeValues(k, nk)
}

// writeValues writes the values collected in s.vals.
func (s *saver) writeValues(k Key, nk uint32) error {
	h := s.h
	if len(s.vals) == 0 {
		return nil
	}
	vl, err := s.alloc(uint32(4 * len(s.vals)))
	if err != nil {
		return err
	}
	o := s.at(nk)
	put32(o[nkValues:], uint32(len(s.vals)))
	put32(o[nkValueList:], vl)
	var maxName, maxData uint32
	for i, off := range s.vals {
		b, name, err := h.vk(off)
		if err != nil {
			return err
		}
		v := Value{h: h, off: off, key: k.off}
		latin := u16(b[vkFlags:])&vkLatin != 0
		if h.repair != nil {
			name, latin = h.repair.valueName(off, name, h.latinValue(b))
		}
		at, err := s.alloc(uint32(vkSize + len(name)))
		if err != nil {
			return err
		}
		put32(s.at(vl)[4*i:], at)
		o := s.at(at)
		copy(o[:vkSize], b)
		copy(o[vkNameAt:], name)
		put16(o[vkNameLen:], uint16(len(name)))
		put16(o[vkFlags:], latinFlag(u16(o[vkFlags:]), vkLatin, latin))
		if h.ancient() {
			put32(o[vkFlags:], 0)
		}
		maxName = max(maxName, uint32(2*unitsOf(name, u16(o[vkFlags:])&vkLatin != 0)))
		size := u32(b[vkDataSize:])
		if size&inlineBit != 0 && size&^inlineBit <= 4 {
			maxData = max(maxData, size&^inlineBit)
			continue
		}
		if size == 0 {
			put32(o[vkData:], nilCell)
			continue
		}
		var data []byte
		if size&inlineBit == 0 && h.bigData(size) {
			s.buf, err = v.AppendData(s.buf[:0])
			data = s.buf
		} else {
			data, err = v.Data()
		}
		if err != nil && h.mode == Strict {
			return err
		}
		if h.repair != nil && len(data) < v.Size() {
			h.repair.dataCut(v, data, err)
		}
		maxData = max(maxData, uint32(len(data)))
		put32(o[vkDataSize:], uint32(len(data)))
		if len(data) == 0 {
			put32(o[vkData:], nilCell)
			continue
		}
		if len(data) <= 4 { // truncated data, or a short cell of an old version
			put32(o[vkDataSize:], uint32(len(data))|inlineBit)
			put32(o[vkData:], 0)
			copy(o[vkData:vkData+4], data)
			continue
		}
		d, err := s.data(data)
		if err != nil {
			return err
		}
		put32(s.at(at)[vkData:], d)
	}
	o = s.at(nk)
	put32(o[nkMaxValName:], maxName)
	put32(o[nkMaxValData:], maxData)
	return nil
}

// latinFlag sets or clears the flag of a node that marks its name as Latin-1.
func latinFlag(flags, latin uint16, is bool) uint16 {
	if is {
		return flags | latin
	}
	return flags &^ latin
}

// loadAll loads all pages of a hive that is read lazily.
func (h *Hive) loadAll() error {
	if h.view != nil {
		return errView
	}
	if h.lazy == nil {
		return nil
	}
	return h.load(0, len(h.data))
}
