package layer

import (
	"strings"

	"github.com/mullion/mullion/internal/nametree"
	"github.com/mullion/mullion/winfs"
)

// nodeID numbers the nodes of a tree; 0 is the root, none is no node.
type nodeID int32

const none nodeID = -1

// node is one name in a tree. It is kept small: the index of a union holds one
// for each name that any layer ever gave.
type node struct {
	name    string
	parent  nodeID
	child   nodeID // first child, newest first
	sibling nodeID // next child of the same parent
	object  int32  // index of what is at the name, noObject for an implied directory
	next    nodeID // next name of the same object
	layer   int16  // that gave the object
	cleared int16  // layer whose whiteouts have been applied to everything below
	kind    Kind   // File, Dir, or 0 when nothing is here (any more)
	flags   nodeFlags
}

type nodeFlags uint8

const (
	// nodeSurrogate marks a symbolic link or junction: nothing is below it.
	nodeSurrogate nodeFlags = 1 << iota
	// nodeConflict marks a file of a lower layer under which this layer has put
	// something: wrong, unless the layer also says that the file goes away.
	nodeConflict
)

const noObject int32 = -1

// tree finds names without regard to case, in constant time. A removed node stays, with
// the kind 0, and is used again for its name.
type tree struct {
	nodes  []node
	index  nametree.Index // of node numbers; the root has none
	hasher nametree.Hasher
}

func newTree() *tree {
	t := &tree{hasher: nametree.NewHasher()}
	t.nodes = append(t.nodes, node{parent: none, child: none, sibling: none, object: noObject, next: none, kind: Dir, layer: -1, cleared: -1})
	return t
}

// childOf finds a name, of a node that is there or was removed.
func (t *tree) childOf(parent nodeID, name string) (nodeID, bool) {
	return t.childAt(t.hash(parent, name), parent, name)
}

// hash returns the hash under which the index has a name.
func (t *tree) hash(parent nodeID, name string) uint32 { return t.hasher.Hash(uint32(parent), name) }

// childAt is childOf where the hash is known.
func (t *tree) childAt(h uint32, parent nodeID, name string) (nodeID, bool) {
	for n, skip := t.index.Next(h, 0); n != 0; n, skip = t.index.Next(h, skip) {
		if c := &t.nodes[n]; c.parent == parent && (c.name == name || winfs.EqualFold(c.name, name)) {
			return nodeID(n), true
		}
	}
	return none, false
}

// add makes a node at which nothing is yet. The parent must not have the name, of which h is
// the hash.
func (t *tree) add(h uint32, parent nodeID, name string, layer int) nodeID {
	id := nodeID(len(t.nodes))
	t.nodes = append(t.nodes, node{
		name: strings.Clone(name), parent: parent, child: none, sibling: t.nodes[parent].child,
		object: noObject, next: none, layer: int16(layer), cleared: int16(layer),
	})
	t.nodes[parent].child = id
	t.index.Add(h, uint32(id))
	return id
}

// lookup finds a living node by path.
func (t *tree) lookup(path string) (nodeID, bool) {
	id := nodeID(0)
	for path != "" {
		name, rest, _ := strings.Cut(path, `\`)
		next, ok := t.childOf(id, name)
		if !ok || t.nodes[next].kind == 0 {
			return none, false
		}
		id, path = next, rest
	}
	return id, true
}

// path returns the path of a node, with the spelling of its names.
func (t *tree) path(id nodeID) string {
	n := 0
	for i := id; i > 0; i = t.nodes[i].parent {
		n += len(t.nodes[i].name) + 1
	}
	if n == 0 {
		return ""
	}
	b := make([]byte, n-1)
	at := n - 1
	for i := id; i > 0; i = t.nodes[i].parent {
		at -= len(t.nodes[i].name)
		copy(b[at:], t.nodes[i].name)
		if at > 0 {
			at--
			b[at] = '\\'
		}
	}
	return string(b)
}

// hideBelow removes everything that layers below the given one have under a
// node. What the layer itself has put there stays, and so do the directories
// that lead to it, which then are implied ones. Each node is visited at most twice
// for each layer, whatever the number of whiteouts.
func (t *tree) hideBelow(top nodeID, layer int) {
	if t.nodes[top].cleared == int16(layer) {
		return
	}
	t.nodes[top].cleared = int16(layer)
	// First down, marking and collecting; then up, so that a directory is decided
	// when its children are.
	var order []nodeID
	stack := []nodeID{top}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for c := t.nodes[id].child; c != none; c = t.nodes[c].sibling {
			n := &t.nodes[c]
			if n.kind == 0 {
				continue
			}
			// What is below a cleared node has been decided, but not the node itself: an
			// opaque whiteout clears a directory that a whiteout above it hides later.
			order = append(order, c)
			if n.cleared != int16(layer) {
				n.cleared = int16(layer)
				stack = append(stack, c)
			}
		}
	}
	for i := len(order) - 1; i >= 0; i-- {
		t.hide(order[i], layer)
	}
}

// hide removes a node of a lower layer, unless it is needed as a directory. The
// node remembers the object, for the sake of hard links of the same layer to it.
func (t *tree) hide(id nodeID, layer int) {
	n := &t.nodes[id]
	if n.layer == int16(layer) && n.object != noObject {
		return
	}
	n.kind, n.layer = 0, int16(layer)
	for c := n.child; c != none; c = t.nodes[c].sibling {
		if t.nodes[c].kind != 0 {
			n.kind, n.object, n.flags = Dir, noObject, 0
			return
		}
	}
}
