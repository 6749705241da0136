package cimfs

import (
	"strings"

	"github.com/mullion/mullion/internal/nametree"
	"github.com/mullion/mullion/winfs"
)

// tree is the directory tree of an image that is being written. A file with one name
// takes the 104 bytes of its node, the 20 of its entry, 10 to 18 in the index, and its
// name with two bytes of length.
//
// The tree of a fork holds the new records and the names of the directories that have
// changed. Everything else is looked up in the parent image.
type tree struct {
	nodes   blocks[node]    // of FileIDs from base+1 on
	entries blocks[dirLink] // number 1 is entries.at(0); 0 is none
	names   nameArena
	index   nametree.Index // of entry numbers
	hasher  nametree.Hasher
	root    FileID
	dead    int // nodes that are not live

	lastDir   string // the directory that was looked up last
	lastDirID FileID

	old       *Image            // the parent of a fork, or nil
	base      FileID            // FileIDs up to here are the parent's
	inherited map[FileID]stream // tables of own directories that have the parent's names
	loaded    int64             // names that were read from tables of the parent
}

// node is a file or directory. The placer's goroutine fills the record, except for the
// fields streams, parent, links and reserved and the main stream of a directory, which
// belong to the caller's goroutine.
//
// An image has millions of nodes, so a node has no fields besides its record. Until the
// commit fills in the parent links, rec.links holds the heads of two lists of entries:
// in the low half the names of the file, in the high half the entries of a directory.
// rec.reserved, which is 0 in every stored record, holds the flags.
type node struct{ rec record }

// The flags of a node.
const (
	nodeDir  uint16 = 1 << iota
	nodeLink        // a directory that is a symbolic link or junction
	nodeLive        // has a name, or is the root
	nodeOld         // a copy of a record of the parent image
)

func (nd *node) is(flag uint16) bool { return nd.rec.reserved&flag != 0 }

func (nd *node) set(flag uint16, on bool) {
	nd.rec.reserved &^= flag
	if on {
		nd.rec.reserved |= flag
	}
}

// load replaces the record and the flags. The node loses its names and entries.
func (nd *node) load(rec *record, flags uint16) {
	nd.rec = *rec
	nd.rec.links, nd.rec.reserved = 0, flags
}

// names returns the first entry that names the file, 0 if there is none.
func (nd *node) names() uint32 { return uint32(nd.rec.links) }

func (nd *node) setNames(n uint32) { nd.rec.links = nd.rec.links&^0xFFFFFFFF | uint64(n) }

// kids returns the entry of a directory that was added last, 0 if there is none.
func (nd *node) kids() uint32 { return uint32(nd.rec.links >> 32) }

func (nd *node) setKids(n uint32) { nd.rec.links = nd.rec.links&0xFFFFFFFF | uint64(n)<<32 }

// dirLink is an entry: a name in a directory.
type dirLink struct {
	dir      FileID
	id       FileID // 0 when removed
	name     uint32 // in nameArena
	nextName uint32 // next entry that names the same file
	next     uint32 // next entry of the same directory, and entryOld
}

// entryOld in dirLink.next marks an entry that the parent image has. Entries have
// numbers below it.
const entryOld = 1 << 31

func (e *dirLink) nextKid() uint32 { return e.next &^ entryOld }
func (e *dirLink) old() bool       { return e.next&entryOld != 0 }
func (e *dirLink) setOld()         { e.next |= entryOld }

// found is the outcome of looking for a name. The zero value is that there is none.
type found struct {
	id   FileID
	n    uint32 // its entry, 0 if the directory's names are not in memory
	name string // as it is spelled in the image
	old  bool   // the name is of the parent image
}

func newTree() *tree { return &tree{hasher: nametree.NewHasher()} }

func (t *tree) node(id FileID) *node    { return t.nodes.at(int(id-t.base) - 1) }
func (t *tree) entry(n uint32) *dirLink { return t.entries.at(int(n) - 1) }

// own reports whether a file has a record in this image.
func (t *tree) own(id FileID) bool { return id > t.base }

func (t *tree) newNode(dir bool) (FileID, *node) {
	n := t.nodes.push(node{})
	n.set(nodeLive, true)
	n.set(nodeDir, dir)
	return t.base + FileID(t.nodes.len()), n
}

// hash returns the hash of a name in a directory, without regard to case.
func (t *tree) hash(dir FileID, name string) uint32 { return t.hasher.Hash(uint32(dir), name) }

// find looks for a name in a directory. An error is of the parent image.
func (t *tree) find(dir FileID, name string) (found, error) {
	if t.old != nil {
		if rec, ok, err := t.oldDir(dir); ok || err != nil {
			if err != nil {
				return found{}, err
			}
			return t.findOld(&rec, name)
		}
	}
	h := t.hash(dir, name)
	for n, next := t.index.Next(h, 0); n != 0; n, next = t.index.Next(h, next) {
		if e := t.entry(n); e.dir == dir && t.names.equalFold(e.name, name) {
			return found{e.id, n, t.names.get(e.name), e.old()}, nil
		}
	}
	return found{}, nil
}

// isDir reports whether a file is a directory, and whether it is one that leads
// elsewhere: a symbolic link or junction.
func (t *tree) isDir(id FileID) (dir, link bool, err error) {
	if t.own(id) {
		nd := t.node(id)
		return nd.is(nodeDir), nd.is(nodeLink), nil
	}
	var rec record
	err = t.old.readRecord(id, &rec, nil)
	return rec.isDir(), rec.isDir() && winfs.IsNameSurrogate(rec.reparseTag), err
}

// insert adds a name, which must not exist in the directory.
func (t *tree) insert(dir FileID, name string, id FileID) *dirLink {
	parent := t.node(dir)
	e := t.entries.push(dirLink{dir: dir, name: t.names.add(name), next: parent.kids()})
	n := uint32(t.entries.len())
	parent.setKids(n)
	t.attach(n, id)
	t.index.Add(t.hash(dir, name), n)
	return e
}

// attach makes an entry, which names nothing, one that names a file.
func (t *tree) attach(n uint32, id FileID) {
	e := t.entry(n)
	e.id, e.nextName = id, 0
	if t.own(id) {
		nd := t.node(id)
		e.nextName = nd.names()
		nd.setNames(n)
		t.revive(nd)
	}
}

// rename makes an entry name another file. The old file dies if that was its last
// name.
func (t *tree) rename(n uint32, id FileID) {
	e := t.entry(n)
	was := e.id
	if was == id {
		return
	}
	t.lastDir, t.lastDirID = "", 0
	t.detach(n)
	t.attach(n, id)
	if t.own(was) {
		t.bury(was)
	}
}

// remove deletes one entry; the file dies with its last name, a directory with all
// that is below it.
func (t *tree) remove(n uint32) {
	t.lastDir, t.lastDirID = "", 0
	was := t.entry(n).id
	t.cut(n)
	if t.own(was) {
		t.bury(was)
	}
}

// clear removes everything below a directory of this image.
func (t *tree) clear(id FileID) {
	t.lastDir, t.lastDirID = "", 0
	delete(t.inherited, id)
	nd := t.node(id)
	// A stack of our own: a hostile parent image may be deep.
	var stack []FileID
	for {
		for k := nd.kids(); k != 0; k = t.entry(k).nextKid() {
			was := t.entry(k).id
			if was == 0 {
				continue
			}
			t.cut(k)
			if t.own(was) && t.die(was) {
				stack = append(stack, was)
			}
		}
		nd.setKids(0)
		if len(stack) == 0 {
			return
		}
		id = stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		nd = t.node(id)
	}
}

// cut takes an entry out of its directory and away from its file.
func (t *tree) cut(n uint32) {
	e := t.entry(n)
	t.index.Remove(t.hash(e.dir, t.names.get(e.name)), n)
	t.detach(n)
	e.id = 0
}

// detach takes an entry out of the list of the names of its file.
func (t *tree) detach(n uint32) {
	e := t.entry(n)
	if !t.own(e.id) {
		return
	}
	nd := t.node(e.id)
	if nd.names() == n {
		nd.setNames(e.nextName)
		return
	}
	for k := nd.names(); k != 0; {
		other := t.entry(k)
		if other.nextName == n {
			other.nextName = e.nextName
			return
		}
		k = other.nextName
	}
}

// bury marks a file that has lost a name as dead if it has no other, and everything
// below it.
func (t *tree) bury(id FileID) {
	if t.die(id) {
		t.clear(id)
	}
}

// die marks a file without a name as dead and reports whether something may be below
// it.
func (t *tree) die(id FileID) bool {
	nd := t.node(id)
	if nd.names() != 0 || !nd.is(nodeLive) {
		return false
	}
	nd.set(nodeLive, false)
	t.dead++
	delete(t.inherited, id)
	return nd.is(nodeDir)
}

// revive takes back that a node has no name.
func (t *tree) revive(nd *node) {
	if !nd.is(nodeLive) {
		nd.set(nodeLive, true)
		t.dead--
	}
}

// drop forgets an entry during the commit, when no other function looks at it again.
// The memory of entries and names is then free for the objects that the commit makes.
func (t *tree) drop(n uint32) {
	t.names.drop(t.entry(n).name)
	t.entries.drop(int(n) - 1)
}

// empty reports whether a directory has no children.
func (t *tree) empty(id FileID) (bool, error) {
	if t.old != nil {
		if rec, ok, err := t.oldDir(id); ok || err != nil {
			if err != nil {
				return false, err
			}
			table, err := t.old.directory(&rec)
			return err == nil && (table == nil || table.count == 0), err
		}
	}
	for k := t.node(id).kids(); k != 0; k = t.entry(k).nextKid() {
		if t.entry(k).id != 0 {
			return false, nil
		}
	}
	return true, nil
}

// lookup returns the name at path, or fs.ErrNotExist or ErrNotDirectory.
func (t *tree) lookup(path string) (found, error) {
	if path == "" {
		return found{id: t.root}, nil
	}
	dir, name, err := t.parent(path)
	if err != nil {
		return found{}, err
	}
	f, err := t.find(dir, name)
	if err == nil && f.id == 0 {
		err = errNotExist
	}
	return f, err
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
		f, err := t.find(dir, part)
		if err != nil {
			return 0, "", err
		}
		if f.id == 0 {
			return 0, "", because(errNotExist, "%q", dirPath)
		}
		if is, _, err := t.isDir(f.id); err != nil {
			return 0, "", err
		} else if !is {
			return 0, "", because(ErrNotDirectory, "%q", part)
		}
		dir = f.id
	}
	t.lastDir, t.lastDirID = strings.Clone(dirPath), dir
	return dir, name, nil
}

// nameArena stores names back to back in blocks, each name after two bytes of length.
// The strings that it returns share the memory of the blocks.
type nameArena struct {
	b       []*strings.Builder
	dropped []uint32 // bytes of each block whose names were dropped
}

const (
	arenaBlock  = 64 << 10
	nameHeading = 2
)

func (a *nameArena) add(name string) uint32 {
	need := nameHeading + len(name)
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
	return b[nameHeading : nameHeading+int(b[0])+int(b[1])<<8]
}

// drop forgets a name of an arena that gets no more names. A block without names is
// freed once no string shares its memory.
func (a *nameArena) drop(at uint32) {
	if a.dropped == nil {
		a.dropped = make([]uint32, len(a.b))
	}
	block := at / arenaBlock
	a.dropped[block] += uint32(nameHeading + len(a.get(at)))
	if int(a.dropped[block]) == a.b[block].Len() {
		a.b[block] = nil
	}
}

// equalFold compares without regard to case.
func (a *nameArena) equalFold(at uint32, name string) bool {
	have := a.get(at)
	return have == name || winfs.EqualFold(have, name)
}

func (a *nameArena) full() bool { return len(a.b) >= (1<<32)/arenaBlock }
