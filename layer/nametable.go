package layer

import (
	"slices"

	"github.com/mullion/mullion/internal/nametree"
)

// nameTable maps keys of paths to values. Almost every entry of a layer is a new name, and
// most are never asked about: the values lie in the order of their addition, and only the
// small index is accessed at random. Keys are hashes with a secret seed, so that nobody can
// make them meet.
type nameTable[V any] struct {
	index nametree.Index // of positions in named, counted from 1
	named []named[V]
}

type named[V any] struct {
	key   treeKey
	value V
}

// find returns the value of a key, nil if there is none. It is valid until the next call of
// at.
func (t *nameTable[V]) find(k treeKey) *V {
	h := uint32(k[0])
	for n, skip := t.index.Next(h, 0); n != 0; n, skip = t.index.Next(h, skip) {
		if x := &t.named[n-1]; x.key == k {
			return &x.value
		}
	}
	return nil
}

// at returns the value of a key, which is added if there is none. It is valid until the next
// call.
func (t *nameTable[V]) at(k treeKey) (v *V, added bool) {
	if v := t.find(k); v != nil {
		return v, false
	}
	t.named = append(t.named, named[V]{key: k})
	t.index.Add(uint32(k[0]), uint32(len(t.named)))
	return &t.named[len(t.named)-1].value, true
}

func (t *nameTable[V]) clone() *nameTable[V] {
	return &nameTable[V]{index: t.index.Clone(), named: slices.Clone(t.named)}
}
