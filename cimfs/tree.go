package cimfs

import (
	"hash/maphash"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// tree is the directory tree of an image that is being written: about 190 bytes
// and the name for each file.
type tree struct {
	nodes   blocks[node]    // FileID 1 is nodes.at(0)
	entries blocks[dirLink] // number 1 is entries.at(0); 0 is none
	names   nameArena
	index   hashIndex // of entry numbers
	seed    maphash.Seed
	scratch []byte
	root    FileID
	dead    int // nodes that are not live

	lastDir   string // the directory that was looked up last
	lastDirID FileID
}

// node is a file or directory. The writer's placing goroutine fills rec, all else
// belongs to the caller's goroutine.
type node struct {
	rec   record
	names uint32 // first entry that names it
	kids  uint32 // last added entry of a directory
	dir   bool
	link  bool // a directory that is a symbolic link or junction
	known bool // made here, or read from the parent image
	live  bool // has a name, or is the root
}

// dirLink is a name in a directory.
type dirLink struct {
	dir      FileID
	id       FileID // 0 when removed
	name     uint32 // in nameArena
	nextName uint32 // next entry that names the same file
	nextKid  uint32 // next entry of the same directory
	old      bool   // came from the parent image
}

func newTree() *tree { return &tree{seed: maphash.MakeSeed()} }

func (t *tree) node(id FileID) *node { return t.nodes.at(int(id) - 1) }
func (t *tree) newNode(dir bool) (FileID, *node) {
	n := t.nodes.push(node{dir: dir, known: true, live: true})
	return FileID(t.nodes.len()), n
}
func (t *tree) entry(n uint32) *dirLink { return t.entries.at(int(n) - 1) }

// hash of a name in a directory, without regard to case.
func (t *tree) hash(dir FileID, name string) uint32 {
	b := le.AppendUint32(t.scratch[:0], uint32(dir))
	for i := 0; i < len(name); i++ {
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
	t.scratch = b
	return uint32(maphash.Bytes(t.seed, b))
}

// find returns the entry number of a name in a directory, 0 if there is none.
func (t *tree) find(dir FileID, name string) uint32 {
	h := t.hash(dir, name)
	for n, next := t.index.next(h, int(h)); n != 0; n, next = t.index.next(h, next) {
		if e := t.entry(n); e.dir == dir && t.names.equalFold(e.name, name) {
			return n
		}
	}
	return 0
}

// insert adds a name, which must not exist in the directory.
func (t *tree) insert(dir FileID, name string, id FileID) *dirLink {
	parent, child := t.node(dir), t.node(id)
	e := t.entries.push(dirLink{dir: dir, id: id, name: t.names.add(name), nextName: child.names, nextKid: parent.kids})
	n := uint32(t.entries.len())
	child.names, parent.kids = n, n
	t.index.add(t.hash(dir, name), n)
	return e
}

// remove deletes one entry; the file dies with its last name, a directory with all
// that is below it.
func (t *tree) remove(n uint32) {
	t.lastDir, t.lastDirID = "", 0
	// A stack of our own: a hostile parent image may be deep.
	for stack := []uint32{n}; len(stack) > 0; {
		n, stack = stack[len(stack)-1], stack[:len(stack)-1]
		e := t.entry(n)
		if e.id == 0 {
			continue
		}
		id := e.id
		t.index.remove(t.hash(e.dir, t.names.get(e.name)), n)
		e.id = 0
		nd := t.node(id)
		// Cut the entry out of the list of the names of its file.
		for p := &nd.names; *p != 0; p = &t.entry(*p).nextName {
			if *p == n {
				*p = e.nextName
				break
			}
		}
		if nd.names != 0 {
			continue
		}
		nd.live = false
		t.dead++
		if nd.dir {
			for k := nd.kids; k != 0; k = t.entry(k).nextKid {
				stack = append(stack, k)
			}
		}
	}
}

// revive takes back that a node has no name.
func (t *tree) revive(nd *node) {
	if !nd.live {
		nd.live = true
		t.dead--
	}
}

// empty reports whether a directory has no children.
func (t *tree) empty(nd *node) bool {
	for k := nd.kids; k != 0; k = t.entry(k).nextKid {
		if t.entry(k).id != 0 {
			return false
		}
	}
	return true
}

// lookup returns the FileID at path, or fs.ErrNotExist or ErrNotDirectory.
func (t *tree) lookup(path string) (FileID, error) {
	if path == "" {
		return t.root, nil
	}
	if path == t.lastDir && t.lastDirID != 0 {
		return t.lastDirID, nil
	}
	dir, name, err := t.parent(path)
	if err != nil {
		return 0, err
	}
	if n := t.find(dir, name); n != 0 {
		return t.entry(n).id, nil
	}
	return 0, errNotExist
}

// parent returns the directory of path and the last component.
func (t *tree) parent(path string) (FileID, string, error) {
	i := strings.LastIndexByte(path, '\\')
	if i < 0 {
		return t.root, path, nil
	}
	dirPath, name := path[:i], path[i+1:]
	if dirPath == t.lastDir && t.lastDirID != 0 {
		return t.lastDirID, name, nil
	}
	dir := t.root
	for rest, more := dirPath, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, `\`)
		n := t.find(dir, part)
		if n == 0 {
			return 0, "", because(errNotExist, "%q", dirPath)
		}
		dir = t.entry(n).id
		if !t.node(dir).dir {
			return 0, "", because(ErrNotDirectory, "%q", part)
		}
	}
	t.lastDir, t.lastDirID = strings.Clone(dirPath), dir
	return dir, name, nil
}

// nameArena keeps names one behind the other, each with its length before it. What is
// returned of them lies where they are.
type nameArena struct {
	b []*strings.Builder
}

const arenaBlock = 64 << 10

func (a *nameArena) add(name string) uint32 {
	need := 2 + len(name)
	if len(a.b) == 0 || a.b[len(a.b)-1].Len()+need > arenaBlock {
		b := new(strings.Builder)
		b.Grow(arenaBlock)
		a.b = append(a.b, b)
	}
	block := len(a.b) - 1
	b := a.b[block]
	at := uint32(block*arenaBlock + b.Len())
	b.WriteByte(byte(len(name)))
	b.WriteByte(byte(len(name) >> 8))
	b.WriteString(name)
	return at
}

func (a *nameArena) get(at uint32) string {
	b := a.b[at/arenaBlock].String()[at%arenaBlock:]
	return b[2 : 2+int(b[0])+int(b[1])<<8]
}

// equalFold compares without regard to case.
func (a *nameArena) equalFold(at uint32, name string) bool {
	have := a.get(at)
	return have == name || winfs.EqualFold(have, name)
}

func (a *nameArena) full() bool { return len(a.b) >= (1<<32)/arenaBlock }
