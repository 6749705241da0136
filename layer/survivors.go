package layer

import "iter"

// Object is what one entry of a layer, a File or a Dir, adds to a view.
type Object struct {
	Path  string // that of the entry, as the view spells it
	Kind  Kind
	Layer int // from 0, the lowest
	Entry int // number of the entry in its layer, from 0, entries of every kind counted
	// Names is the number of names in the view, 0 if layers above have replaced or hidden
	// the object.
	Names int
	// Replaced reports that something else has the path in the view, and Hidden that
	// nothing has. Neither is set if the object has it.
	Replaced, Hidden bool
}

// Objects yields what the entries of all layers have added, the lowest layer first, each
// layer in its own order, whether it is part of the view or not.
func (v *View) Objects() iter.Seq[Object] {
	return func(yield func(Object) bool) {
		for i := range v.objects {
			o := &v.objects[i]
			out := Object{Path: v.tree.path(o.node), Kind: o.kind, Layer: int(o.layer), Entry: int(o.ordinal)}
			for name := o.names; name != none; name = v.tree.nodes[name].next {
				out.Names++
			}
			switch n := &v.tree.nodes[o.node]; {
			case n.kind == 0:
				out.Hidden = true
			case n.object != int32(i):
				out.Replaced = true
			}
			if !yield(out) {
				return
			}
		}
	}
}
