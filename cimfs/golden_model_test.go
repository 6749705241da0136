package cimfs_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/mullion/mullion/cimfs/internal/goldencim"
	"github.com/mullion/mullion/winfs"
)

// goldenFile is a file or directory as the calls of a golden case describe it. The
// model knows nothing of records and tables: only what a call means for the tree.
type goldenFile struct {
	dir      bool
	attr     winfs.Attributes
	times    winfs.Times
	security []byte
	eas      []winfs.EA
	reparse  []byte
	data     []byte
	hole     int64                   // length of a stream that is all hole
	streams  map[string]goldenStream // by folded name
	kids     map[string]goldenLink   // by folded name
	parent   *goldenFile             // the same file in the parent image, until it is split from it
}

type goldenStream struct {
	name string
	data []byte
}

type goldenLink struct {
	name string
	file *goldenFile
}

// goldenTree is an image in the making.
type goldenTree struct {
	root    *goldenFile
	pending []winfs.EA // defect: of files without content, for the next with some
}

func newGoldenTree() *goldenTree { return &goldenTree{root: newGoldenFile(true)} }

func newGoldenFile(dir bool) *goldenFile {
	f := &goldenFile{dir: dir, streams: map[string]goldenStream{}, kids: map[string]goldenLink{}}
	if dir {
		f.attr = winfs.AttrDirectory
	}
	return f
}

// fork begins a tree over a finished one.
func (t *goldenTree) fork() *goldenTree {
	return &goldenTree{root: t.root.inherited(map[*goldenFile]*goldenFile{})}
}

// inherited is f as a child image sees it.
func (f *goldenFile) inherited(done map[*goldenFile]*goldenFile) *goldenFile {
	if c := done[f]; c != nil {
		return c
	}
	c := new(goldenFile)
	*c = *f
	c.parent, c.kids = f, map[string]goldenLink{}
	done[f] = c
	for key, k := range f.kids {
		c.kids[key] = goldenLink{k.name, k.file.inherited(done)}
	}
	return c
}

// identity is the same for all names of one file, in a fork and in its parent.
func (f *goldenFile) identity() *goldenFile {
	if f.parent != nil {
		return f.parent.identity()
	}
	return f
}

// split makes a file of the image itself of one that the parent has: under this name
// alone.
func (l goldenLink) split(dir *goldenFile) *goldenFile {
	if l.file.parent == nil {
		return l.file
	}
	c := new(goldenFile)
	*c = *l.file
	c.parent, c.streams = nil, map[string]goldenStream{}
	for key, s := range l.file.streams {
		c.streams[key] = s
	}
	dir.kids[winfs.Fold(l.name)] = goldenLink{l.name, c}
	return c
}

// place finds the directory of a path and the name in it.
func (t *goldenTree) place(path string) (dir *goldenFile, name string) {
	dir = t.root
	i := strings.LastIndexByte(path, '\\')
	if i > 0 {
		for _, part := range strings.Split(strings.TrimSuffix(path[:i], `\`), `\`) {
			dir = dir.kids[winfs.Fold(part)].file
		}
	}
	return dir, path[i+1:]
}

// do applies a call. Those that failed and changed nothing are left to the caller.
func (t *goldenTree) do(c *goldencim.Call) {
	switch c.Op {
	case "file":
		t.file(c)
	case "stream":
		path, name, _ := strings.Cut(c.Path, ":")
		dir, last := t.place(path)
		f := dir.kids[winfs.Fold(last)].split(dir)
		key := winfs.Fold(name)
		if old, ok := f.streams[key]; ok {
			name = old.name
		}
		f.streams[key] = goldenStream{name, c.Data}
	case "link":
		dir, last := t.place(c.Existing)
		f := dir.kids[winfs.Fold(last)].split(dir)
		dir, name := t.place(c.Path)
		dir.add(name, f)
	case "delete":
		dir, name := t.place(c.Path)
		delete(dir.kids, winfs.Fold(name))
	}
}

// add gives a file a name, in the spelling that is there already.
func (f *goldenFile) add(name string, child *goldenFile) {
	key := winfs.Fold(name)
	if old, ok := f.kids[key]; ok {
		name = old.name
	}
	f.kids[key] = goldenLink{name, child}
}

func (t *goldenTree) file(c *goldencim.Call) {
	refused := t.takeEAs(c)
	dir := c.Attributes&winfs.AttrDirectory != 0
	f := newGoldenFile(dir)
	if c.Path == "" {
		f.kids, f.parent = t.root.kids, nil
		*t.root = *f
		f = t.root
	} else {
		in, name := t.place(c.Path)
		if old := in.kids[winfs.Fold(name)].file; old != nil && old.parent == nil {
			*old = *f // the same file under all its names
			f = old
		}
		in.add(name, f)
	}
	kept := winfs.AttrReadOnly | winfs.AttrHidden | winfs.AttrSystem | winfs.AttrArchive | winfs.AttrSparse | winfs.AttrDirectory | winfs.AttrReparsePoint
	f.attr, f.times, f.security, f.reparse = c.Attributes&kept, c.Times, c.Security, c.Reparse
	if refused || dir {
		return
	}
	switch {
	case c.Data == nil && c.Size > 0 && c.Size < 1<<48:
		f.hole = c.Size
	default:
		f.data = c.Data
	}
	if len(f.data) > 0 || f.hole > 0 {
		f.eas, t.pending = t.pending, nil
	}
}

// takeEAs adds the extended attributes that a call brings to those that wait for a
// file with content, and reports whether it refuses one.
func (t *goldenTree) takeEAs(c *goldencim.Call) (refused bool) {
	for b := c.EAs; len(b) > 0; {
		if len(b) < 12 {
			return true
		}
		next, name, value := binary.LittleEndian.Uint32(b), int(b[5]), int(binary.LittleEndian.Uint16(b[6:]))
		need := 8 + name + 1 + value
		if name == 0 || value == 0 || need > len(b) || next != 0 && int(next) < need {
			return true
		}
		ea := winfs.EA{Flags: b[4], Name: string(b[8 : 8+name]), Value: b[9+name : need]}
		if strings.ContainsAny(ea.Name, `\/:*?"<>|,+=[];`) || size(t.pending)+need > 65535 {
			return true
		}
		if ea.Name != "$KERNEL.PURGE.IMAGEHASH.SHA256" {
			t.pending = append(t.pending, ea)
		}
		if next == 0 {
			return false
		}
		b = b[next:]
	}
	return false
}

func size(eas []winfs.EA) int { return len(encodeGoldenEAs(eas)) }

// encodeGoldenEAs is a FILE_FULL_EA_INFORMATION list, each entry aligned to 4, the
// last one not padded.
func encodeGoldenEAs(eas []winfs.EA) (b []byte) {
	at := 0
	for i, ea := range eas {
		if i > 0 {
			for len(b)%4 != 0 {
				b = append(b, 0)
			}
			binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at))
		}
		at = len(b)
		b = append(b, 0, 0, 0, 0, ea.Flags, byte(len(ea.Name)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(ea.Value)))
		b = append(append(append(b, ea.Name...), 0), ea.Value...)
	}
	return b
}

// finish does what the commit of a fork does: a directory of the parent that is empty
// then, and was not made again, has all its names back.
func (t *goldenTree) finish() { t.root.finish() }

func (f *goldenFile) finish() {
	if f.parent != nil && len(f.kids) == 0 && len(f.parent.kids) > 0 {
		f.kids = f.parent.inherited(map[*goldenFile]*goldenFile{}).kids
		return
	}
	for _, k := range f.kids {
		k.file.finish()
	}
}

// walk visits every name, with the paths of [cimfs.Image.Walk].
func (t *goldenTree) walk(visit func(path string, f *goldenFile)) { t.root.walk("", visit) }

func (f *goldenFile) walk(path string, visit func(string, *goldenFile)) {
	visit(path, f)
	for _, k := range f.kids {
		p := k.name
		if path != "" || p == "" {
			p = path + `\` + p
		}
		k.file.walk(p, visit)
	}
}

// leftover is what stood on the stack of cimfs.dll when the golden images were made,
// behind a file in the hash of an image. Files are hashed to a multiple of 8 bytes.
var leftover = [8]byte{0xA0, 0xFA, 0x21}

// goldenHashes are the attributes that an expanded executable gets.
func goldenHashes(b []byte, pad [8]byte) (eas []winfs.EA) {
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }
	pe := u32(0x3C)
	opt := pe + 24
	directories := opt + 96
	if u16(opt) == 0x20B {
		directories = opt + 112
	}
	sections := opt + u16(pe+20)
	if u32(sections+40*(u16(pe+6)-1)+16) == 0 {
		return nil // nothing of the last section is in the file
	}
	cert, certSize := u32(directories+32), u32(directories+36)
	in := slices.Concat(b[:opt+64], b[opt+68:directories+32], b[directories+40:])
	if certSize > 0 {
		in = slices.Concat(b[:opt+64], b[opt+68:directories+32], b[directories+40:cert], b[cert+certSize:])
	}
	in = append(in, pad[:(8-len(b)%8)%8]...)
	if machine := u16(pe + 4); certSize == 0 && (machine == 0x14C || machine == 0x8664) {
		sum := sha1.Sum(in)
		eas = append(eas, winfs.EA{Name: "$KERNEL.PURGE.IMAGEHASH.SHA1", Value: sum[:]})
	}
	sum := sha256.Sum256(in)
	return append(eas, winfs.EA{Name: "$KERNEL.PURGE.IMAGEHASH.SHA256", Value: sum[:]})
}
