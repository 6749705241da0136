package regf

// valueIndex finds the values of a list by name, the first of equal names first. A short
// list is searched; for a long one a map is built.
type valueIndex struct {
	byName map[string]int
	next   []int // for each value, the index of the next one with its name; 0 for none
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

// take returns the index of the first value with the name of v that was not taken before,
// and marks it as taken; -1 if there is none. Duplicates in two damaged lists are thus
// paired in order.
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

// nameSet is a set of stored names without regard to case. The first few are searched; a
// map is made for more.
type nameSet struct {
	few  [shortList]storedName
	n    int
	many map[string]struct{}
}

// add adds a name and reports whether it is new. The set retains the bytes.
func (s *nameSet) add(name []byte, latin bool) bool {
	if s.many == nil {
		for _, x := range s.few[:s.n] {
			if compareStored(x.b, x.latin, name, latin) == 0 {
				return false
			}
		}
		if s.n < len(s.few) {
			s.few[s.n] = storedName{name, latin}
			s.n++
			return true
		}
		s.many = make(map[string]struct{}, 4*len(s.few))
		for _, x := range s.few {
			s.many[foldStored(x.b, x.latin)] = struct{}{}
		}
	}
	fold := foldStored(name, latin)
	if _, twice := s.many[fold]; twice {
		return false
	}
	s.many[fold] = struct{}{}
	return true
}
