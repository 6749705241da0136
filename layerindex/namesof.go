package layerindex

import (
	"cmp"
	"slices"
	"sort"

	"github.com/mullion/mullion/winfs"
)

// NamesOf returns all names of the file at a path, that one included; see layer.View. They
// are in the order of layer.View.Levels.
func (t *Tree) NamesOf(path string) ([]string, error) {
	i, spelled, ok := t.find(path)
	if !ok {
		return nil, missing(path, spelled)
	}
	if t.links.at(i) < 2 {
		return []string{spelled}, nil
	}
	same := func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.layers.at(a), t.layers.at(b)), cmp.Compare(t.ordinals.at(a), t.ordinals.at(b)))
	}
	if t.linked == nil {
		t.linked = []int32{}
		for k := range int32(t.head.Names) {
			if t.links.at(k) > 1 {
				t.linked = append(t.linked, k)
			}
		}
		slices.SortStableFunc(t.linked, same)
	}
	var out []string
	at, _ := slices.BinarySearchFunc(t.linked, i, same)
	for ; at < len(t.linked) && same(t.linked[at], i) == 0; at++ {
		out = append(out, t.path(t.linked[at]))
	}
	return out, nil
}

// path returns the path of the name with a number.
func (t *Tree) path(i int32) string {
	path := ""
	for i > 0 {
		path = winfs.JoinPath(t.name(i), path)
		// The directory is the last one whose content begins at or before the name.
		i = int32(sort.Search(int(t.head.Names), func(k int) bool { return t.children.at(int32(k)) > uint32(i) })) - 1
	}
	return path
}
