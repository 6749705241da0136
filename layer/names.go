package layer

import "iter"

// ViewName is one name of a View with the place of its entry in the layers.
type ViewName struct {
	Path string
	Kind Kind // File or Dir
	// Layer is the number of the layer that the entry is from, from 0, the lowest; -1 for a
	// directory that no layer mentions.
	Layer int
	// Ordinal is the number of the entry in its layer, from 0, in the order of its reader;
	// -1 for a directory that no layer mentions.
	Ordinal int
	// Object is the same number for all names of one file, and differs from those of all
	// other files and directories; -1 for a directory that no layer mentions.
	Object int
	// Linked is set if a hard link gave the name: the entry has another path.
	Linked bool
}

// Find returns the name at a path, compared without regard to case. ok is false if there is
// none, and for the root.
func (v *View) Find(path string) (n ViewName, ok bool) {
	id, ok := v.tree.lookup(path)
	if !ok || id == 0 {
		return n, false
	}
	return v.viewName(id), true
}

func (v *View) viewName(id nodeID) ViewName {
	n := &v.tree.nodes[id]
	name := ViewName{Path: v.tree.path(id), Kind: n.kind, Layer: -1, Ordinal: -1, Object: int(n.object)}
	if n.object != noObject {
		o := &v.objects[n.object]
		name.Layer, name.Ordinal, name.Linked = int(o.layer), int(o.ordinal), o.node != id
	}
	return name
}

// Names yields all names of the view without the metadata of their entries, each directory
// before its content, in the order of NTFS.
func (v *View) Names() iter.Seq[ViewName] {
	return func(yield func(ViewName) bool) {
		stack := [][]nodeID{v.children(0)}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(*top) == 0 {
				stack = stack[:len(stack)-1]
				continue
			}
			id := (*top)[0]
			*top = (*top)[1:]
			if !yield(v.viewName(id)) {
				return
			}
			if v.tree.nodes[id].child != none {
				stack = append(stack, v.children(id))
			}
		}
	}
}
