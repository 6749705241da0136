package regf

import (
	"bytes"
	"fmt"
)

// DiffOptions are the options of [Diff]. The zero value, or a nil pointer, requests an
// exact delta.
type DiffOptions struct {
	// IgnoreValueOrder ignores differences that are only in the order of a key's values.
	// Without it, the delta repeats the values of such a key as far as a merge would not
	// restore their order: the values of a delta come before those of the layers below.
	IgnoreValueOrder bool
}

// Diff returns a differencing hive, in memory, that turns base into other when it is merged
// over base: names, classes, descriptors, flags, times and values, as far as a merged hive
// has them (see [Merge]; of values with one name it has the first).
//
// The delta holds promoted keys (merge, class inherited) on the way to the differences,
// tombstones for deleted keys and values, and new keys as plain merge keys. A merged key
// has the descriptor of the lowest layer whose values show, so that a key whose descriptor
// differs supersedes locally: it has all its values and names all its subkeys. The same
// applies to a key that has become a symbolic link. Layered hives have no meaning by
// themselves; for them Diff returns ErrInvalid: merge them first.
func Diff(base, other *Hive, opt *DiffOptions) (*Hive, error) {
	if opt == nil {
		opt = &DiffOptions{}
	}
	fail := func(err error) (*Hive, error) {
		return nil, (*Hive)(nil).opError("diff", "", -1, err)
	}
	for _, h := range []*Hive{base, other} {
		switch {
		case h == nil || h.bins == nil:
			return fail(ErrClosed)
		case h.layered, h == base && h.flagged():
			return fail(fmt.Errorf("a differencing hive has no meaning by itself: %w", ErrInvalid))
		case h.minor < 3:
			return fail(ErrUnsupported)
		}
		if err := h.loadAll(); err != nil {
			return fail(err)
		}
		if !h.Root().Valid() {
			return fail(faultf(ruleRootKey, h.root, "hive has no root key"))
		}
	}
	d := &differ{treeWriter: newTreeWriter(6, true, 1<<16, len(base.bins)+len(other.bins)), opt: *opt}
	root, err := d.compare(base.Root().Traverse(), other.Root().Traverse(), true)
	if err != nil {
		return fail(err)
	}
	if err := d.run(root); err != nil {
		return fail(err)
	}
	h, err := OpenBytes(d.image(), nil)
	if err != nil {
		return fail(err)
	}
	return h, nil
}

// diffNode is a key of a delta.
type diffNode struct {
	key    Key // of the second hive, or of the first for a tombstone
	layer  byte
	tree   bool // everything below the key is copied
	values []outValue
	kids   []*diffNode
}

type differ struct {
	*treeWriter
	opt   DiffOptions
	kids  []Key
	vals  []outValue
	index valueIndex
}

// compare returns the node that turns a into b, nil if they are equal.
func (d *differ) compare(a, b Key, root bool) (*diffNode, error) {
	n := &diffNode{key: b}
	classA, err := a.ClassBytes()
	if err != nil {
		return nil, err
	}
	classB, err := b.ClassBytes()
	if err != nil {
		return nil, err
	}
	if a.LayerByte()&inheritClass != 0 {
		classA = nil // there is no class to inherit
	}
	sameClass := root || bytes.Equal(classA, classB)
	if sameClass {
		n.layer = inheritClass
	}
	sdA, err := a.Security()
	if err != nil {
		return nil, err
	}
	sdB, err := b.Security()
	if err != nil {
		return nil, err
	}
	nameA, latinA := a.RawName()
	nameB, latinB := b.RawName()
	const counts = mergedFlags &^ uint16(bookkeeping)
	differs := root || !sameClass || a.LastWrite() != b.LastWrite() ||
		unitsOf(nameA, latinA) != unitsOf(nameB, latinB) || nameString(nameA, latinA) != nameString(nameB, latinB) ||
		uint16(a.Flags()^b.Flags())&counts != 0 || (a.field8(nkVirtual)^b.field8(nkVirtual))&mergedVirtual != 0
	local, changed, err := d.values(n, a, b, !bytes.Equal(sdA, sdB))
	if err != nil {
		return nil, err
	}
	if local {
		// Then its own class counts.
		n.layer = byte(LayerSupersedeLocal)
	}
	differs = differs || changed
	if err := d.subkeys(n, a, b, local); err != nil {
		return nil, err
	}
	if !differs && len(n.kids) == 0 {
		return nil, nil
	}
	return n, nil
}

// values finds the values that the delta of a key needs. local asks for the whole list,
// which is to replace the one below; all reports that the whole list is needed in any case.
func (d *differ) values(n *diffNode, a, b Key, local bool) (all, changed bool, err error) {
	was, err := shownValues(a)
	if err != nil {
		return false, false, err
	}
	is, err := shownValues(b)
	if err != nil {
		return false, false, err
	}
	if local || len(was) == 0 {
		n.values = is
		return local, local || len(is) > 0, nil
	}
	// at is the index of the same value below, or -1.
	at := make([]int, len(is))
	kept := make([]bool, len(was))
	d.index.reset()
	for i, v := range is {
		at[i] = d.index.find(was, v.Value)
		if at[i] < 0 {
			continue
		}
		kept[at[i]] = true
		same, err := sameContent(was[at[i]].Value, v.Value)
		if err != nil {
			return false, false, err
		}
		if !same {
			at[i] = -1
		}
	}
	d.index.reset()
	// The values after those of the delta must be the remaining values below, in order.
	first := len(is)
	for next := len(was); first > 0 && at[first-1] >= 0 && at[first-1] < next; first-- {
		next = at[first-1]
	}
	for i, v := range is {
		if at[i] < 0 || i < first && !d.opt.IgnoreValueOrder {
			n.values = append(n.values, v)
		}
	}
	dead := false
	for i, v := range was {
		if !kept[i] {
			n.values, dead = append(n.values, outValue{v.Value, true}), true
		}
	}
	if b.Symlink() && dead { // the target must be its single value
		n.values = is
		return true, true, nil
	}
	return false, len(n.values) > 0, nil
}

// shownValues returns the values of a key as a merge sees them.
func shownValues(k Key) ([]outValue, error) {
	var set valueSet
	for v, err := range k.Values() {
		if err != nil {
			return nil, err
		}
		set.add(outValue{Value: v})
	}
	if k.Symlink() && !soundLink(set.list) {
		return nil, nil
	}
	return set.list, nil
}

// sameContent compares spelling, type and data of two values.
func sameContent(a, b Value) (bool, error) {
	nameA, latinA := a.RawName()
	nameB, latinB := b.RawName()
	if nameString(nameA, latinA) != nameString(nameB, latinB) {
		return false, nil
	}
	return sameData(a, b)
}

// subkeys finds the subkeys that the delta of a key needs. With all, each subkey of b is
// named.
func (d *differ) subkeys(n *diffNode, a, b Key, all bool) error {
	var err error
	lists := make([][]Key, 2)
	if lists[0], err = a.sortedSubkeys(nil); err != nil {
		return err
	}
	if lists[1], err = b.sortedSubkeys(nil); err != nil {
		return err
	}
	var stack []Key
	for {
		stack = lowestNames(stack[:0], lists)
		var kid *diffNode
		switch {
		case len(stack) == 0:
			return nil
		case len(stack) == 2:
			if kid, err = d.compare(stack[0], stack[1], false); err != nil {
				return err
			}
			if kid == nil && all {
				kid = &diffNode{key: stack[1], layer: inheritClass}
			}
		case stack[0].w == a.w && all:
		case stack[0].w == a.w:
			kid = &diffNode{key: stack[0], layer: byte(LayerTombstone)}
		default:
			kid = &diffNode{key: stack[0], tree: true}
		}
		if kid != nil {
			n.kids = append(n.kids, kid)
		}
	}
}

// diffPending is a key that is listed and not yet written.
type diffPending struct {
	node *diffNode // nil in copied trees
	key  Key
	tree byte // layer byte in copied trees
	at   slotAt
}

// run writes the delta level by level.
func (d *differ) run(root *diffNode) error {
	queue := []diffPending{{node: root, at: noSlot}}
	for i := 0; i < len(queue); i++ {
		p := queue[i]
		queue[i] = diffPending{}
		first := len(queue)
		var nk uint32
		var err error
		if n := p.node; n != nil && !n.tree {
			out := outKey{from: n.key, security: n.key, layer: n.layer, values: n.values}
			if Layer(n.layer&3) != LayerTombstone {
				out.time = n.key.LastWrite()
				if n.layer&inheritClass == 0 {
					if out.class, err = n.key.ClassBytes(); err != nil {
						return err
					}
				}
			}
			if nk, err = d.write(&out, p.at); err != nil {
				return err
			}
			for _, kid := range n.kids {
				queue = append(queue, diffPending{node: kid})
			}
		} else {
			if n != nil {
				p.key, p.tree = n.key, n.layer
			}
			if nk, err = d.copyKey(p); err != nil {
				return err
			}
			if d.kids, err = p.key.sortedSubkeys(d.kids[:0]); err != nil {
				return err
			}
			for _, kid := range d.kids {
				queue = append(queue, diffPending{key: kid, tree: p.tree})
			}
		}
		if len(queue) == first {
			continue
		}
		list, err := d.newList(nk, len(queue)-first)
		if err != nil {
			return err
		}
		for i := range queue[first:] {
			queue[first+i].at = slotAt{list, uint32(i), nk}
		}
	}
	return nil
}

// copyKey writes a key of a tree that is copied as a whole.
func (d *differ) copyKey(p diffPending) (uint32, error) {
	out := outKey{from: p.key, security: p.key, layer: p.tree, time: p.key.LastWrite()}
	var err error
	if out.class, err = p.key.ClassBytes(); err != nil && p.key.h.mode == Strict {
		return 0, err
	}
	d.vals = d.vals[:0]
	for v, err := range p.key.Values() {
		if err != nil {
			return 0, err
		}
		d.vals = append(d.vals, outValue{Value: v})
	}
	out.values = d.vals
	return d.write(&out, p.at)
}
