package layer

import (
	"hash/maphash"
	"sync"

	"github.com/mullion/mullion/winfs"
)

// Below knows which names the layers below one show, for the rules that depend on them. It
// keeps some 60 bytes for each name of all layers. The zero value knows of no layer. The
// layers are added base first, each by an [Audit] that has it.
type Below struct {
	seeds    [2]maphash.Seed
	nodes    *nameTable[belowNode]
	top      *nameTable[auditNode] // of the layer that was added last, not yet in nodes
	starting sync.Mutex            // for calls of Find at once
	layers   uint32
	lastVM   uint32 // the topmost layer that has UtilityVM\Files, 0 for none
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
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.nodes == nil {
		b.nodes = &nameTable[belowNode]{}
		b.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	b.settle()
	return b.seeds
}

// Clone returns a copy that knows the same layers and learns others.
func (b *Below) Clone() *Below {
	b.start()
	return &Below{seeds: b.seeds, nodes: b.nodes.clone(), layers: b.layers, lastVM: b.lastVM}
}

func (b *Below) keyOf(folded string) treeKey {
	return treeKey{maphash.String(b.seeds[0], folded), maphash.String(b.seeds[1], folded)}
}

// Find returns the kind of the entry that the layers show at a path, 0 if there is none.
func (b *Below) Find(path string) Kind { return b.find(winfs.Fold(path)) }

func (b *Below) find(folded string) Kind {
	b.start()
	n := b.nodes.find(b.keyOf(folded))
	if n == nil || n.added == 0 || n.deleted > n.added {
		return 0
	}
	for dir, _ := winfs.SplitPath(folded); dir != ""; dir, _ = winfs.SplitPath(dir) {
		if d := b.nodes.find(b.keyOf(dir)); d != nil && (d.deleted > n.added || d.cleared > n.added) {
			return 0
		}
	}
	return n.kind
}

// add puts the entries of one more layer over those below it. The topmost layer is often
// never asked about, so that its entries are only kept.
func (b *Below) add(nodes *nameTable[auditNode]) {
	b.start()
	b.layers++
	b.top = nodes
	vm := b.keyOf(winfs.Fold(rootUtilityFiles))
	if n := nodes.find(vm); n != nil && n.kind != 0 {
		if was := b.nodes.find(vm); n.flags&auditImplied == 0 || was == nil || was.added <= was.deleted {
			b.lastVM = b.layers
		}
	}
}

// settle adds the entries that add has kept. Their order does not matter: what a layer hides
// is in the layers below it.
func (b *Below) settle() {
	top := b.top
	if top == nil {
		return
	}
	b.top = nil
	for i := range top.named {
		a := &top.named[i].value
		n, _ := b.nodes.at(top.named[i].key)
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
	}
}
