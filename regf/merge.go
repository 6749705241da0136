package regf

import (
	"context"
	"fmt"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// TimeRule selects the time of a merged key.
type TimeRule uint8

const (
	// TimeTop is the time of the topmost node, even if it is not the newest: the rule of
	// ORMergeHives.
	TimeTop TimeRule = iota
	// TimeNewest is the newest time of the nodes that make up the key, which the Windows
	// kernel shows for a layered key.
	TimeNewest
)

// SecurityRule selects the descriptor of a merged key.
type SecurityRule uint8

const (
	// SecurityLowest is the descriptor of the lowest node whose values show in the key: the
	// rule of ORMergeHives. A changed descriptor in a delta has no effect on a key that the
	// layers below have, unless the delta supersedes it.
	SecurityLowest SecurityRule = iota
	// SecurityTop is the descriptor of the topmost node, which a running container sees.
	SecurityTop
)

// MergeOptions are the options of [Merge]. The zero value, or a nil pointer, merges as
// ORMergeHives does, except that the clock is not used.
type MergeOptions struct {
	// Fold makes a differencing hive of the layers instead of a base hive. Merging it over
	// any hive is equivalent to merging the layers over that hive one after the other, as
	// long as no key is a symbolic link in one layer and none in another.
	Fold bool
	// Stepwise merges as if the layers were merged one after the other, each result being
	// the base of the next merge, as when the layers of an image are unpacked. Only two
	// cases differ from merging all at once: below a key that a layer supersedes locally, a
	// subkey that only layers above have does not unite with one that only layers below
	// have; and a symbolic link that has values other than its target in one result has no
	// values in the next.
	Stepwise bool
	// Minor is the minor version of the result, 3 to 6. 0 is 5, or 6 with Fold, which
	// allows no other.
	Minor int
	// Time selects the time of merged keys below the root.
	Time TimeRule
	// Security selects the descriptor of merged keys.
	Security SecurityRule
	// Now is the time of the merge, for the root and for the time of serialisation in the
	// base block. ORMergeHives and ORSaveHive use the clock. If it is 0, the root has the
	// time according to the rule for other keys, and the field is 0.
	Now winfs.Filetime
}

// Merge merges the layers of a registry, the base first and the top layer last, into a new
// hive in memory. It does so as ORMergeHives does for the hives of container layers, for
// any number of layers at once. The rules were measured on that function (golden corpus,
// registry part):
//
//   - Layer semantics and tombstones of values have a meaning in a layer whose base
//     block has [HeaderLayered], at any minor version from 3 on; see also
//     [Hive.Layered]. The bit that inherits the class counts in every layer. A layer
//     may be an ordinary hive, which is united with those below by name.
//   - A tombstone hides the key and everything below it in lower layers. A node that
//     supersedes its tree hides that key and everything below it in lower layers; all
//     merge nodes below it in its own layer do so too. On the root a tombstone
//     supersedes the tree.
//   - Values come from the nodes down to the first that supersedes locally, the topmost
//     node's first, each in its own order; of several with one name the first counts. A
//     tombstone hides the values of its name after it. A tombstone with a type or data
//     is ignored.
//   - Subkeys have the names that the same nodes have, but each is united with the keys
//     of its name in all layers.
//   - The class is that of the topmost of the same nodes that does not inherit it or that
//     supersedes, the descriptor that of the lowest of them. The root has no class.
//   - Name, time and flags are those of the topmost node. Flags for Windows' own
//     bookkeeping are dropped. The root is named ROOT and has no flags.
//   - A symbolic link whose single value is not a sound SymbolicLinkValue has no values.
//
// It is ErrInvalid, as there, if the base is a differencing hive, if a hive is passed
// twice, or if there are fewer than two layers. With Fold any layers are allowed, and one
// is enough.
//
// The layers are only read and may be closed before the result. Save the result with
// [Hive.WriteImageFile]: it is compact already, and [Hive.Compact] returns the same bytes.
func Merge(ctx context.Context, layers []*Hive, opt *MergeOptions) (*Hive, error) {
	m, err := mergeInto(ctx, nil, layers, opt)
	if err != nil {
		return nil, (*Hive)(nil).opError("merge", "", -1, err)
	}
	h, err := OpenBytes(m.out, &Options{})
	if err != nil {
		return nil, (*Hive)(nil).opError("merge", "", -1, err)
	}
	return h, nil
}

// MergeTo is [Merge] with the result in a file: it writes at f, from its start on, the bytes
// that [Hive.WriteImage] writes of the result, and returns how many they are. They are
// neither written in order nor held in memory, of which MergeTo takes about 16 MiB, 24 bytes
// for each key of the result, a bit for each 8 bytes of the layers, and the largest value.
// After an error f has a part of the result.
func MergeTo(ctx context.Context, f ReadWriterAt, layers []*Hive, opt *MergeOptions) (size int64, err error) {
	m, err := mergeInto(ctx, newSpill(f), layers, opt)
	if err == nil {
		size, err = m.spill.finish(m.out)
	}
	if err != nil {
		return 0, (*Hive)(nil).opError("merge", "", -1, err)
	}
	return size, nil
}

// mergeInto makes the result of Merge, with its bins in a file unless that is nil.
func mergeInto(ctx context.Context, to *spill, layers []*Hive, opt *MergeOptions) (*merger, error) {
	if opt == nil {
		opt = &MergeOptions{}
	}
	minor := opt.Minor
	switch {
	case minor == 0 && opt.Fold:
		minor = 6
	case minor == 0:
		minor = 5
	}
	if minor < 3 || minor > 6 || opt.Fold && minor != 6 {
		return nil, ErrInvalid
	}
	if err := mergeable(ctx, layers, opt.Fold, false); err != nil {
		return nil, err
	}
	size := 0
	for _, h := range layers {
		size += len(h.bins)
	}
	hint := size
	if to != nil {
		hint = 0
	}
	m := &merger{ctx: ctx, opt: *opt, treeWriter: newTreeWriter(minor, opt.Fold, hint, size)}
	m.spill = to
	m.opt.Stepwise = opt.Stepwise || opt.Fold
	if err := m.survey(layers); err != nil {
		return nil, err
	}
	if err := m.writeAll(); err != nil {
		return nil, err
	}
	b := m.image()
	stamp(b, opt.Now)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	return m, m.fault()
}

// mergeable returns an error if ORMergeHives would refuse the layers, or if a layer cannot
// be read. With lazy the pages of the base are not read yet.
func mergeable(ctx context.Context, layers []*Hive, fold, lazy bool) error {
	switch {
	case len(layers) == 0, len(layers) == 1 && !fold:
		return fmt.Errorf("a base and at least one layer above it are needed: %w", ErrInvalid)
	case len(layers) >= manyNodes:
		return ErrInvalid
	}
	given := make(map[*Hive]bool, len(layers))
	for i, h := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if h == nil || h.bins == nil {
			return ErrClosed
		}
		if h.minor < 3 {
			return ErrUnsupported
		}
		if given[h] {
			return fmt.Errorf("layer %d is one of those before it: %w", i, ErrInvalid)
		}
		given[h] = true
		if i > 0 || !lazy {
			if err := h.loadAll(); err != nil {
				return err
			}
		}
		if i == 0 && !fold && h.flagged() {
			return fmt.Errorf("the base is a differencing hive: %w", ErrInvalid)
		}
		if !h.Root().Valid() {
			return faultf(ruleRootKey, h.root, "hive has no root key")
		}
	}
	return nil
}

// flagged reports whether the base block has the flag for layer semantics, at any minor
// version. Merging uses it alone, as ORMergeHives does. Elsewhere Hive.Layered counts,
// because hives of Windows NT 4 have anything in that field.
func (h *Hive) flagged() bool { return u32(h.data[hdrFlags:])&HeaderLayered != 0 }

// merger writes the keys of a merged tree level by level, in two passes: the first finds
// the keys, because offreg writes the descriptors that they use before them; the second
// writes them.
type merger struct {
	*treeWriter
	ctx     context.Context
	opt     MergeOptions
	passage passage
	roots   []Key  // of the layers, topmost first; the walks record their index here
	layered []bool // by that index: layer semantics have a meaning
	plan    []planned
	secured []uint32 // by index in plan: the descriptor's cell of a key that has one node
	stacks  [][]Key  // nodes of the keys that several layers have
	kids    []Key
	vals    valueSet
	moved   map[uint32]uint32 // of a view: cells of keys below to those in their place
}

// planned is a key of the result, in the order of writing. All keys are planned before the
// first is written, so that the type is small.
type planned struct {
	node   uint32 // cell of the only node, or index in stacks
	kids   uint32 // number of subkeys, which follow those of the keys before
	source uint16 // the layer of the only node, or manyNodes
	layer  Layer  // effect of the result on the layers below it, if there are any
	sealed bool   // nothing below shows through
	tree   bool   // the lowest node supersedes its tree, or is below one that does
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

// layerOf returns the layer semantics of a node.
func (m *merger) layerOf(k Key) Layer {
	if !m.layered[k.w.source] {
		return LayerMerge
	}
	return Layer(k.LayerByte() & 3)
}

// add plans the key made from a stack of nodes with one name, and truncates the stack. tree
// reports that the lowest node is below one that supersedes its tree. add returns false if
// the key does not exist in the result.
func (m *merger) add(nodes []Key, sealed, tree bool) bool {
	root := len(m.plan) == 0
	p := planned{sealed: sealed || tree, tree: tree}
	for i, k := range nodes {
		layer := m.layerOf(k)
		if layer == LayerTombstone && root {
			layer = LayerSupersedeTree
		}
		switch layer {
		case LayerTombstone:
			p.sealed, p.tree = true, false
			if i == 0 {
				// On top it hides the key; a result that has layers below must record that
				// too.
				if sealed {
					return false
				}
				p.layer = LayerTombstone
				m.push(p, nodes[:1])
				return true
			}
			nodes = nodes[:i]
		case LayerSupersedeTree:
			p.sealed, p.tree = true, true
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
	sd := uint32(nilCell)
	if len(nodes) == 1 {
		p.node, p.source = nodes[0].off, nodes[0].w.source
		sd = nodes[0].SecurityCell()
	} else {
		p.node, p.source = uint32(len(m.stacks)), manyNodes
		m.stacks = append(m.stacks, slices.Clone(nodes))
	}
	m.plan = append(m.plan, p)
	if m.below == nil {
		m.secured = append(m.secured, sd)
	}
}

// survey plans all keys and finds their descriptors.
func (m *merger) survey(layers []*Hive) error {
	for i := range layers {
		h := layers[len(layers)-1-i]
		root := h.Root().Traverse()
		root.w.source = uint16(i)
		root.w.pass = m.passage.over(h)
		m.roots = append(m.roots, root)
		m.layered = append(m.layered, h.flagged())
	}
	m.add(m.roots, !m.opt.Fold, false)
	level, end := uint16(0), 1
	for i := 0; i < len(m.plan); i++ {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if i == end {
			if level++; level > MaxDepth {
				return &LimitError{"levels of keys", MaxDepth}
			}
			end = len(m.plan)
		}
		p := m.plan[i]
		var one [1]Key
		nodes := m.nodes(p, &one, level)
		if p.layer == LayerTombstone || m.shared(p) {
			continue
		}
		before := len(m.plan)
		var err error
		if len(nodes) == 1 {
			err = m.singleKids(nodes[0], p)
		} else {
			err = m.unitedKids(nodes, p)
		}
		if err != nil {
			return err
		}
		m.plan[i].kids = uint32(len(m.plan) - before)
	}
	if m.below != nil {
		return nil
	}
	return m.descriptors()
}

// descriptors finds the descriptors of the planned keys in the order of a walk through the
// tree, which is the order of the ring in the hives that offreg merges. In that order the
// nodes are anywhere in their hives, so that their cells were noted when they were planned.
func (m *merger) descriptors() error {
	found := newDescriptorSurvey()
	first := make([]uint32, len(m.plan)) // of the subkeys of a key, its index in plan
	next := uint32(1)
	for i := range m.plan {
		first[i] = next
		next += m.plan[i].kids
	}
	type level struct{ at, end uint32 }
	path := []level{{0, 1}}
	for len(path) > 0 {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		l := &path[len(path)-1]
		if l.at == l.end {
			path = path[:len(path)-1]
			continue
		}
		i := l.at
		l.at++
		var one [1]Key
		k := m.nodes(m.plan[i], &one, 0)
		node, cell := k[0], m.secured[i]
		if m.plan[i].source == manyNodes {
			node = m.securedNode(k)
			cell = node.SecurityCell()
		}
		if err := found.add(node, cell); err != nil {
			return err
		}
		path = append(path, level{first[i], first[i] + m.plan[i].kids})
	}
	m.first, m.secured = found.list, nil
	return nil
}

// local returns the nodes down to the first that supersedes locally.
func (m *merger) local(nodes []Key) []Key {
	for i, k := range nodes {
		if m.layerOf(k) == LayerSupersedeLocal {
			return nodes[:i+1]
		}
	}
	return nodes
}

// securedNode returns the node whose descriptor the key gets.
func (m *merger) securedNode(nodes []Key) Key {
	if m.opt.Security == SecurityTop {
		return nodes[0]
	}
	local := m.local(nodes)
	return local[len(local)-1]
}

// writeAll writes the planned keys.
func (m *merger) writeAll() error {
	// family is a key whose subkeys are being written or are to be written.
	type family struct {
		at   slotAt // of the next one
		left uint32
	}
	families := []family{{at: noSlot, left: 1}}
	for i := range m.plan {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if m.settle(); m.fault() != nil {
			return m.fault()
		}
		p := m.plan[i]
		for families[0].left == 0 {
			families = families[1:]
		}
		at := families[0].at
		families[0].at.index++
		families[0].left--
		if m.shared(p) {
			if err := m.share(p, at); err != nil {
				return err
			}
			continue
		}
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
	for _, k := range nodes {
		k.w.pass.reach(k.off)
	}
	out := outKey{from: nodes[0], security: m.securedNode(nodes), merged: true}
	if p.layer == LayerTombstone {
		out.layer = byte(LayerTombstone)
	} else if err := m.describe(&out, nodes, p, at.list == nilCell); err != nil {
		return 0, err
	}
	nk, err := m.write(&out, at)
	if err == nil && m.below != nil {
		for _, k := range nodes {
			if k.h == m.below {
				m.moved[k.off] = nk
			}
		}
	}
	return nk, err
}

// descriptorSurvey collects descriptors in the order of their first use.
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

// add records the descriptor of a key, which is in the cell off.
func (s *descriptorSurvey) add(k Key, off uint32) error {
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
func (m *merger) describe(out *outKey, nodes []Key, p planned, root bool) error {
	out.time = nodes[0].LastWrite()
	if m.opt.Time == TimeNewest {
		for _, k := range nodes[1:] {
			out.time = max(out.time, k.LastWrite())
		}
	}
	if root && m.opt.Now != 0 {
		out.time = m.opt.Now
	}
	local := m.local(nodes)
	layer, valuesSealed := p.layer, p.sealed
	if m.layerOf(local[len(local)-1]) == LayerSupersedeLocal {
		valuesSealed = true
		if layer == LayerMerge {
			layer = LayerSupersedeLocal
		}
	}
	inherit := true
	for i, k := range local {
		// The last node supersedes its tree, or is treated so, if p.tree is set.
		supersedes := m.layerOf(k) != LayerMerge || p.tree && i == len(nodes)-1
		if k.LayerByte()&inheritClass != 0 && !supersedes {
			continue
		}
		inherit = false
		class, err := k.ClassBytes()
		if err != nil && k.h.mode == Strict {
			return err
		}
		out.class = class
		break
	}
	if root {
		out.class = nil
	}
	if m.opt.Fold {
		out.layer = byte(layer)
		if inherit && !valuesSealed {
			out.layer |= inheritClass
		}
	}
	values, err := m.unitedValues(local, valuesSealed)
	out.values = values
	return err
}

// singleKids plans the subkeys of a key that only one layer has.
func (m *merger) singleKids(k Key, p planned) error {
	var err error
	if m.kids, err = k.sortedSubkeys(m.kids[:0]); err != nil {
		return err
	}
	plain := p.sealed && !m.layered[k.w.source]
	for i := range m.kids {
		if plain {
			m.push(planned{sealed: true, layer: LayerSupersedeTree}, m.kids[i:i+1])
		} else {
			m.add(m.kids[i:i+1], p.sealed, p.tree)
		}
	}
	return nil
}

// unitedKids plans the union of the subkeys of several nodes, in order.
func (m *merger) unitedKids(nodes []Key, p planned) error {
	kids := make([][]Key, len(nodes))
	for i, k := range nodes {
		var err error
		if kids[i], err = k.sortedSubkeys(nil); err != nil {
			return err
		}
	}
	local := m.local(nodes)
	named := local[len(local)-1].w.source // the lowest node that contributes names
	lowest := nodes[len(nodes)-1].w
	stack := make([]Key, 0, len(nodes))
	for {
		stack = lowestNames(stack[:0], kids)
		if len(stack) == 0 {
			return nil
		}
		if stack[0].w.source > named {
			continue
		}
		reach, sealed := stack, p.sealed
		if m.opt.Stepwise {
			if n, hidden := m.stepReach(nodes, stack); hidden {
				reach, sealed = stack[:n], true
			}
		}
		m.add(reach, sealed, p.tree && reach[len(reach)-1].w == lowest)
	}
}

// stepReach returns how many nodes of a subkey unite when layers are merged one after the
// other, and whether those below are hidden: subkeys that a locally superseding node does
// not name are gone when the layers above it are merged.
func (m *merger) stepReach(nodes, stack []Key) (n int, hidden bool) {
	for _, k := range nodes {
		if m.layerOf(k) != LayerSupersedeLocal {
			continue
		}
		for n < len(stack) && stack[n].w.source < k.w.source {
			n++
		}
		if n == len(stack) || stack[n].w != k.w {
			return n, true
		}
	}
	return len(stack), false
}

// lowestNames removes the keys with the lowest name from the heads of sorted lists and
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

// sortedSubkeys appends the subkeys in ascending order to list, each name once. A list that
// is out of order is a fault; in the tolerant modes the keys are then sorted and the first
// of those with one name is kept.
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
			if err := k.h.tolerate(faultf(ruleListOrder, sub.off, "subkeys are not in ascending order"), &k); err != nil {
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
				// Unlike in a list out of order, it is unknown which of the two counts.
				if err := k.h.tolerate(faultf(ruleNkDuplicate, sub.off, "another subkey has this name"), &k); err != nil {
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
