package layer

import (
	"hash/maphash"
	"maps"

	"github.com/mullion/mullion/winfs"
)

// Below knows which names the layers below one show, for the rules that depend on them. It
// keeps some 40 bytes for each name of all layers. The zero value knows of no layer. The
// layers are added base first, each by an [Audit] that has it.
type Below struct {
	seeds  [2]maphash.Seed
	nodes  map[treeKey]belowNode
	layers uint32
	lastVM uint32 // the topmost layer that has UtilityVM\Files, 0 for none
}

// belowNode is a name. Layers count from 1.
type belowNode struct {
	added   uint32 // the last layer that has an entry for it
	deleted uint32 // the last that hides it and everything under it in the layers below
	cleared uint32 // the last that hides everything under it
	kind    Kind
}

// start prepares for one more layer and returns the seeds of keys.
func (b *Below) start() [2]maphash.Seed {
	if b.nodes == nil {
		b.nodes = map[treeKey]belowNode{}
		b.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	return b.seeds
}

// Clone returns a copy that knows the same layers and learns others.
func (b *Below) Clone() *Below {
	b.start()
	c := *b
	c.nodes = maps.Clone(b.nodes)
	return &c
}

func (b *Below) keyOf(folded string) treeKey {
	return treeKey{maphash.String(b.seeds[0], folded), maphash.String(b.seeds[1], folded)}
}

// Find returns the kind of the entry that the layers show at a path, 0 if there is none.
func (b *Below) Find(path string) Kind { return b.find(winfs.Fold(path)) }

func (b *Below) find(folded string) Kind {
	n := b.nodes[b.keyOf(folded)]
	if n.added == 0 || n.deleted > n.added {
		return 0
	}
	for dir, _ := winfs.SplitPath(folded); dir != ""; dir, _ = winfs.SplitPath(dir) {
		if d := b.nodes[b.keyOf(dir)]; d.deleted > n.added || d.cleared > n.added {
			return 0
		}
	}
	return n.kind
}

// add puts the entries of one more layer over those below it. Their order does not matter:
// what a layer hides is in the layers below it.
func (b *Below) add(nodes map[treeKey]auditNode) {
	b.start()
	b.layers++
	for k, a := range nodes {
		n := b.nodes[k]
		if a.flags&auditWhiteout != 0 {
			n.deleted = b.layers
		}
		if a.flags&auditOpaque != 0 {
			n.cleared = b.layers
		}
		switch {
		case a.kind == 0, a.flags&auditImplied != 0 && n.added > n.deleted:
		default:
			if a.kind != Dir {
				n.deleted = b.layers // what was under a directory of this name
			}
			n.added, n.kind = b.layers, a.kind
		}
		b.nodes[k] = n
	}
	if n := b.nodes[b.keyOf(winfs.Fold(rootUtilityFiles))]; n.added == b.layers {
		b.lastVM = b.layers
	}
}
