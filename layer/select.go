package layer

// Select is Reader for a part of the view: the entries at and below the paths, and the
// directories above them. A file comes under the first of its names that is selected, and
// then under the others as a hard link. A path that does not exist is an error as from
// Lookup. A layer from which nothing is selected is not read again; any other is read to
// its end, so that whatever it verifies there holds for what was selected.
func (v *View) Select(paths ...string) (Reader, error) {
	r := v.Reader().(*unionReader)
	r.selected = make([]uint64, len(r.emitted))
	r.wanted = make([]bool, len(v.sources))
	for _, path := range paths {
		id, ok := v.tree.lookup(path)
		if !ok {
			_, err := v.Lookup(path)
			return nil, err
		}
		stack := []nodeID{id}
		for len(stack) > 0 {
			id := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			r.selected[id/64] |= 1 << (id % 64)
			if n := &v.tree.nodes[id]; n.object != noObject && n.kind != 0 {
				r.wanted[v.objects[n.object].layer] = true
			}
			stack = append(stack, v.children(id)...)
		}
	}
	return r, nil
}

// isSelected reports whether a name belongs to the selection of Select, or whether there is
// none.
func (r *unionReader) isSelected(id nodeID) bool {
	return r.selected == nil || r.selected[id/64]&(1<<(id%64)) != 0
}
