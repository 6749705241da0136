package regf

import "bytes"

// DiffOptions say what a delta holds. The zero value, which a nil pointer stands
// for, makes an exact one.
type DiffOptions struct {
	// KeepNewerTimes leaves keys alone that are the same but older in the second hive.
	// A merged key has the newest time of its layers, so that an older one can only be
	// brought about by a copy of the whole tree below it. With this option the
	// delta stays small and such keys keep the newer time.
	KeepNewerTimes bool
	// IgnoreValueOrder does not count it as a difference when a key has the same
	// values in another order. Without it a key whose order a merge would not give
	// supersedes the values below it.
	IgnoreValueOrder bool
}

// Diff makes a differencing hive, in memory, that turns base into other when it is
// merged over it: names, classes, descriptors, flags, times and values.
//
// It holds promoted keys (merge, class inherited) on the way to what differs,
// tombstones for keys and values that are gone, and new keys as plain merge keys.
// Where that is not enough, it supersedes, as DiffOptions tell. Layered hives have
// no meaning by themselves and give ErrInvalid: merge them first.
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
		case h.layered:
			return fail(ErrInvalid)
		case h.minor < 3:
			return fail(ErrUnsupported)
		}
		if err := h.loadAll(); err != nil {
			return fail(err)
		}
		if !h.Root().Valid() {
			return fail(faultf("root", h.root, "hive has no root key"))
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

// compare returns the node that makes b of a, nil where they are equal.
func (d *differ) compare(a, b Key, root bool) (*diffNode, error) {
	n := &diffNode{key: b}
	differs := root
	switch older := b.LastWrite() < a.LastWrite(); {
	case older && !d.opt.KeepNewerTimes:
		n.layer, n.tree = byte(LayerSupersedeTree), true
		return n, nil
	case b.LastWrite() > a.LastWrite():
		differs = true
	}
	classA, err := a.ClassBytes()
	if err != nil {
		return nil, err
	}
	classB, err := b.ClassBytes()
	if err != nil {
		return nil, err
	}
	sameClass := bytes.Equal(classA, classB)
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
	const bookkeeping = KeyCompressed | KeyVolatile
	if !sameClass || !bytes.Equal(sdA, sdB) || latinA != latinB || !bytes.Equal(nameA, nameB) ||
		a.Flags()&^bookkeeping != b.Flags()&^bookkeeping || a.field8(nkVirtual) != b.field8(nkVirtual) {
		differs = true
	}
	local, changed, err := d.values(n, a, b)
	if err != nil {
		return nil, err
	}
	if local {
		// Its own class counts then.
		n.layer = byte(LayerSupersedeLocal)
	}
	differs = differs || changed
	if err := d.subkeys(n, a, b); err != nil {
		return nil, err
	}
	if !differs && len(n.kids) == 0 {
		return nil, nil
	}
	return n, nil
}

// values finds what the values of a key need. local is set where the whole list
// must replace the one below.
func (d *differ) values(n *diffNode, a, b Key) (local, changed bool, err error) {
	var was, is []outValue
	for v, err := range a.Values() {
		if err != nil {
			return false, false, err
		}
		was = append(was, outValue{Value: v})
	}
	for v, err := range b.Values() {
		if err != nil {
			return false, false, err
		}
		is = append(is, outValue{Value: v})
	}
	if len(was) == 0 {
		n.values = is
		return false, len(is) > 0, nil
	}
	// What a merge would give: lower order, replacements in place, new ones after.
	merged := make([]outValue, 0, len(was)+len(is))
	merged = append(merged, was...)
	kept := make([]bool, len(was))
	d.index.reset()
	twice := false
	for _, v := range is {
		i := d.index.find(was, v.Value)
		if i < 0 {
			merged = append(merged, v)
			n.values = append(n.values, v)
			continue
		}
		twice = twice || kept[i]
		kept[i] = true
		same, err := sameContent(was[i].Value, v.Value)
		if err != nil {
			return false, false, err
		}
		merged[i] = v
		if !same {
			n.values = append(n.values, v)
		}
	}
	gone := make([]outValue, 0)
	order := merged[:0:0]
	for i, v := range merged {
		if i < len(was) && !kept[i] {
			twice = twice || d.index.find(was, v.Value) != i
			gone = append(gone, outValue{was[i].Value, true})
			continue
		}
		order = append(order, v)
	}
	local = twice || len(order) != len(is) // names that occur twice cannot be told apart by name
	if !d.opt.IgnoreValueOrder {
		for i := 0; !local && i < len(is); i++ {
			local = order[i].off != is[i].off
		}
	}
	d.index.reset()
	if local {
		n.values = is
		return true, true, nil
	}
	n.values = append(n.values, gone...)
	return false, len(n.values) > 0, nil
}

// sameContent compares spelling, type and data of two values.
func sameContent(a, b Value) (bool, error) {
	nameA, latinA := a.RawName()
	nameB, latinB := b.RawName()
	if latinA != latinB || !bytes.Equal(nameA, nameB) {
		return false, nil
	}
	return sameData(a, b)
}

func (d *differ) subkeys(n *diffNode, a, b Key) error {
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

// diffPending is a key that was listed and not yet written.
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

// copyKey writes a key of a tree that is copied whole.
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
