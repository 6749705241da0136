package layer

import "iter"

// LevelName is one name of a View as [View.Levels] yields it.
type LevelName struct {
	Name     string // the last component of the path, "" for the root
	Kind     Kind   // File or Dir
	Layer    int    // that the entry is from, from 0; -1 for a directory that no layer mentions
	Ordinal  int32  // number of the entry in its layer, from 0; -1 for a directory that no layer mentions
	Links    int32  // names of the file in the view, 1 for a directory
	Children int32  // number of names in the directory, 0 for a file
}

// Levels yields all names of the view without the metadata of their entries, level by level:
// the root, then the names in it, then the names in the first of those, in the second, and so
// on. The names in one directory follow each other in the order of NTFS.
func (v *View) Levels() iter.Seq[LevelName] {
	return func(yield func(LevelName) bool) {
		links := v.countNames()
		queue := []nodeID{0}
		for at := 0; at < len(queue); at++ {
			id := queue[at]
			children := v.children(id)
			queue = append(queue, children...)
			n := &v.tree.nodes[id]
			out := LevelName{Name: n.name, Kind: n.kind, Layer: -1, Ordinal: -1, Links: 1, Children: int32(len(children))}
			if n.object != noObject {
				o := &v.objects[n.object]
				out.Layer, out.Ordinal, out.Links = int(o.layer), o.ordinal, links[n.object]
			}
			if !yield(out) {
				return
			}
		}
	}
}

// countNames returns the number of living names of each object.
func (v *View) countNames() []int32 {
	counts := make([]int32, len(v.objects))
	for i := range v.tree.nodes {
		if n := &v.tree.nodes[i]; n.kind != 0 && n.object != noObject {
			counts[n.object]++
		}
	}
	return counts
}

// Limits returns those that the layers were merged under, with their defaults. Under no
// smaller ones they can be merged too.
func (v *View) Limits() Limits { return v.limits }
