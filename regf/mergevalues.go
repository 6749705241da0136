package regf

import "slices"

// linkValue is the name of the value that holds the target of a symbolic link.
const linkValue = "SymbolicLinkValue"

// unitedValues returns the union of the values of nodes with one name, topmost first; with
// sealed, tombstones have nothing more to hide. The list is valid until the next call.
func (m *merger) unitedValues(nodes []Key, sealed bool) ([]outValue, error) {
	if m.opt.Stepwise && sealed {
		// An intermediate result that is a symbolic link is opened as one before the next
		// merge.
		for i := len(nodes) - 1; i > 0; i-- {
			if !nodes[i].Symlink() {
				continue
			}
			values, err := m.layValues(nodes[i:], true, false)
			if err != nil {
				return nil, err
			}
			if !soundLink(values) {
				nodes = nodes[:i]
			}
		}
	}
	return m.layValues(nodes, sealed, true)
}

// layValues overlays the values of nodes. With claim their cells count as read, which
// happens once for each node.
func (m *merger) layValues(nodes []Key, sealed, claim bool) ([]outValue, error) {
	m.vals.reset()
	dead := false
	for _, k := range nodes {
		from := len(m.vals.list)
		layered := m.layered[k.w.source]
		if !claim {
			k.w = nil
		}
		for v, err := range k.Values() {
			if err != nil {
				return nil, err
			}
			o := outValue{Value: v}
			if layered && v.Flags()&vkTombstone != 0 {
				if v.Type() != 0 || v.Size() != 0 {
					continue // opening the hive drops it
				}
				o.tombstone, dead = true, true
			}
			m.vals.add(o)
		}
		if k.Symlink() && !soundLink(m.vals.list[from:]) && len(m.vals.list) > from {
			m.vals.cut(from)
		}
	}
	if dead && sealed {
		m.vals.list = slices.DeleteFunc(m.vals.list, func(v outValue) bool { return v.tombstone })
	}
	return m.vals.list, nil
}

// soundLink reports whether the values of a symbolic link survive opening the hive: there
// must be a single one, the target (golden corpus, edit/open-symlink-2).
func soundLink(list []outValue) bool {
	if len(list) != 1 || list[0].tombstone {
		return false
	}
	v := list[0].Value
	size := v.Size()
	return v.Type() == RegLink && size >= 6 && size%2 == 0 && v.Name() == linkValue
}

// valueSet is a list of values in which each name occurs once. A short list is searched;
// for a long one a map is built.
type valueSet struct {
	list  []outValue
	names map[string]struct{}
}

func (s *valueSet) reset() {
	s.list = s.list[:0]
	s.names = nil
}

// add appends a value unless the set has its name already.
func (s *valueSet) add(v outValue) {
	if s.names == nil {
		for i := range s.list {
			if s.list[i].CompareName(v.Value) == 0 {
				return
			}
		}
		s.list = append(s.list, v)
		if len(s.list) > shortList {
			s.index()
		}
		return
	}
	name := foldStored(v.RawName())
	if _, again := s.names[name]; !again {
		s.names[name] = struct{}{}
		s.list = append(s.list, v)
	}
}

func (s *valueSet) index() {
	s.names = make(map[string]struct{}, 2*len(s.list))
	for _, v := range s.list {
		s.names[foldStored(v.RawName())] = struct{}{}
	}
}

// cut removes the values from index n on.
func (s *valueSet) cut(n int) {
	s.list = s.list[:n]
	if s.names = nil; n > shortList {
		s.index()
	}
}
