package regf

import (
	"github.com/mullion/mullion/winfs"
)

// treeWriter writes a hive whose keys come from other hives, level by level, with the
// allocator of the compacting save. Each descriptor is written once: those known in advance
// after the root, the others at their first use.
type treeWriter struct {
	*compactor
	below   *Hive // of a view: the hive whose cells the result shares
	minor   int
	layered bool // layer bytes and value tombstones have a meaning in the result
	root    uint32
	first   [][]byte                 // descriptors to write after the root
	skOf    map[*Hive]map[uint32]int // source cell to index in sks
	skBytes map[string]int           // descriptor to index in sks
	lastSK  struct {
		h     *Hive
		src   uint32
		index int
	}
	buf  []byte
	name []byte
}

// outKey is a key to be written. Name, flags and all other bits come from a node.
type outKey struct {
	from     Key
	security Key  // the node whose descriptor the key gets
	merged   bool // bits and names are written as ORMergeHives does, not copied
	layer    byte
	time     winfs.Filetime
	class    []byte
	values   []outValue
}

// The bits of a node that a merge keeps (golden corpus, registry part).
const (
	mergedFlags    = 0xFC11 // and flagNameLatin, which is computed
	mergedVirtual  = 0x1F
	spareLayerBits = 0x7C
)

// mergedRoot is the name of the root of a merged hive.
const mergedRoot = "ROOT"

// outValue is a value to be written, or a tombstone with its name.
type outValue struct {
	Value
	tombstone bool
}

// slotAt is the place in a subkey list that names a key.
type slotAt struct {
	list   uint32
	index  uint32
	parent uint32
}

var noSlot = slotAt{list: nilCell, parent: nilCell}

func newTreeWriter(minor int, layered bool, sizeHint, source int) *treeWriter {
	w := &treeWriter{
		compactor: newCompactor(sizeHint+sizeHint/16+1<<16, source),
		minor:     minor, layered: layered, root: nilCell,
		skOf: map[*Hive]map[uint32]int{}, skBytes: map[string]int{},
	}
	w.big, w.hash = minor > 3, minor >= 5
	return w
}

// image completes the base block, that of a new hive, and returns the file, or the base block
// alone if the bins go to another.
func (w *treeWriter) image() []byte {
	w.begin(w.minor)
	if w.layered {
		put32(w.out[hdrFlags:], HeaderLayered)
	}
	w.ring()
	w.finish(w.root)
	return w.out
}

// write writes a key with its values, class and descriptor and enters it in the
// list of its parent.
func (w *treeWriter) write(k *outKey, at slotAt) (uint32, error) {
	src, name, err := k.from.h.nk(k.from.off)
	if err != nil {
		return 0, err
	}
	latin := k.from.h.latinKey(src)
	root := at.list == nilCell
	switch {
	case k.merged && root:
		name, latin = []byte(mergedRoot), true
	case k.merged && !latin:
		name, latin = w.compressed(name)
	}
	nk, err := w.alloc(uint32(nkSize + len(name)))
	if err != nil {
		return 0, err
	}
	o := w.at(nk)
	copy(o[nkNameAt:], name)
	if k.merged && root {
		put16(o, sigNK)
		put16(o[nkFlags:], flagNameLatin)
	} else {
		copy(o[:nkSize], src)
	}
	if k.merged && !root {
		flags := u16(src[nkFlags:]) & mergedFlags
		if latin {
			flags |= flagNameLatin
		}
		put16(o[nkFlags:], flags)
		o[nkAccess] = 0
		o[nkVirtual] &= mergedVirtual
		k.layer |= src[nkLayer] & spareLayerBits
	}
	o[nkLayer] = k.layer
	put64(o[nkTime:], uint64(k.time))
	put16(o[nkNameLen:], uint16(len(name)))
	put32(o[nkParent:], at.parent)
	put32(o[nkSubkeys:], 0)
	put32(o[nkVolatile:], 0)
	put32(o[nkList:], nilCell)
	put32(o[nkVolList:], nilCell)
	put32(o[nkValueList:], nilCell)
	put32(o[nkClass:], nilCell)
	put16(o[nkClassLen:], 0)
	put16(o[nkMaxName:], 0)
	put32(o[nkMaxClass:], 0)
	put32(o[nkMaxValName:], 0)
	put32(o[nkMaxValData:], 0)
	predefined := u16(o[nkFlags:])&uint16(KeyPredefined) != 0
	if !predefined {
		put32(o[nkValues:], 0)
	}
	if !root {
		w.slot(at.list, int(at.index), nk, name, latin)
		raiseName(w.at(at.parent), 2*unitsOf(name, latin))
	} else {
		w.root = nk
		for _, sd := range w.first {
			if _, err := w.newDescriptor(sd); err != nil {
				return 0, err
			}
		}
	}
	if err := w.secure(nk, k.security); err != nil {
		return 0, err
	}
	if len(k.values) > 0 && !predefined {
		if err := w.values(nk, k.values, k.merged); err != nil {
			return 0, err
		}
	}
	if len(k.class) > 0 {
		off, err := w.put(k.class)
		if err != nil {
			return 0, err
		}
		o := w.at(nk)
		put32(o[nkClass:], off)
		put16(o[nkClassLen:], uint16(len(k.class)))
		if at.parent != nilCell {
			raise(w.at(at.parent)[nkMaxClass:], uint32(len(k.class)))
		}
	}
	return nk, nil
}

// compressed returns a UTF-16 name as Latin-1 where that is possible.
func (w *treeWriter) compressed(name []byte) ([]byte, bool) {
	for i := 1; i < len(name); i += 2 {
		if name[i] != 0 {
			return name, false
		}
	}
	w.name = w.name[:0]
	for i := 0; i+1 < len(name); i += 2 {
		w.name = append(w.name, name[i])
	}
	return w.name, true
}

// newList allocates the subkey list of a key for n > 0 subkeys.
func (w *treeWriter) newList(nk uint32, n int) (uint32, error) {
	list, err := w.lists(n)
	if err != nil {
		return 0, err
	}
	o := w.at(nk)
	put32(o[nkSubkeys:], uint32(n))
	put32(o[nkList:], list)
	return list, nil
}

// secure points a key at the descriptor of the node it comes from.
func (w *treeWriter) secure(nk uint32, from Key) error {
	src := from.SecurityCell()
	if from.h == w.below {
		put32(w.at(nk)[nkSecurity:], src)
		return nil
	}
	if w.lastSK.h != from.h || w.lastSK.src != src {
		i, err := w.descriptor(from, src)
		if err != nil {
			return err
		}
		w.lastSK.h, w.lastSK.src, w.lastSK.index = from.h, src, i
	}
	s := &w.sks[w.lastSK.index]
	s.refs++
	put32(w.at(nk)[nkSecurity:], s.off)
	return nil
}

func (w *treeWriter) descriptor(from Key, src uint32) (int, error) {
	known := w.skOf[from.h]
	if known == nil {
		known = map[uint32]int{}
		w.skOf[from.h] = known
	}
	if i, ok := known[src]; ok {
		return i, nil
	}
	sd, err := descriptorOf(from)
	if err != nil {
		return 0, err
	}
	i, ok := w.skBytes[string(sd)]
	if !ok {
		if i, err = w.newDescriptor(sd); err != nil {
			return 0, err
		}
	}
	known[src] = i
	return i, nil
}

// descriptorOf returns the descriptor of a key. In the tolerant modes an unreadable one is
// replaced by the default.
func descriptorOf(k Key) ([]byte, error) {
	sd, err := k.Security()
	if err != nil && k.h.mode != Strict {
		return defaultSecurity(), nil
	}
	return sd, err
}

func (w *treeWriter) newDescriptor(sd []byte) (int, error) {
	off, err := w.sk(0, sd)
	i := len(w.sks)
	w.sks = append(w.sks, skEntry{off: off})
	w.skBytes[string(sd)] = i
	return i, err
}

// values writes a list of values, each followed by its data.
func (w *treeWriter) values(nk uint32, list []outValue, merged bool) error {
	vl, err := w.alloc(uint32(4 * len(list)))
	if err != nil {
		return err
	}
	o := w.at(nk)
	put32(o[nkValues:], uint32(len(list)))
	put32(o[nkValueList:], vl)
	var maxName, maxData uint32
	for i := range list {
		at, units, size, err := w.value(&list[i], merged)
		if err != nil {
			return err
		}
		put32(w.at(vl)[4*i:], at)
		w.settle()
		maxName, maxData = max(maxName, 2*units), max(maxData, size)
	}
	o = w.at(nk)
	put32(o[nkMaxValName:], maxName)
	put32(o[nkMaxValData:], maxData)
	return nil
}

// value writes one value and returns its cell, the length of its name in units and
// the size of its data.
func (w *treeWriter) value(v *outValue, merged bool) (at, units, size uint32, err error) {
	src, name, err := v.h.vk(v.off)
	if err != nil {
		return 0, 0, 0, err
	}
	if v.h == w.below {
		return v.off, uint32(unitsOf(name, v.h.latinValue(src))), uint32(v.Size()), nil
	}
	flags := u16(src[vkFlags:]) &^ vkTombstone
	if merged {
		latin := v.h.latinValue(src)
		if !latin {
			name, latin = w.compressed(name)
		}
		if flags = 0; latin {
			flags = vkLatin
		}
	}
	if at, err = w.alloc(uint32(vkSize + len(name))); err != nil {
		return 0, 0, 0, err
	}
	o := w.at(at)
	copy(o[:vkSize], src)
	copy(o[vkNameAt:], name)
	put16(o[vkNameLen:], uint16(len(name)))
	units = uint32(unitsOf(name, flags&vkLatin != 0))
	if v.tombstone {
		put16(o[vkFlags:], flags|vkTombstone)
		put32(o[vkType:], 0)
		put32(o[vkDataSize:], 0)
		put32(o[vkData:], nilCell)
		return at, units, 0, nil
	}
	put16(o[vkFlags:], flags)
	size = u32(src[vkDataSize:])
	if size&inlineBit != 0 && size&^inlineBit <= 4 {
		return at, units, size &^ inlineBit, nil
	}
	var data []byte
	if size&inlineBit == 0 && v.h.bigData(size) {
		w.buf, err = v.AppendData(w.buf[:0])
		data = w.buf
	} else {
		data, err = v.Data()
	}
	if err != nil && v.h.mode == Strict {
		return 0, 0, 0, err
	}
	size = uint32(len(data))
	switch {
	case size == 0:
		put32(o[vkDataSize:], 0)
		put32(o[vkData:], nilCell)
	case size <= 4:
		put32(o[vkDataSize:], size|inlineBit)
		put32(o[vkData:], 0)
		copy(o[vkData:vkData+4], data)
	default:
		put32(o[vkDataSize:], size)
		cell, err := w.data(data)
		if err != nil {
			return 0, 0, 0, err
		}
		put32(w.at(at)[vkData:], cell)
	}
	return at, units, size, nil
}
