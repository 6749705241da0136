package wclayer

import (
	"hash/maphash"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// nodeID numbers the nodes of a tree; 0 is the root.
type nodeID int32

// noNode is the answer of a failed lookup. As a link in a list it is its end,
// because the root is nobody's child.
const noNode nodeID = 0

type nodeFlag uint16

const (
	nodeDir      nodeFlag = 1 << iota // a directory
	nodeFile                          // a file, with or without reparse data
	nodeLink                          // another name of a file
	nodeOwn                           // an entry of this layer, not implied or cloned
	nodeReparse                       // carries reparse data: nothing may lie below
	nodeWhiteout                      // hides this path of the layers below
	nodeOpaque                        // hides the children that the layers below have
	nodeCloned                        // stands here because the parent's utility VM has it
	nodeSpelled                       // has a host name that is not its name
	nodeHost                          // exists on the host
	nodeSeen                          // returned by the reader
	nodeBelow                         // a link that comes before what this layer has at its target

	nodeObject = nodeDir | nodeFile | nodeLink
)

// node is one name in a layer. A layer has up to millions of them, so that a node
// is 48 bytes and the lookup table 12 more.
type node struct {
	name    string
	parent  nodeID
	next    nodeID // next node with the same hash
	child   nodeID // last child added
	sibling nodeID // child of the same parent added before
	links   int32  // further names made on the host for this file
	flags   nodeFlag
	value   int64 // what the owner of the tree keeps: an offset, a number
}

// tree is the set of names of a layer, in which names that differ in case are
// the same. It holds no paths, only components.
type tree struct {
	chunks [][]node
	count  int
	table  map[uint64]nodeID
	seed   maphash.Seed // hash order never shows in any output
}

// treeChunk nodes are allocated together, so that growth never copies.
const treeChunk = 1 << 12

func newTree() *tree {
	t := &tree{table: make(map[uint64]nodeID), seed: maphash.MakeSeed()}
	t.push(node{flags: nodeDir | nodeHost})
	return t
}

func (t *tree) push(n node) nodeID {
	if t.count%treeChunk == 0 {
		size := treeChunk
		if t.count == 0 {
			size = 64 // most trees of tests and of upper layers are small
		}
		t.chunks = append(t.chunks, make([]node, 0, size))
	}
	c := &t.chunks[len(t.chunks)-1]
	*c = append(*c, n)
	t.count++
	return nodeID(t.count - 1)
}

func (t *tree) at(id nodeID) *node { return &t.chunks[id/treeChunk][id%treeChunk] }

func (t *tree) hash(parent nodeID, name string) uint64 {
	var buf [256]byte
	b := append(buf[:0], byte(parent), byte(parent>>8), byte(parent>>16), byte(parent>>24))
	for i := range len(name) {
		c := name[i]
		if c >= 0x80 {
			b = append(b[:4], winfs.Fold(name)...)
			break
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return maphash.Bytes(t.seed, b)
}

// find returns the child of parent with that name in any case, or noNode.
func (t *tree) find(parent nodeID, name string) nodeID {
	id := t.table[t.hash(parent, name)]
	for id != noNode {
		n := t.at(id)
		if n.parent == parent && (n.name == name || winfs.EqualFold(n.name, name)) {
			return id
		}
		id = n.next
	}
	return noNode
}

// add makes a child. The caller has looked for it before.
func (t *tree) add(parent nodeID, name string, flags nodeFlag) nodeID {
	h := t.hash(parent, name)
	p := t.at(parent)
	id := t.push(node{name: name, parent: parent, next: t.table[h], sibling: p.child, flags: flags})
	t.table[h] = id
	t.at(parent).child = id
	return id
}

// findPath returns the node at a path, or noNode. The root has the empty path.
func (t *tree) findPath(path string) (nodeID, bool) {
	id := nodeID(0)
	for path != "" {
		var c string
		c, path, _ = strings.Cut(path, `\`)
		if id = t.find(id, c); id == noNode {
			return noNode, false
		}
	}
	return id, true
}

// addPath returns the node at a path, making what is missing without flags.
func (t *tree) addPath(path string) nodeID {
	id := nodeID(0)
	for path != "" {
		var c string
		c, path, _ = strings.Cut(path, `\`)
		next := t.find(id, c)
		if next == noNode {
			// The name must not keep a whole path alive.
			next = t.add(id, strings.Clone(c), 0)
		}
		id = next
	}
	return id
}

// path returns the path of a node.
func (t *tree) path(id nodeID) string {
	if id == 0 {
		return ""
	}
	n := 0
	for i := id; i != 0; i = t.at(i).parent {
		n += len(t.at(i).name) + 1
	}
	b := make([]byte, n-1)
	for i := id; i != 0; i = t.at(i).parent {
		s := t.at(i).name
		n -= len(s) + 1
		copy(b[n:], s)
		if n > 0 {
			b[n-1] = '\\'
		}
	}
	return string(b)
}

// children calls f for every child, oldest last, until it returns false.
func (t *tree) children(id nodeID, f func(nodeID) bool) {
	for c := t.at(id).child; c != noNode; {
		next := t.at(c).sibling
		if !f(c) {
			return
		}
		c = next
	}
}
