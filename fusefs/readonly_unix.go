//go:build linux || darwin

package fusefs

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// forever is the time for which the kernel may cache the contents of a read-only tree.
const forever = 24 * time.Hour

// readonly serves a tree that never changes. The numbers of nodes are those of files, so
// that there is no state for a file that the kernel knows, and nothing to do when the
// kernel forgets it. Files and directories need not be opened (the answer ENOSYS reports
// this): a small file costs one message, and reading it again costs none.
type readonly struct {
	fuse.RawFileSystem
	tree  Tree
	files finder
	root  uint64
	opt   Options

	// places holds the places of directories and links, for the text of links.
	placesMu sync.RWMutex
	places   map[uint64]place

	streams  recent[Stream]
	listings recent[[]Entry]

	modes modes
	ahead *readAhead
}

type place struct {
	dir  uint64
	name string
}

// recent caches a few items, the most recently used.
type recent[T any] struct {
	mu   sync.Mutex
	max  int
	keys []uint64 // the most recently used last
	all  map[uint64]T
}

func newRecent[T any](n int) recent[T] { return recent[T]{max: n, all: make(map[uint64]T, n)} }

func (r *recent[T]) get(key uint64) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.all[key]
	return v, ok
}

func (r *recent[T]) put(key uint64, v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.all[key]; !ok {
		if len(r.keys) == r.max {
			delete(r.all, r.keys[0])
			r.keys = append(r.keys[:0], r.keys[1:]...)
		}
		r.keys = append(r.keys, key)
	}
	r.all[key] = v
}

func newReadonly(t Tree, o Options) (*readonly, error) {
	root, err := t.Root()
	if err != nil {
		return nil, err
	}
	return &readonly{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		tree:          t, files: newFinder(t, root), root: root.ID(), opt: o,
		places:  map[uint64]place{},
		streams: newRecent[Stream](32), listings: newRecent[[]Entry](16),
		ahead: newReadAhead(),
	}, nil
}

func (v *readonly) String() string { return "mullion" }

func (v *readonly) Init(s *fuse.Server) { v.ahead.server = s }

func (v *readonly) id(node uint64) uint64 {
	switch node {
	case fuse.FUSE_ROOT_ID:
		return v.root
	case displaced:
		return fuse.FUSE_ROOT_ID
	}
	return node
}

func (v *readonly) node(id uint64) uint64 {
	switch id {
	case v.root:
		return fuse.FUSE_ROOT_ID
	case fuse.FUSE_ROOT_ID:
		return displaced
	}
	return id
}

func (v *readonly) status(op string, id uint64, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	if errors.Is(err, fs.ErrNotExist) && op == "lookup" {
		return fuse.ENOENT
	}
	return fuse.Status(v.opt.errno(op, v.path(id), err))
}

func (v *readonly) setPlace(id, dir uint64, name string) {
	v.placesMu.RLock()
	_, ok := v.places[id]
	v.placesMu.RUnlock()
	if ok || id == v.root {
		return
	}
	v.placesMu.Lock()
	v.places[id] = place{dir, strings.Clone(name)}
	v.placesMu.Unlock()
}

// path returns a path of a directory or link, as far as it is known.
func (v *readonly) path(id uint64) string {
	v.placesMu.RLock()
	defer v.placesMu.RUnlock()
	path := ""
	for n := 0; id != v.root && n <= winfs.MaxPath; n++ {
		p, ok := v.places[id]
		if !ok {
			break
		}
		path, id = winfs.JoinPath(p.name, path), p.dir
	}
	return path
}

// linkOf returns the reparse point of a symbolic link or junction, nil for any other file.
// A file whose buffer cannot be parsed is not a link.
func linkOf(f File) *winfs.ReparsePoint {
	if f.Attributes()&winfs.AttrReparsePoint == 0 {
		return nil
	}
	b, err := f.Reparse()
	if err != nil {
		return nil
	}
	p, err := winfs.ParseReparse(b)
	if err != nil || p.Tag != winfs.ReparseTagSymlink && p.Tag != winfs.ReparseTagMountPoint {
		return nil
	}
	return p
}

// attr describes a file that was found under a name in a directory; dir is 0 if its place
// is known already.
func (v *readonly) attr(f File, dir uint64, name string, a *fuse.Attr) error {
	links, err := f.NumLinks()
	if err != nil {
		return err
	}
	eas, err := f.EAs()
	if err != nil {
		return err
	}
	id := f.ID()
	p := overlay.ReadPOSIX(eas)
	a.Ino, a.Nlink, a.Size, a.Blksize = id, uint32(links), uint64(f.Size()), 4096
	a.Uid, a.Gid, a.Mode = p.UID, p.GID, p.Mode
	link := linkOf(f)
	if dir != 0 && (link != nil || f.IsDir()) {
		v.setPlace(id, dir, name)
	}
	switch {
	case link != nil:
		a.Mode = syscall.S_IFLNK | 0o777
		a.Size = uint64(len(linkText(v.path(id), link, v.opt.DriveRoot)))
	case f.IsDir():
		if a.Mode, err = v.mode(f, p.Mode, false); err != nil {
			return err
		}
		a.Mode |= syscall.S_IFDIR
		a.Nlink, a.Size = 2, 0
	default:
		if a.Mode, err = v.mode(f, p.Mode, v.isHive(id, dir, name)); err != nil {
			return err
		}
		a.Mode |= syscall.S_IFREG
	}
	a.Blocks = (a.Size + 511) / 512
	t := f.Times()
	setTime(&a.Mtime, &a.Mtimensec, t.LastWrite)
	setTime(&a.Atime, &a.Atimensec, t.LastAccess)
	setTime(&a.Ctime, &a.Ctimensec, t.Change)
	return nil
}

// setTime reports an unset time as 1970. Earlier times are negative seconds, which the
// kernel supports.
func setTime(sec *uint64, nsec *uint32, t winfs.Filetime) {
	if t == 0 {
		return
	}
	u := t.Time()
	*sec, *nsec = uint64(u.Unix()), uint32(u.Nanosecond())
}

func (v *readonly) entry(f File, dir uint64, name string, out *fuse.EntryOut) error {
	out.NodeId, out.Generation = v.node(f.ID()), 1
	out.SetAttrTimeout(forever)
	out.SetEntryTimeout(forever)
	if err := v.attr(f, dir, name, &out.Attr); err != nil {
		return err
	}
	v.files.given(f)
	return nil
}

func (v *readonly) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir := v.id(h.NodeId)
	d, err := v.files.file(dir)
	if err != nil {
		return v.status("open directory", dir, err)
	}
	f, err := d.Child(name)
	if errors.Is(err, fs.ErrNotExist) {
		// A node of number 0 is one that is known not to exist.
		out.SetEntryTimeout(forever)
		return fuse.OK
	}
	if err == nil {
		err = v.entry(f, dir, name, out)
	}
	return v.status("lookup", dir, err)
}

func (v *readonly) Forget(node, n uint64) { v.files.forget(v.id(node), n) }

func (v *readonly) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	id := v.id(in.NodeId)
	f, err := v.files.file(id)
	if err == nil {
		out.SetTimeout(forever)
		err = v.attr(f, 0, "", &out.Attr)
	}
	return v.status("stat", id, err)
}

// Access always succeeds: the mode applies to all users alike.
func (v *readonly) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (v *readonly) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	id := v.id(h.NodeId)
	f, err := v.files.file(id)
	if err != nil {
		return nil, v.status("read link", id, err)
	}
	p := linkOf(f)
	if p == nil {
		return nil, fuse.EINVAL
	}
	return []byte(linkText(v.path(id), p, v.opt.DriveRoot)), fuse.OK
}

// Open, OpenDir and Flush answer that they need not be called: from then on the kernel
// opens files itself, and caches content and listings.
func (v *readonly) Open(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

// OpenDir is like Open.
func (v *readonly) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

// Flush is like Open.
func (v *readonly) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// stream returns the main stream of a file.
func (v *readonly) stream(id uint64) (Stream, error) {
	if s, ok := v.streams.get(id); ok {
		return s, nil
	}
	f, err := v.files.file(id)
	if err != nil {
		return nil, err
	}
	s, err := f.Open()
	if err != nil {
		return nil, err
	}
	if s.Size() > aheadFile {
		v.streams.put(id, s) // more reads are expected
	}
	return s, nil
}

func (v *readonly) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	id := v.id(in.NodeId)
	s, err := v.stream(id)
	if err != nil {
		return nil, v.status("read", id, err)
	}
	n, err := s.ReadAt(buf, int64(in.Offset))
	if err != nil && err != io.EOF {
		return nil, v.status("read", id, err)
	}
	if in.Offset == 0 {
		v.wasRead(id)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// listing returns the names of a directory.
func (v *readonly) listing(id uint64) ([]Entry, error) {
	if l, ok := v.listings.get(id); ok {
		return l, nil
	}
	d, err := v.files.file(id)
	if err != nil {
		return nil, err
	}
	list := []Entry{{Name: ".", ID: id}, {Name: ".."}}
	for e, err := range d.Entries() {
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	v.listings.put(id, list)
	return list, nil
}

func (v *readonly) entries(in *fuse.ReadIn) ([]Entry, fuse.Status) {
	id := v.id(in.NodeId)
	list, err := v.listing(id)
	if err != nil {
		return nil, v.status("read directory", id, err)
	}
	return list[min(in.Offset, uint64(len(list))):], fuse.OK
}

func (v *readonly) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, status := v.entries(in)
	for _, e := range list {
		d := fuse.DirEntry{Name: e.Name, Ino: e.ID}
		if e.Name == "." || e.Name == ".." || e.DirKnown && e.Dir {
			d.Mode = syscall.S_IFDIR
		}
		if !out.AddDirEntry(d) {
			break
		}
	}
	return status
}

func (v *readonly) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, status := v.entries(in)
	dir := v.id(in.NodeId)
	var files []listed
	told := int(in.Offset)
	for n := range list {
		e := &list[n]
		d := fuse.DirEntry{Name: e.Name, Ino: e.ID}
		if e.Name == "." || e.Name == ".." {
			d.Mode = syscall.S_IFDIR
			if out.AddDirLookupEntry(d) == nil {
				break
			}
			told++
			continue
		}
		var entry fuse.EntryOut
		f, err := v.files.entry(dir, e)
		if err == nil {
			err = v.entry(f, dir, e.Name, &entry)
		}
		if err != nil {
			entry = fuse.EntryOut{} // the kernel requests it again
		}
		d.Mode = entry.Mode
		place := out.AddDirLookupEntry(d)
		if place == nil {
			if err == nil {
				v.files.forget(e.ID, 1)
			}
			break
		}
		*place = entry
		if err == nil && small(f) {
			files = append(files, listed{id: e.ID, dir: dir, index: told})
		}
		told++
	}
	v.listed(dir, int(in.Offset), told, files)
	return status
}

func (v *readonly) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	return fuse.OK
}

func (v *readonly) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	id := v.id(h.NodeId)
	f, err := v.files.file(id)
	if err != nil {
		return 0, v.status("list attributes", id, err)
	}
	list, err := listMetadata(f)
	if err != nil {
		return 0, v.status("list attributes", id, err)
	}
	streams, err := f.Streams()
	if err != nil {
		return 0, v.status("list attributes", id, err)
	}
	for _, s := range streams {
		list = appendStreamName(list, s.Name(), s.Size())
	}
	n, errno := answer(dest, list)
	return n, fuse.Status(errno)
}

func (v *readonly) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	stream, isStream := strings.CutPrefix(name, streamPrefix)
	m := findMetadata(name)
	if m == nil && !isStream {
		return 0, fuse.Status(errNoAttr)
	}
	id := v.id(h.NodeId)
	f, err := v.files.file(id)
	if err != nil {
		return 0, v.status("get attribute", id, err)
	}
	if m != nil {
		b, err := m.get(f)
		if err != nil {
			return 0, v.status("get attribute", id, err)
		}
		if b == nil {
			return 0, fuse.Status(errNoAttr)
		}
		n, errno := answer(dest, b)
		return n, fuse.Status(errno)
	}
	streams, err := f.Streams()
	if err != nil {
		return 0, v.status("get attribute", id, err)
	}
	for _, s := range streams {
		if !winfs.EqualFold(s.Name(), stream) {
			continue
		}
		if s.Size() > maxXattr {
			return 0, fuse.Status(syscall.E2BIG)
		}
		b := make([]byte, s.Size())
		if _, err := s.ReadAt(b, 0); err != nil && err != io.EOF {
			return 0, v.status("get attribute", id, err)
		}
		n, errno := answer(dest, b)
		return n, fuse.Status(errno)
	}
	return 0, fuse.Status(errNoAttr)
}
