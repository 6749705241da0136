package layerindex

import (
	"fmt"
	"sort"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The methods in this file find names by number, from 0, the root, for programs that keep
// numbers and not paths. Unlike the others they may be called from several goroutines at
// once. A number must be below that of Len.

// Len returns how many names there are.
func (t *Tree) Len() int32 { return int32(t.head.Names) }

// NameAt returns the last component of a path. It is ErrDamaged if that is no name of a file.
func (t *Tree) NameAt(i int32) (string, error) {
	name := t.name(i)
	if err := winfs.ValidateComponent(name); err != nil {
		return "", &layer.Error{Op: "lookup", Entry: name, Offset: -1, Err: fmt.Errorf("%w: %w", ErrDamaged, err)}
	}
	return name, nil
}

// NamesIn returns the numbers of the names in a directory, sorted as NTFS lists them: from
// first to before last.
func (t *Tree) NamesIn(i int32) (first, last int32) { return t.in(i) }

// Find returns the number of a name in a directory, compared without regard to case.
func (t *Tree) Find(dir int32, name string) (int32, bool) {
	first, last := t.in(dir)
	k := first + int32(sort.Search(int(last-first), func(k int) bool { return winfs.CompareFold(t.name(first+int32(k)), name) >= 0 }))
	return k, k < last && winfs.EqualFold(t.name(k), name)
}

// KindAt returns layer.File or layer.Dir.
func (t *Tree) KindAt(i int32) layer.Kind { return t.kind(i) }

// LinksAt returns how many names the file of a name has.
func (t *Tree) LinksAt(i int32) int { return int(t.links.at(i)) }

// PlaceAt returns the number of the layer that the entry of a name is from, and that of the
// entry in it, both from 0; -1 for a directory that no layer mentions.
func (t *Tree) PlaceAt(i int32) (number int, ordinal int32) {
	return int(t.layers.at(i)&^treeFile) - 1, t.ordinal(i)
}

// ItemAt returns what Lookup returns for a name, whose path is put together for it.
func (t *Tree) ItemAt(i int32) (*layer.Item, error) { return t.item(i, t.pathAt(i)) }

// pathAt returns the path of a name: the directory of each is the last whose names begin at
// or before it.
func (t *Tree) pathAt(i int32) string {
	path := ""
	for i > 0 {
		path = winfs.JoinPath(t.name(i), path)
		above := int32(sort.Search(int(i), func(k int) bool { return t.children.at(int32(k)+1) > uint32(i) }))
		i = above
	}
	return path
}
