package plaincim

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/winfs"
)

// body is one region file.
type body struct {
	set   winfs.GUID
	n     int // number within its set
	kind  uint16
	bytes []byte
}

type place struct {
	region int
	offset uint64
}

type reaching struct {
	length uint64
	what   string
}

// fault is the panic value of the recursion; Read turns it into an error.
type fault string

func fail(format string, args ...any) { panic(fault(fmt.Sprintf(format, args...))) }

// Read reads the image at path and everything that belongs to it.
func Read(path string) (t *Tree, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			t, err = nil, fmt.Errorf("plaincim: %s: %s", path, string(f))
		}
	}()
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t = &Tree{reached: map[place]reaching{}}
	common(image, 0, "image")
	t.Major, t.Minor = u32(image, 0x10), u32(image, 0x14)
	if t.Major < 1 || t.Major > 3 {
		fail("version %d.%d", t.Major, t.Minor)
	}
	t.Own = regionSet(image, 0x20)
	t.GUID = t.Own.GUID
	for i := range int(u16(image, 0x46)) {
		t.Parents = append(t.Parents, regionSet(image, 0x48+24*i))
	}
	dir := filepath.Dir(path)
	for _, s := range append(append([]RegionSet{}, t.Parents...), t.Own) {
		for n := range s.Count {
			t.load(dir, s.GUID, n)
		}
	}
	t.filesystem(u64(image, 0x38))
	return t, nil
}

func regionSet(b []byte, at int) RegionSet {
	return RegionSet{winfs.GUIDFromWindows([16]byte(cut(b, uint64(at), 16))), int(u16(b, at+16))}
}

// common checks the first 32 bytes of a file and returns the header length.
func common(b []byte, kind byte, what string) uint32 {
	if string(cut(b, 0, 8)) != "cimfile0" {
		fail("%s: no magic", what)
	}
	if got := cut(b, 0xC, 1)[0]; got != kind {
		fail("%s: file type %d, not %d", what, got, kind)
	}
	if n := u32(b, 8); uint64(n) <= uint64(len(b)) {
		return n
	}
	fail("%s: header longer than the file", what)
	return 0
}

func (t *Tree) load(dir string, g winfs.GUID, n int) {
	name := fmt.Sprintf("region_%s_%d", g, n)
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		fail("%v", err)
	}
	if l := common(b, 1, name); l != 0x28 {
		fail("%s: header length %#x", name, l)
	}
	t.bodies = append(t.bodies, body{set: g, n: n, kind: u16(b, 0x22), bytes: b})
}

// object returns length bytes at a region offset and notes that they are used.
func (t *Tree) object(at, length uint64, what string) []byte {
	region, offset := int(at>>48), at&(1<<48-1)
	if offset == 0 || region >= len(t.bodies) {
		fail("%s: region offset %#x", what, at)
	}
	b := cut(t.bodies[region].bytes, offset, length)
	p := place{region, offset}
	if old, ok := t.reached[p]; ok && old.length != length {
		fail("%s of %d bytes and %s of %d bytes at %#x", what, length, old.what, old.length, at)
	}
	t.reached[p] = reaching{length, what}
	return b
}

// counted returns the payload of an object that starts with a 16-bit count.
func (t *Tree) counted(at uint64, what string) []byte {
	n := u16(t.peek(at, 2, what), 0)
	return t.object(at, 2+uint64(n), what)[2:]
}

// peek reads without noting an object.
func (t *Tree) peek(at, length uint64, what string) []byte {
	region, offset := int(at>>48), at&(1<<48-1)
	if offset == 0 || region >= len(t.bodies) {
		fail("%s: region offset %#x", what, at)
	}
	return cut(t.bodies[region].bytes, offset, length)
}

func (t *Tree) filesystem(at uint64) {
	fs := t.object(at, 24, "Filesystem")
	up := t.object(u64(fs, 0), 0x20000, "upcase table")
	for i := range t.Upcase {
		t.Upcase[i] = u16(up, 2*i)
	}
	tables := int(u32(fs, 16))
	dir := t.object(u64(fs, 8), uint64(16*tables), "file table directory")
	var records [][]byte
	for i := range tables {
		count, size := int(u16(dir, 16*i+8)), int(u16(dir, 16*i+10))
		if want := [...]int{1: 0x58, 2: 0x60, 3: 0x68}[t.Major]; size != want {
			fail("file table %d: records of %#x bytes in version %d", i, size, t.Major)
		}
		if count == 0 || count > 1024 {
			fail("file table %d of %d has %d records", i, tables, count)
		}
		table := t.object(u64(dir, 16*i), uint64(count*size), fmt.Sprintf("file table %d", i))
		for j := range count {
			records = append(records, table[j*size:(j+1)*size])
		}
		for j := count; j < 1024 && i < tables-1; j++ {
			records = append(records, nil) // the numbers up to the next table do not exist
		}
		if int(u64(dir, 16*i)>>48) < len(t.bodies)-t.Own.Count {
			t.Inherited = uint32(1024 * (i + 1))
		}
	}
	t.Files = make([]*File, len(records)+1)
	t.Root = t.node("", u32(fs, 20), records, map[uint32]bool{})
	if !t.Root.File.Directory {
		fail("the root is no directory")
	}
}

// node reads the file with the given ID, and below it if it is a directory. open
// are the directories on the way to it.
func (t *Tree) node(name string, id uint32, records [][]byte, open map[uint32]bool) *Node {
	if id == 0 || int(id) > len(records) || records[id-1] == nil {
		fail("%q: file ID %d of %d", name, id, len(records))
	}
	if open[id] {
		fail("%q: directory %d contains itself", name, id)
	}
	n := &Node{Name: name, File: t.Files[id]}
	r := records[id-1]
	if n.File == nil {
		n.File = t.file(id, r)
		t.Files[id] = n.File
	} else if n.File.Directory {
		fail("directory %d has two names", id)
	}
	if n.File.Directory && n.File.Main.Size > 0 {
		open[id] = true
		at := t.rebase(u64(r, 0x28), n.File.Base)
		links := t.links(at, n.File.Main.Size, fmt.Sprintf("link table of directory %d", id))
		for _, l := range links {
			n.Children = append(n.Children, t.node(l.Name, l.ID, records, open))
		}
		t.sorted(links, n.File.ID)
		delete(open, id)
	}
	return n
}

// rebase adds the base region index of a record to an offset inside it.
func (t *Tree) rebase(at uint64, base uint16) uint64 {
	if at == 0 {
		return 0
	}
	return at + uint64(base)<<48
}

func (t *Tree) file(id uint32, r []byte) *File {
	f := &File{ID: id, Flags: u16(r, 0), ReparseTag: u32(r, 4)}
	f.Creation, f.Write = winfs.Filetime(u64(r, 8)), winfs.Filetime(u64(r, 0x10))
	f.Change, f.Access = winfs.Filetime(u64(r, 0x18)), winfs.Filetime(u64(r, 0x20))
	if t.Major >= 2 {
		f.Parent, f.Base = u32(r, 0x58), u16(r, 0x5C)
	}
	what := func(s string) string { return fmt.Sprintf("%s of file %d", s, id) }
	f.Main = t.stream(r[0x28:0x38], f.Base, what("main stream"))
	f.Directory = f.Main.Type == 1
	if at := t.rebase(u64(r, 0x38), f.Base); at != 0 {
		f.Security = t.counted(at, what("descriptor"))
	}
	if at, n := t.rebase(u64(r, 0x40), f.Base), u16(r, 2); at != 0 {
		f.EA = t.object(at, uint64(n), what("EA list"))
	} else if n != 0 {
		fail("file %d has %d bytes of EAs nowhere", id, n)
	}
	if at := t.rebase(u64(r, 0x48), f.Base); at != 0 {
		f.Reparse = t.counted(at, what("reparse data"))
	}
	if at := t.rebase(u64(r, 0x50), f.Base); at != 0 {
		f.Streams = t.streams(at, f.Base, what("stream table"))
	}
	if t.Major >= 3 {
		at := t.rebase(u64(r, 0x60), f.Base)
		f.Links = t.links(at, uint64(u32(t.peek(at, 4, what("parent links")), 0)), what("parent links"))
	}
	return f
}

// stream reads 16 bytes. The table of a directory is left to node.
func (t *Tree) stream(r []byte, base uint16, what string) Stream {
	at, packed := t.rebase(u64(r, 0), base), u64(r, 8)
	s := Stream{Type: uint8(packed >> 48), Sparse: packed>>56&1 != 0, Size: packed & (1<<48 - 1)}
	if packed>>57 != 0 {
		fail("%s: packed word %#x", what, packed)
	}
	switch {
	case s.Sparse:
		// The offset names the region that would hold the content, and is nowhere in it.
		if at != 0 && at&(1<<48-1) != 1<<48-1 || s.Type != 0 {
			fail("%s: sparse, of type %d, at %#x", what, s.Type, at)
		}
	case s.Type == 0 && s.Size > 0:
		s.Data = t.object(at, s.Size, what)
	case s.Type == 1:
	case s.Type == 2:
		head := t.peek(at, 24, what)
		n := uint64(u16(head, 20))
		if u16(head, 22) > 1 { // 0 if the last section has no bytes in the file
			fail("%s: executable with flags %#x", what, u16(head, 22))
		}
		d := t.object(at, 24+8*n, what+" (executable)")
		for i := range int(n) {
			s.Mappings = append(s.Mappings, Mapping{u32(d, 24+8*i), u32(d, 28+8*i)})
		}
		s.Data = contract(t.object(t.rebase(u64(d, 0), base), u64(d, 8), what), s.Size, s.Mappings)
	case s.Type != 0:
		fail("%s: type %d", what, s.Type)
	case at != 0 && at != 1<<48-1: // which a length of 2^48 leaves
		fail("%s: empty, yet at %#x", what, at)
	}
	return s
}

// contract undoes the expansion of an executable, byte by byte.
func contract(expanded []byte, size uint64, maps []Mapping) []byte {
	if size > uint64(len(expanded)) {
		fail("executable of %d bytes in %d", size, len(expanded))
	}
	out := make([]byte, size)
	for off := range out {
		var delta uint64
		for _, m := range maps {
			if uint64(m.Offset) <= uint64(off) {
				delta = uint64(m.Delta)
			}
		}
		out[off] = cut(expanded, uint64(off)+delta, 1)[0]
	}
	return out
}

// table reads a link table whose values are width bytes each.
func (t *Tree) table(at, length uint64, width int, what string) (values [][]byte, names []string) {
	b := t.object(at, length, what)
	if at%8 != 0 || uint64(u32(b, 0)) != length {
		fail("%s: %d bytes at %#x say they are %d", what, length, at, u32(b, 0))
	}
	count := int(u32(b, 4))
	end := 8 + count*(width+4) // where the names begin
	for i := range count {
		values = append(values, cut(b, uint64(8+i*width), uint64(width)))
		off := int(u32(b, 8+count*width+4*i))
		if off != end {
			fail("%s: name %d is at %#x, not %#x", what, i, off, end)
		}
		units := int(u16(b, off))
		names = append(names, winfs.DecodeUTF16LE(cut(b, uint64(off+2), uint64(2*units))))
		end = off + 2 + 2*units
	}
	if end != len(b) {
		fail("%s: names end at %#x of %#x", what, end, len(b))
	}
	return values, names
}

func (t *Tree) links(at, length uint64, what string) []Link {
	values, names := t.table(at, length, 4, what)
	var out []Link
	for i, v := range values {
		out = append(out, Link{u32(v, 0), names[i]})
	}
	return out
}

func (t *Tree) streams(at uint64, base uint16, what string) []Stream {
	values, names := t.table(at, uint64(u32(t.peek(at, 4, what), 0)), 16, what)
	var out []Stream
	for i, v := range values {
		s := t.stream(v, base, fmt.Sprintf("stream %q", names[i]))
		s.Name = names[i]
		out = append(out, s)
	}
	return out
}

// sorted insists on names that rise strictly under the image's own table.
func (t *Tree) sorted(links []Link, dir uint32) {
	for i := 1; i < len(links); i++ {
		if t.compare(links[i-1].Name, links[i].Name) >= 0 {
			fail("directory %d: %q before %q", dir, links[i-1].Name, links[i].Name)
		}
	}
}

func (t *Tree) compare(a, b string) int {
	x, y := winfs.AppendUTF16(nil, a), winfs.AppendUTF16(nil, b)
	for i := 0; i < len(x) && i < len(y); i++ {
		if d := int(t.Upcase[x[i]]) - int(t.Upcase[y[i]]); d != 0 {
			return d
		}
	}
	return len(x) - len(y)
}

// cut returns b[off:off+n], or fails.
func cut(b []byte, off, n uint64) []byte {
	if off > uint64(len(b)) || n > uint64(len(b))-off {
		fail("%d bytes at %#x of %#x", n, off, len(b))
	}
	return b[off : off+n : off+n]
}

func u16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(cut(b, uint64(at), 2)) }
func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(cut(b, uint64(at), 4)) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(cut(b, uint64(at), 8)) }
