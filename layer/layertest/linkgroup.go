package layertest

import (
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// sharedMetadata sets the attributes and times of links to those of their File in the list,
// as in a format that keeps one record for all names of a file.
func sharedMetadata(list []Item) {
	files := map[string]*Item{}
	for i := range list {
		if list[i].Kind == layer.File {
			files[winfs.Fold(list[i].Path)] = &list[i]
		}
	}
	for i := range list {
		it := &list[i]
		if f := files[winfs.Fold(it.Target)]; it.Kind == layer.Link && f != nil && it.Attributes == 0 && it.Times == (winfs.Times{}) {
			it.Attributes, it.Times = f.Attributes, f.Times
		}
	}
}

// firstNames makes the first name of every file, in the order of the sorted list, the File,
// and the others links to it. A format that keeps no order cannot record which of several
// names came first.
func firstNames(list []Item) {
	at := map[string]int{}
	for i := range list {
		if list[i].Kind == layer.File || list[i].Kind == layer.Link {
			at[winfs.Fold(list[i].Path)] = i
		}
	}
	file := func(i int) int { // the File at the end of a chain of links, -1 if there is none
		for range list {
			if list[i].Kind == layer.File {
				return i
			}
			next, ok := at[winfs.Fold(list[i].Target)]
			if !ok {
				return -1
			}
			i = next
		}
		return -1
	}
	groups := map[int][]int{}
	for i := range list {
		if list[i].Kind == layer.Link {
			if f := file(i); f >= 0 {
				groups[f] = append(groups[f], i)
			}
		}
	}
	for f, links := range groups {
		if first := links[0]; first < f { // links are in the order of the list
			a, b := list[f].Path, list[first].Path
			list[f], list[first] = list[first], list[f]
			list[f].Path, list[first].Path = a, b
			links[0] = f
			f = first
		}
		for _, l := range links {
			list[l].Target = list[f].Path
		}
	}
}
