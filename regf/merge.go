package regf

import (
	"slices"
)

// TimeRule says which time a merged key gets.
type TimeRule uint8

const (
	// TimeNewest is the newest time of the nodes that make up the key, which is what
	// the Windows kernel shows for a layered key.
	TimeNewest TimeRule = iota
	// TimeTop is the time of the topmost node.
	TimeTop
)

// MergeOptions say how hives are merged. The zero value, which a nil pointer
// stands for, makes a base hive.
type MergeOptions struct {
	// Fold makes a differencing hive of the layers instead of a base hive: merged
	// over any hive, it gives what merging the layers over it one after the other
	// gives.
	Fold bool
	// Minor is the minor version of the result, 3 to 6. 0 is 5, or 6 with Fold, which
	// allows nothing else.
	Minor int
	// KeepLayerBits keeps the layer byte of each topmost node in a merged base hive
	// and marks the hive as layered. Microsoft's tools may do so; it is not known.
	KeepLayerBits bool
	// Time chooses the time of merged keys.
	Time TimeRule
}

// Merge merges the layers of a registry, the base first and the last on top, into
// a new hive in memory. It does what ORMergeHives does for the hives of container
// layers, for any number of them at once; the rules are those of the registry
// specification, section 1.12:
//
//   - A tombstone hides the key and everything below it in lower layers; a node
//     that supersedes its tree hides what is below it but itself.
//   - Values are united by name, the topmost wins, value tombstones hide. A node
//     that supersedes locally hides the values and the class of the nodes below it.
//   - Values keep the order of the lower layers, new ones follow in the order of the
//     upper layer. A value that one layer deletes and a later one sets again is new.
//   - The class is that of the topmost node that does not inherit it; flags, the
//     spelling of the name and the descriptor are those of the topmost node.
//
// Layers of versions below 1.6 have no layer semantics and are merged by name.
// Merging a single layer drops its layer semantics; merging none is ErrInvalid.
// The layers are only read and may be closed before the result. Save the result
// with [Hive.Store], because it is compact already: [Hive.Compact] gives the same
// bytes.
func Merge(layers []*Hive, opt *MergeOptions) (*Hive, error) {
	if opt == nil {
		opt = &MergeOptions{}
	}
	fail := func(err error) (*Hive, error) {
		return nil, (*Hive)(nil).opError("merge", "", -1, err)
	}
	minor := opt.Minor
	switch {
	case minor == 0 && (opt.Fold || opt.KeepLayerBits):
		minor = 6
	case minor == 0:
		minor = 5
	}
	if len(layers) == 0 || len(layers) >= manyNodes || minor < 3 || minor > 6 || (opt.Fold || opt.KeepLayerBits) && minor != 6 {
		return fail(ErrInvalid)
	}
	size := 0
	for _, h := range layers {
		if h == nil || h.bins == nil {
			return fail(ErrClosed)
		}
		if h.minor < 3 {
			return fail(ErrUnsupported)
		}
		size += len(h.bins)
	}
	for _, h := range layers {
		if err := h.loadAll(); err != nil {
			return fail(err)
		}
		if !h.Root().Valid() {
			return fail(faultf("root", h.root, "hive has no root key"))
		}
	}
	m := &merger{opt: *opt, treeWriter: newTreeWriter(minor, opt.Fold || opt.KeepLayerBits, size, size)}
	m.fresh = true
	if err := m.survey(layers); err != nil {
		return fail(err)
	}
	if err := m.writeAll(); err != nil {
		return fail(err)
	}
	h, err := OpenBytes(m.image(), &Options{})
	if err != nil {
		return fail(err)
	}
	return h, nil
}

// merger writes the keys of a merged tree level by level, in two passes: the first
// finds the keys, because the descriptors that they use come before them in the
// order that offreg writes, the second writes them.
type merger struct {
	*treeWriter
	opt    MergeOptions
	roots  []Key // of the layers, topmost first; the walks know their places here
	plan   []planned
	stacks [][]Key // nodes of the keys that several layers have
	kids   []Key
	vals   []outValue
	own    []outValue // of one node
	index  valueIndex
}

// planned is a key of the result, in the order of writing. There is one for every
// key at once, so that it is small.
type planned struct {
	node   uint32 // cell of the only node, or index in stacks
	kids   uint32 // subkeys, which follow those of the keys before
	source uint16 // the layer of the only node, or manyNodes
	layer  Layer  // what the result does to the layers below it, where they exist
	sealed bool   // nothing below shows through
}

const manyNodes = 0xFFFF

// nodes returns the nodes of a planned key, topmost first, after the cut.
func (m *merger) nodes(p planned, one *[1]Key, level uint16) []Key {
	if p.source == manyNodes {
		return m.stacks[p.node]
	}
	r := m.roots[p.source]
	one[0] = Key{h: r.h, w: r.w, off: p.node, level: level}
	return one[:]
}

// add plans the key that a stack of nodes with one name makes, which it cuts. It
// reports false where the key does not exist in the result.
func (m *merger) add(nodes []Key, sealed bool) bool {
	p := planned{sealed: sealed}
	for i, k := range nodes {
		switch k.Layer() {
		case LayerTombstone:
			p.sealed = true
			if i == 0 {
				// On top it hides the key; a result that has layers below must say so too.
				if sealed {
					return false
				}
				p.layer = LayerTombstone
				m.push(p, nodes[:1])
				return true
			}
			nodes = nodes[:i]
		case LayerSupersedeTree:
			p.sealed = true
			nodes = nodes[:i+1]
		default:
			continue
		}
		break
	}
	if p.sealed {
		p.layer = LayerSupersedeTree
	}
	m.push(p, nodes)
	return true
}

func (m *merger) push(p planned, nodes []Key) {
	if len(nodes) == 1 {
		p.node, p.source = nodes[0].off, nodes[0].w.source
	} else {
		p.node, p.source = uint32(len(m.stacks)), manyNodes
		m.stacks = append(m.stacks, slices.Clone(nodes))
	}
	m.plan = append(m.plan, p)
}

// survey plans all keys and finds their descriptors in the order of first use.
func (m *merger) survey(layers []*Hive) error {
	for i := range layers {
		root := layers[len(layers)-1-i].Root().Traverse()
		root.w.source = uint16(i)
		m.roots = append(m.roots, root)
	}
	if !m.add(m.roots, !m.opt.Fold) || m.plan[0].layer == LayerTombstone {
		return faultf("root-tombstone", m.roots[0].off, "the root of a layer is a tombstone")
	}
	found := newDescriptorSurvey()
	level, end := uint16(0), 1
	for i := 0; i < len(m.plan); i++ {
		if i == end {
			if level++; level > MaxDepth {
				return ErrLimit
			}
			end = len(m.plan)
		}
		p := m.plan[i]
		var one [1]Key
		nodes := m.nodes(p, &one, level)
		if err := found.add(nodes[0]); err != nil {
			return err
		}
		if p.layer == LayerTombstone {
			continue
		}
		before := len(m.plan)
		var err error
		if len(nodes) == 1 {
			err = m.singleKids(nodes[0], p.sealed)
		} else {
			err = m.unitedKids(nodes, p.sealed)
		}
		if err != nil {
			return err
		}
		m.plan[i].kids = uint32(len(m.plan) - before)
	}
	m.first = found.list
	return nil
}

// writeAll writes the keys that were planned.
func (m *merger) writeAll() error {
	// family is a key whose subkeys are written or to come.
	type family struct {
		at   slotAt // of the next one
		left uint32
	}
	families := []family{{at: noSlot, left: 1}}
	for i := range m.plan {
		p := m.plan[i]
		for families[0].left == 0 {
			families = families[1:]
		}
		at := families[0].at
		families[0].at.index++
		families[0].left--
		nk, err := m.key(p, at)
		if err != nil {
			return err
		}
		if p.kids == 0 {
			continue
		}
		list, err := m.newList(nk, int(p.kids))
		if err != nil {
			return err
		}
		families = append(families, family{at: slotAt{list: list, parent: nk}, left: p.kids})
	}
	return nil
}

// key writes one merged key.
func (m *merger) key(p planned, at slotAt) (uint32, error) {
	var one [1]Key
	nodes := m.nodes(p, &one, 0)
	out := outKey{from: nodes[0]}
	if p.layer == LayerTombstone {
		out.layer = byte(LayerTombstone)
	} else if err := m.describe(&out, nodes, p.layer, p.sealed); err != nil {
		return 0, err
	}
	return m.write(&out, at)
}

// descriptorSurvey collects descriptors in the order in which keys use them.
type descriptorSurvey struct {
	list  [][]byte
	seen  map[string]struct{}
	cells map[*Hive]map[uint32]struct{}
	h     *Hive // of the key before
	cell  uint32
}

func newDescriptorSurvey() *descriptorSurvey {
	return &descriptorSurvey{seen: map[string]struct{}{}, cells: map[*Hive]map[uint32]struct{}{}}
}

// add notes the descriptor of a key.
func (s *descriptorSurvey) add(k Key) error {
	off := k.SecurityCell()
	if s.h == k.h && s.cell == off {
		return nil
	}
	s.h, s.cell = k.h, off
	cells := s.cells[k.h]
	if cells == nil {
		cells = map[uint32]struct{}{}
		s.cells[k.h] = cells
	}
	if _, ok := cells[off]; ok {
		return nil
	}
	cells[off] = struct{}{}
	sd, err := descriptorOf(k)
	if err != nil {
		return err
	}
	if _, ok := s.seen[string(sd)]; !ok {
		s.seen[string(sd)] = struct{}{}
		s.list = append(s.list, sd)
	}
	return nil
}

// describe finds values, class, time and layer byte of a merged key.
func (m *merger) describe(out *outKey, nodes []Key, layer Layer, sealed bool) error {
	top := nodes[0]
	out.time = top.LastWrite()
	if m.opt.Time == TimeNewest {
		for _, k := range nodes[1:] {
			out.time = max(out.time, k.LastWrite())
		}
	}
	local := nodes
	valuesSealed := sealed
	for i, k := range nodes {
		if k.Layer() == LayerSupersedeLocal {
			local, valuesSealed = nodes[:i+1], true
			if layer == LayerMerge {
				layer = LayerSupersedeLocal
			}
			break
		}
	}
	inherit := true
	for _, k := range local {
		if !k.InheritClass() {
			inherit = false
			class, err := k.ClassBytes()
			if err != nil && k.h.mode == Strict {
				return err
			}
			out.class = class
			break
		}
	}
	switch {
	case m.opt.Fold:
		out.layer = byte(layer)
		if inherit && !valuesSealed {
			out.layer |= inheritClass
		}
	case m.opt.KeepLayerBits && top.h.layered:
		out.layer = top.LayerByte()
	}
	m.vals = m.vals[:0]
	for i := len(local) - 1; i >= 0; i-- {
		if err := m.layValues(local[i], len(local) == 1, i == len(local)-1, valuesSealed); err != nil {
			return err
		}
	}
	out.values = m.vals
	return nil
}

// layValues lays the values of a node over those collected so far. Of values with
// one name in a node the first counts, as it does for who looks the name up. Where
// nothing is laid over anything all are kept.
func (m *merger) layValues(k Key, alone, lowest, sealed bool) error {
	if alone && !k.h.layered {
		for v, err := range k.Values() {
			if err != nil {
				return err
			}
			m.vals = append(m.vals, outValue{Value: v})
		}
		return nil
	}
	m.own = m.own[:0]
	dead := false
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		o := outValue{v, v.Tombstone()}
		dead = dead || o.tombstone
		m.own = append(m.own, o)
	}
	if !alone || dead {
		m.own = firstOfNames(m.own)
	}
	below := len(m.vals)
	removed := false
	m.index.reset()
	for _, v := range m.own {
		i := -1
		if !lowest {
			i = m.index.find(m.vals[:below], v.Value)
		}
		switch {
		case v.tombstone && sealed && i >= 0:
			m.vals[i].Value = Value{}
			removed = true
		case v.tombstone && sealed:
		case i >= 0:
			m.vals[i] = v
		default:
			m.vals = append(m.vals, v)
		}
	}
	if removed {
		m.vals = slices.DeleteFunc(m.vals, func(v outValue) bool { return v.Value.h == nil })
	}
	m.index.reset()
	return nil
}

// firstOfNames removes values whose name has come before.
func firstOfNames(list []outValue) []outValue {
	if len(list) <= shortList {
		kept := list[:0]
		for i := range list {
			if !slices.ContainsFunc(kept, func(v outValue) bool { return v.CompareName(list[i].Value) == 0 }) {
				kept = append(kept, list[i])
			}
		}
		return kept
	}
	seen := make(map[string]struct{}, len(list))
	return slices.DeleteFunc(list, func(v outValue) bool {
		name := foldStored(v.RawName())
		_, again := seen[name]
		seen[name] = struct{}{}
		return again
	})
}

// singleKids plans the subkeys of a key that only one layer has.
func (m *merger) singleKids(k Key, sealed bool) error {
	var err error
	if m.kids, err = k.sortedSubkeys(m.kids[:0]); err != nil {
		return err
	}
	plain := sealed && !k.h.layered
	for i, sub := range m.kids {
		if plain {
			m.plan = append(m.plan, planned{node: sub.off, source: k.w.source, sealed: true, layer: LayerSupersedeTree})
		} else {
			m.add(m.kids[i:i+1], sealed)
		}
	}
	return nil
}

// unitedKids plans the union of the subkeys of several nodes, in order.
func (m *merger) unitedKids(nodes []Key, sealed bool) error {
	kids := make([][]Key, len(nodes))
	for i, k := range nodes {
		var err error
		if kids[i], err = k.sortedSubkeys(nil); err != nil {
			return err
		}
	}
	stack := make([]Key, 0, len(nodes))
	for {
		stack = lowestNames(stack[:0], kids)
		if len(stack) == 0 {
			return nil
		}
		m.add(stack, sealed)
	}
}

// lowestNames takes the keys with the lowest name off the heads of sorted lists and
// appends them to stack, in the order of the lists.
func lowestNames(stack []Key, lists [][]Key) []Key {
	for _, list := range lists {
		if len(list) == 0 {
			continue
		}
		if len(stack) > 0 {
			switch c := list[0].CompareName(stack[0]); {
			case c > 0:
				continue
			case c < 0:
				stack = stack[:0]
			}
		}
		stack = append(stack, list[0])
	}
	n := 0
	for i, list := range lists {
		if n < len(stack) && len(list) > 0 && list[0] == stack[n] {
			lists[i] = list[1:]
			n++
		}
	}
	return stack
}

// sortedSubkeys appends the subkeys in ascending order to list, each name once. A
// list that is out of order is a fault; past it, in the tolerant modes, the keys
// are sorted and the first of those with one name is kept.
func (k Key) sortedSubkeys(list []Key) ([]Key, error) {
	if k.SubkeyCount() == 0 {
		return list, nil
	}
	from := len(list)
	ordered := true
	for sub, err := range k.Subkeys() {
		if err != nil {
			return list, err
		}
		if n := len(list); ordered && n > from && list[n-1].CompareName(sub) >= 0 {
			ordered = false
			if err := k.h.tolerate(faultf("list-order", sub.off, "subkeys are not in ascending order"), &k); err != nil {
				return list, k.err("list subkeys", err)
			}
		}
		list = append(list, sub)
	}
	if !ordered {
		slices.SortStableFunc(list[from:], Key.CompareName)
		kept := list[:from+1]
		for _, sub := range list[from+1:] {
			if kept[len(kept)-1].CompareName(sub) == 0 {
				// Unlike their order, which of the two counts is not known.
				if err := k.h.tolerate(faultf("nk-duplicate", sub.off, "another subkey has this name"), &k); err != nil {
					return list, k.err("list subkeys", err)
				}
				continue
			}
			kept = append(kept, sub)
		}
		list = kept
	}
	return list, nil
}

// valueIndex finds values by name among the first ones of a list. A short list is
// searched, a long one gets a map.
type valueIndex struct {
	byName map[string]int
	next   []int // of a value, the next one with its name; 0 for none
}

// shortList is the length up to which searching is quicker than a map.
const shortList = 8

func (x *valueIndex) reset() { x.byName, x.next = nil, nil }

func (x *valueIndex) build(list []outValue) {
	if x.byName != nil {
		return
	}
	x.byName = make(map[string]int, len(list))
	for i := len(list) - 1; i >= 0; i-- { // the first of equal names wins
		name := foldStored(list[i].RawName())
		if after, twice := x.byName[name]; twice {
			if x.next == nil {
				x.next = make([]int, len(list))
			}
			x.next[i] = after
		}
		x.byName[name] = i
	}
}

// find returns the index of the first value with the name of v, or -1.
func (x *valueIndex) find(list []outValue, v Value) int {
	if len(list) <= shortList {
		for i := range list {
			if list[i].Value.h != nil && list[i].CompareName(v) == 0 {
				return i
			}
		}
		return -1
	}
	x.build(list)
	if i, ok := x.byName[foldStored(v.RawName())]; ok && list[i].Value.h != nil {
		return i
	}
	return -1
}

// take returns the index of the first value with the name of v that was not taken
// before, and takes it, or -1. Duplicates in two damaged lists so pair in order.
func (x *valueIndex) take(list []outValue, v Value, taken []bool) int {
	i := -1
	if len(list) <= shortList {
		for k := range list {
			if !taken[k] && list[k].CompareName(v) == 0 {
				i = k
				break
			}
		}
	} else {
		x.build(list)
		name := foldStored(v.RawName())
		if k, ok := x.byName[name]; ok && !taken[k] {
			i = k
			if x.next != nil && x.next[k] != 0 {
				x.byName[name] = x.next[k]
			}
		}
	}
	if i >= 0 {
		taken[i] = true
	}
	return i
}
