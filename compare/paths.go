package compare

import (
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// paths holds the paths of many entries, each name once: a directory is the one above it
// and a name. So it grows with the names, not with the depth, and what a layer can name in a
// few bytes by compression does not become whole paths in memory.
type paths struct {
	names []byte
	dirs  []place // 0 is the root

	// While paths are added: the numbers of the directories, and the one of the last path.
	ids    map[dirKey]uint32
	last   string
	lastID uint32
}

// A place is a path in a paths.
type place struct {
	at  int64 // of the name in names
	n   uint32
	dir uint32 // in dirs
}

type dirKey struct {
	parent uint32
	name   string
}

func (p *paths) add(path string) place {
	dir, name := winfs.SplitPath(path)
	return p.place(p.dir(dir), name)
}

func (p *paths) place(dir uint32, name string) place {
	x := place{at: int64(len(p.names)), n: uint32(len(name)), dir: dir}
	p.names = append(p.names, name...)
	return x
}

// dir returns the number of a directory.
func (p *paths) dir(path string) uint32 {
	if p.ids == nil {
		p.ids, p.dirs = map[dirKey]uint32{}, make([]place, 1)
	}
	if path == p.last {
		return p.lastID
	}
	id := uint32(0)
	rest := path
	if n := len(p.last); n > 0 && len(path) > n && path[n] == '\\' && path[:n] == p.last {
		id, rest = p.lastID, path[n+1:]
	}
	for more := rest != ""; more; {
		var name string
		name, rest, more = strings.Cut(rest, `\`)
		next, ok := p.ids[dirKey{id, name}]
		if !ok {
			next = uint32(len(p.dirs))
			p.dirs = append(p.dirs, p.place(id, name))
			p.ids[dirKey{id, strings.Clone(name)}] = next
		}
		id = next
	}
	p.last, p.lastID = strings.Clone(path), id
	return id
}

// done releases what only adding needs.
func (p *paths) done() { p.ids, p.last, p.lastID = nil, "", 0 }

// name returns the last name of a path, which must not be changed.
func (p *paths) name(x place) []byte { return p.names[x.at : x.at+int64(x.n)] }

// size returns the length of a path.
func (p *paths) size(x place) int {
	n := int(x.n)
	for x.dir != 0 {
		x = p.dirs[x.dir]
		n += int(x.n) + 1
	}
	return n
}

func (p *paths) get(x place) string { return string(p.append(nil, x)) }

// append appends a path to b.
func (p *paths) append(b []byte, x place) []byte {
	start := len(b)
	n := p.size(x)
	b = slices.Grow(b, n)[:start+n]
	for at := start + n; ; {
		at -= int(x.n)
		copy(b[at:], p.name(x))
		if x.dir == 0 {
			return b
		}
		at--
		b[at] = '\\'
		x = p.dirs[x.dir]
	}
}

// A pathBuffer shows paths one after the other; those of one directory cost their names.
type pathBuffer struct {
	b   []byte
	dir uint32
	n   int // length of the directory with a separator, -1 for none yet
}

// of returns a path, which is valid until the next one.
func (v *pathBuffer) of(p *paths, x place) []byte {
	if v.b == nil || v.dir != x.dir {
		v.b, v.dir = v.b[:0], x.dir
		if x.dir != 0 {
			v.b = append(p.append(v.b, p.dirs[x.dir]), '\\')
		}
		v.n = len(v.b)
	}
	v.b = append(v.b[:v.n], p.name(x)...)
	return v.b
}
