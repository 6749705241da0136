package layer

import "io/fs"

// NamesOf returns all names of the file at a path, that one included, in the order in which
// the layers brought them. A directory has one.
func (v *View) NamesOf(path string) ([]string, error) {
	id, ok := v.tree.lookup(path)
	if !ok {
		return nil, &Error{Op: "lookup", Entry: path, Offset: -1, Err: fs.ErrNotExist}
	}
	n := &v.tree.nodes[id]
	if n.object == noObject || n.kind == Dir {
		return []string{v.tree.path(id)}, nil
	}
	var out []string
	for name := v.objects[n.object].names; name != none; name = v.tree.nodes[name].next {
		out = append(out, v.tree.path(name))
	}
	return out, nil
}
