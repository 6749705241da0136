package cimfs

import (
	"hash/maphash"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// tree is the directory tree of an image that is being written: about 190 bytes
// and the name for each file.
//
// In a fork it holds the records that are new and the names of the directories that
// have changed. Everything else stays in the parent image, where it is looked up.
type tree struct {
	nodes   blocks[node]    // of FileIDs from base+1 on
	entries blocks[dirLink] // number 1 is entries.at(0); 0 is none
	names   nameArena
	index   hashIndex // of entry numbers
	seed    maphash.Seed
	scratch []byte
	root    FileID
	dead    int // nodes that are not live

	lastDir   string // the directory that was looked up last
	lastDirID FileID

	old       *Image            // the parent of a fork, or nil
	base      FileID            // FileIDs up to here are the parent's
	inherited map[FileID]stream // tables of own directories that have the parent's names
	loaded    int64             // names that were read from tables of the parent
}

// node is a file or directory. The writer's placing goroutine fills rec, but for the
// fields streams, parent and links and the main stream of a directory. All else belongs
// to the caller's goroutine.
type node struct {
	rec   record
	names uint32 // first entry that names it
	kids  uint32 // last added entry of a directory
	dir   bool
	link  bool // a directory that is a symbolic link or junction
	known bool // made here, or read from the image that is being rewritten
	live  bool // has a name, or is the root
	old   bool // a copy of a record of the parent image
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

// found is the outcome of looking for a name. The zero value is that there is none.
type found struct {
	id   FileID
	n    uint32 // its entry, 0 if the directory's names are not in memory
	name string // as it is spelled in the image
	old  bool   // the name is of the parent image
}

func newTree() *tree { return &tree{seed: maphash.MakeSeed()} }

func (t *tree) node(id FileID) *node    { return t.nodes.at(int(id-t.base) - 1) }
func (t *tree) entry(n uint32) *dirLink { return t.entries.at(int(n) - 1) }

// own reports whether a file has a record in this image.
func (t *tree) own(id FileID) bool { return id > t.base }

func (t *tree) newNode(dir bool) (FileID, *node) {
	n := t.nodes.push(node{dir: dir, known: true, live: true})
	return t.base + FileID(t.nodes.len()), n
}

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
	for n, next := t.index.next(h, int(h)); n != 0; n, next = t.index.next(h, next) {
		if e := t.entry(n); e.dir == dir && t.names.equalFold(e.name, name) {
			return found{e.id, n, t.names.get(e.name), e.old}, nil
		}
	}
	return found{}, nil
}

// isDir reports whether a file is a directory, and whether it is one that leads
// elsewhere: a symbolic link or junction.
func (t *tree) isDir(id FileID) (dir, link bool, err error) {
	if t.own(id) {
		nd := t.node(id)
		return nd.dir, nd.link, nil
	}
	var rec record
	err = t.old.readRecord(id, &rec, nil)
	return rec.isDir(), rec.isDir() && winfs.IsNameSurrogate(rec.reparseTag), err
}

// insert adds a name, which must not exist in the directory.
func (t *tree) insert(dir FileID, name string, id FileID) *dirLink {
	parent := t.node(dir)
	e := t.entries.push(dirLink{dir: dir, name: t.names.add(name), nextKid: parent.kids})
	n := uint32(t.entries.len())
	parent.kids = n
	t.attach(n, id)
	t.index.add(t.hash(dir, name), n)
	return e
}

// attach makes an entry, which names nothing, one that names a file.
func (t *tree) attach(n uint32, id FileID) {
	e := t.entry(n)
	e.id, e.nextName = id, 0
	if t.own(id) {
		nd := t.node(id)
		e.nextName, nd.names = nd.names, n
		t.revive(nd)
	}
}

// rename makes an entry name another file. What it named dies if that was its last
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
		for k := nd.kids; k != 0; k = t.entry(k).nextKid {
			was := t.entry(k).id
			if was == 0 {
				continue
			}
			t.cut(k)
			if t.own(was) && t.die(was) {
				stack = append(stack, was)
			}
		}
		nd.kids = 0
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
	t.index.remove(t.hash(e.dir, t.names.get(e.name)), n)
	t.detach(n)
	e.id = 0
}

// detach takes an entry out of the list of the names of its file.
func (t *tree) detach(n uint32) {
	e := t.entry(n)
	if !t.own(e.id) {
		return
	}
	for p := &t.node(e.id).names; *p != 0; p = &t.entry(*p).nextName {
		if *p == n {
			*p = e.nextName
			break
		}
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
	if nd.names != 0 || !nd.live {
		return false
	}
	nd.live = false
	t.dead++
	delete(t.inherited, id)
	return nd.dir
}

// revive takes back that a node has no name.
func (t *tree) revive(nd *node) {
	if !nd.live {
		nd.live = true
		t.dead--
	}
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
	for k := t.node(id).kids; k != 0; k = t.entry(k).nextKid {
		if t.entry(k).id != 0 {
			return false, nil
		}
	}
	return true, nil
}

// lookup returns what is at path, or fs.ErrNotExist or ErrNotDirectory.
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
