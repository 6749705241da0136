package layerdir

import (
	"strings"

	"github.com/mullion/mullion/internal/nametree"
	"github.com/mullion/mullion/winfs"
)

// NodeID numbers the nodes of a tree; 0 is the root.
type NodeID int32

// NoNode is the result of a failed look-up, and the end of a list: the root is no child.
const NoNode NodeID = 0

type nodeFlag uint16

const (
	NodeDir      nodeFlag = 1 << iota // a directory
	NodeFile                          // a file, with or without reparse data
	NodeLink                          // another name of a file
	NodeOwn                           // an entry of this layer, not implied or cloned
	NodeReparse                       // carries reparse data: nothing may lie below
	NodeWhiteout                      // hides this path of the layers below
	NodeOpaque                        // hides the children that the layers below have
	NodeCloned                        // cloned from the parent's utility VM
	nodeSpelled                       // has a host name that is not its name
	NodeHost                          // exists on the host
	NodeSeen                          // returned by the reader
	nodeBelow                         // a link that comes before the entry at its target

	nodeObject = NodeDir | NodeFile | NodeLink
)

// node is one name in a layer. A layer has up to millions of them, so that a node
// is 40 bytes; the index adds about 11.
type node struct {
	Name    string
	Parent  NodeID
	child   NodeID // last child added
	sibling NodeID // child of the same parent added before
	links   int16  // further names made on the host for this file
	Flags   nodeFlag
	Value   int64 // for the owner of the tree: an offset or a number
}

// Tree is the set of names of a layer, in which names that differ in case are
// the same. It holds no paths, only components.
type Tree struct {
	chunks [][]node
	Count  int
	index  nametree.Index // of node numbers; the root has none
	hasher nametree.Hasher
}

// treeChunk nodes are allocated together, so that growth never copies.
const treeChunk = 1 << 12

// NewTree returns a tree with nothing but its root.
func NewTree() *Tree {
	t := &Tree{hasher: nametree.NewHasher()}
	t.push(node{Flags: NodeDir | NodeHost})
	return t
}

func (t *Tree) push(n node) NodeID {
	if t.Count%treeChunk == 0 {
		size := treeChunk
		if t.Count == 0 {
			size = 64 // most trees of tests and of upper layers are small
		}
		t.chunks = append(t.chunks, make([]node, 0, size))
	}
	c := &t.chunks[len(t.chunks)-1]
	*c = append(*c, n)
	t.Count++
	return NodeID(t.Count - 1)
}

// At returns a node.
func (t *Tree) At(id NodeID) *node { return &t.chunks[id/treeChunk][id%treeChunk] }

// Find returns the child of parent with that name in any case, or NoNode. If there are
// several, which a host that distinguishes case allows in the utility VM of a parent layer,
// it returns the newest.
func (t *Tree) Find(parent NodeID, name string) NodeID {
	h, found := t.hasher.Hash(uint32(parent), name), NoNode
	for i, skip := t.index.Next(h, 0); i != 0; i, skip = t.index.Next(h, skip) {
		id := NodeID(i)
		if id <= found {
			continue
		}
		if n := t.At(id); n.Parent == parent && (n.Name == name || winfs.EqualFold(n.Name, name)) {
			found = id
		}
	}
	return found
}

// Add makes a child. The caller has looked for its name before, or accepts several nodes
// with the name.
func (t *Tree) Add(parent NodeID, name string, flags nodeFlag) NodeID {
	id := t.push(node{Name: name, Parent: parent, sibling: t.At(parent).child, Flags: flags})
	t.At(parent).child = id
	t.index.Add(t.hasher.Hash(uint32(parent), name), uint32(id))
	return id
}

// FindPath returns the node at a path, or NoNode. The root has the empty path.
func (t *Tree) FindPath(path string) (NodeID, bool) {
	id := NodeID(0)
	for path != "" {
		var c string
		c, path, _ = strings.Cut(path, `\`)
		if id = t.Find(id, c); id == NoNode {
			return NoNode, false
		}
	}
	return id, true
}

// AddPath returns the node at a path. Missing nodes are made without flags.
func (t *Tree) AddPath(path string) NodeID {
	id := NodeID(0)
	for path != "" {
		var c string
		c, path, _ = strings.Cut(path, `\`)
		next := t.Find(id, c)
		if next == NoNode {
			// The name must not keep a whole path alive.
			next = t.Add(id, strings.Clone(c), 0)
		}
		id = next
	}
	return id
}

// Path returns the path of a node.
func (t *Tree) Path(id NodeID) string {
	if id == 0 {
		return ""
	}
	n := 0
	for i := id; i != 0; i = t.At(i).Parent {
		n += len(t.At(i).Name) + 1
	}
	b := make([]byte, n-1)
	for i := id; i != 0; i = t.At(i).Parent {
		s := t.At(i).Name
		n -= len(s) + 1
		copy(b[n:], s)
		if n > 0 {
			b[n-1] = '\\'
		}
	}
	return string(b)
}

// Children calls f for every child, oldest last, until it returns false.
func (t *Tree) Children(id NodeID, f func(NodeID) bool) {
	for c := t.At(id).child; c != NoNode; {
		next := t.At(c).sibling
		if !f(c) {
			return
		}
		c = next
	}
}
