//go:build linux || darwin

package fusefs

import (
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// MountOverlay mounts a writable tree at the directory dir and returns when it can be used.
// The caller ends it with Unmount and closes the tree after that.
//
// It behaves like a POSIX file system, with these differences: names are found in any case,
// names that Windows cannot have are EINVAL, devices, FIFOs and sockets EPERM, and a rename
// that changes only the case of a name does nothing, because Linux takes the two for one
// file. Times have a resolution of 100 ns.
func MountOverlay(dir string, t *overlay.Tree, opt *Options) (*Server, error) {
	o := opt.withDefaults()
	v := &writable{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		t:             t, opt: o, handles: map[uint64]any{},
	}
	return serve(dir, v, o, fuse.MountOptions{
		Options: []string{"default_permissions"},
		// The page cache is always current: all changes of content go through the kernel.
		ExplicitDataCacheControl: true,
	})
}

// attrTimeout is the time for which the kernel may cache attributes: it makes every change
// to them itself. It may not cache names at all: a name that is removed in one spelling
// must disappear in all others.
const attrTimeout = time.Hour

// writable serves an overlay. The numbers of nodes are those of objects.
type writable struct {
	fuse.RawFileSystem
	t   *overlay.Tree
	opt Options

	mu      sync.Mutex
	next    uint64
	handles map[uint64]any // *overlay.Handle or *listing
}

// displaced is the node number of the object whose own number is that of FUSE's root.
const displaced = 1 << 62

func (v *writable) id(node uint64) uint64 {
	switch node {
	case fuse.FUSE_ROOT_ID:
		return v.t.Root()
	case displaced:
		return fuse.FUSE_ROOT_ID
	}
	return node
}

func (v *writable) node(id uint64) uint64 {
	switch id {
	case v.t.Root():
		return fuse.FUSE_ROOT_ID
	case fuse.FUSE_ROOT_ID:
		return displaced
	}
	return id
}

func (v *writable) status(op string, id uint64, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	return fuse.Status(v.opt.errno(op, v.t.Path(id), err))
}

func (v *writable) String() string { return "mullion" }

func (v *writable) open(h any) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next++
	v.handles[v.next] = h
	return v.next
}

func (v *writable) handle(fh uint64) *overlay.Handle {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, _ := v.handles[fh].(*overlay.Handle)
	return h
}

func (v *writable) attr(i *overlay.Info, a *fuse.Attr) {
	p := overlay.ReadPOSIX(i.EAs)
	if i.Kind == overlay.Regular && hives.Private(v.t.Path(i.ID)) {
		p.Mode &^= 0o177 // as in a read-only view, see modes.of
	}
	a.Ino, a.Nlink, a.Size, a.Blksize = i.ID, uint32(i.Links), uint64(i.Size), 4096
	a.Uid, a.Gid, a.Mode = p.UID, p.GID, p.Mode
	switch i.Kind {
	case overlay.Directory:
		a.Mode |= syscall.S_IFDIR
		a.Nlink, a.Size = 2, 0
	case overlay.Symlink:
		a.Mode = syscall.S_IFLNK | 0o777
		a.Size = uint64(len(v.text(i)))
	default:
		a.Mode |= syscall.S_IFREG
	}
	a.Blocks = (a.Size + 511) / 512
	setTime(&a.Mtime, &a.Mtimensec, i.Times.LastWrite)
	setTime(&a.Atime, &a.Atimensec, i.Times.LastAccess)
	setTime(&a.Ctime, &a.Ctimensec, i.Times.Change)
}

// text returns the text of a symbolic link.
func (v *writable) text(i *overlay.Info) string {
	return linkText(v.t.Path(i.ID), i.Target, v.opt.DriveRoot)
}

func (v *writable) entry(i *overlay.Info, out *fuse.EntryOut) {
	out.NodeId, out.Generation = v.node(i.ID), 1
	out.SetAttrTimeout(attrTimeout)
	v.attr(i, &out.Attr)
}

func (v *writable) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	i, err := v.t.Lookup(v.id(h.NodeId), name)
	if err != nil {
		return v.status("lookup", v.id(h.NodeId), err)
	}
	v.entry(&i, out)
	return fuse.OK
}

func (v *writable) Forget(node, n uint64) { v.t.Forget(v.id(node), n) }

func (v *writable) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return v.getAttr(v.id(in.NodeId), out)
}

func (v *writable) getAttr(id uint64, out *fuse.AttrOut) fuse.Status {
	i, err := v.t.Stat(id)
	if err != nil {
		return v.status("stat", id, err)
	}
	v.attr(&i, &out.Attr)
	out.SetTimeout(attrTimeout)
	return fuse.OK
}

func (v *writable) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	id := v.id(in.NodeId)
	if size, ok := in.GetSize(); ok {
		if size > 1<<62 {
			return fuse.Status(syscall.EFBIG)
		}
		if err := v.t.Truncate(id, int64(size)); err != nil {
			return v.status("truncate", id, err)
		}
	}
	var c overlay.Change
	some := false
	for _, f := range []struct {
		get func() (time.Time, bool)
		to  **winfs.Filetime
	}{{in.GetATime, &c.LastAccess}, {in.GetMTime, &c.LastWrite}} {
		at, ok := f.get()
		if !ok {
			continue
		}
		ft, err := winfs.FiletimeFromTime(at)
		if err != nil {
			return v.status("set times", id, err)
		}
		*f.to, some = &ft, true
	}
	mode, hasMode := in.GetMode()
	uid, hasUID := in.GetUID()
	gid, hasGID := in.GetGID()
	if hasMode || hasUID || hasGID {
		i, err := v.t.Stat(id)
		if err != nil {
			return v.status("stat", id, err)
		}
		p := overlay.ReadPOSIX(i.EAs)
		if hasMode {
			p.Mode = mode
		}
		if hasUID {
			p.UID = uid
		}
		if hasGID {
			p.GID = gid
		}
		eas, err := overlay.WritePOSIX(i.EAs, p, i.Kind)
		if err != nil {
			return v.status("set mode", id, err)
		}
		c.EAs, some = &eas, true
	}
	if some {
		if err := v.t.Set(id, c); err != nil {
			return v.status("set attributes", id, err)
		}
	}
	return v.getAttr(id, out)
}

// posix returns the owner and mode of a new object that a caller creates in a directory, as
// extended attributes.
func (v *writable) posix(h *fuse.InHeader, mode uint32, k overlay.Kind) ([]byte, error) {
	d, err := v.t.Stat(v.id(h.NodeId))
	if err != nil {
		return nil, err
	}
	up := overlay.ReadPOSIX(d.EAs)
	p := overlay.POSIX{UID: h.Uid, GID: h.Gid, Mode: mode & 0o7777}
	if up.Mode&syscall.S_ISGID != 0 {
		p.GID = up.GID
		if k == overlay.Directory {
			p.Mode |= syscall.S_ISGID
		}
	}
	if k == overlay.Symlink {
		p.Mode = overlay.DefaultPOSIX.Mode
	}
	return overlay.WritePOSIX(nil, p, k)
}

func (v *writable) create(h *fuse.InHeader, name string, mode uint32, what overlay.New, k overlay.Kind, out *fuse.EntryOut) (overlay.Info, fuse.Status) {
	id := v.id(h.NodeId)
	var err error
	if what.EAs, err = v.posix(h, mode, k); err != nil {
		return overlay.Info{}, v.status("create", id, err)
	}
	i, err := v.t.Create(id, name, what)
	if err != nil {
		return i, v.status("create", id, err)
	}
	v.entry(&i, out)
	return i, fuse.OK
}

func (v *writable) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if t := in.Mode & syscall.S_IFMT; t != syscall.S_IFREG && t != 0 {
		return fuse.EPERM
	}
	_, status := v.create(&in.InHeader, name, in.Mode, overlay.New{}, overlay.Regular, out)
	return status
}

func (v *writable) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	_, status := v.create(&in.InHeader, name, in.Mode, overlay.New{Dir: true}, overlay.Directory, out)
	return status
}

func (v *writable) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	id := v.id(h.NodeId)
	reparse, dir, err := v.encodeLink(id, target)
	if err != nil {
		return v.status("make link", id, err)
	}
	_, status := v.create(h, name, 0o777, overlay.New{Dir: dir, Reparse: reparse}, overlay.Symlink, out)
	return status
}

func (v *writable) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	id := v.id(h.NodeId)
	i, err := v.t.Stat(id)
	if err != nil {
		return nil, v.status("read link", id, err)
	}
	if i.Kind != overlay.Symlink {
		return nil, fuse.EINVAL
	}
	return []byte(v.text(&i)), fuse.OK
}

func (v *writable) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	i, err := v.t.Link(v.id(in.Oldnodeid), v.id(in.NodeId), name)
	if err == overlay.ErrIsDirectory {
		return fuse.EPERM
	}
	if err != nil {
		return v.status("link", v.id(in.NodeId), err)
	}
	v.entry(&i, out)
	return fuse.OK
}

func (v *writable) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return v.status("unlink", v.id(h.NodeId), v.t.Unlink(v.id(h.NodeId), name))
}

func (v *writable) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return v.status("rmdir", v.id(h.NodeId), v.t.Rmdir(v.id(h.NodeId), name))
}

// The flags of renameat2.
const (
	renameNoReplace = 1
	renameExchange  = 2
)

func (v *writable) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	var flags overlay.RenameFlag
	switch in.Flags {
	case 0:
	case renameNoReplace:
		flags = overlay.NoReplace
	case renameExchange:
		flags = overlay.Exchange
	default:
		return fuse.EINVAL
	}
	return v.status("rename", v.id(in.NodeId), v.t.Rename(v.id(in.NodeId), name, v.id(in.Newdir), newName, flags))
}

// Access always succeeds: the kernel decides.
func (v *writable) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (v *writable) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	i, status := v.create(&in.InHeader, name, in.Mode, overlay.New{}, overlay.Regular, &out.EntryOut)
	if !status.Ok() {
		return status
	}
	h, err := v.t.Open(i.ID, true, false)
	if err != nil {
		v.t.Forget(i.ID, 1)
		return v.status("open", i.ID, err)
	}
	out.Fh, out.OpenFlags = v.open(h), fuse.FOPEN_KEEP_CACHE|fuse.FOPEN_NOFLUSH
	return fuse.OK
}

func (v *writable) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	id := v.id(in.NodeId)
	write := in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY
	h, err := v.t.Open(id, write, write && in.Flags&syscall.O_TRUNC != 0)
	if err != nil {
		return v.status("open", id, err)
	}
	out.Fh, out.OpenFlags = v.open(h), fuse.FOPEN_KEEP_CACHE|fuse.FOPEN_NOFLUSH
	return fuse.OK
}

func (v *writable) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h := v.handle(in.Fh)
	if h == nil {
		return nil, fuse.EBADF
	}
	n, err := h.ReadAt(buf, int64(in.Offset))
	if err != nil && err != io.EOF {
		return nil, v.status("read", v.id(in.NodeId), err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

func (v *writable) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h := v.handle(in.Fh)
	if h == nil {
		return 0, fuse.EBADF
	}
	n, err := h.WriteAt(data, int64(in.Offset))
	if n > 0 {
		return uint32(n), fuse.OK
	}
	return 0, v.status("write", v.id(in.NodeId), err)
}

func (v *writable) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	v.mu.Lock()
	h, _ := v.handles[in.Fh].(*overlay.Handle)
	delete(v.handles, in.Fh)
	v.mu.Unlock()
	if h == nil {
		return
	}
	if err := h.Close(); err != nil {
		v.status("close", v.id(in.NodeId), err)
	}
}

func (v *writable) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h := v.handle(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	return v.status("sync", v.id(in.NodeId), h.Sync())
}

func (v *writable) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return v.status("sync", v.id(in.NodeId), v.t.SyncNames())
}

// listing is an open directory: its contents when reading started.
type listing struct {
	mu   sync.Mutex
	list []overlay.Entry
}

func (v *writable) OpenDir(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.Fh = v.open(&listing{})
	return fuse.OK
}

func (v *writable) ReleaseDir(in *fuse.ReleaseIn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.handles, in.Fh)
}

// entries returns the entries from an offset on; the first two are . and .. .
func (v *writable) entries(in *fuse.ReadIn) ([]overlay.Entry, fuse.Status) {
	v.mu.Lock()
	l, _ := v.handles[in.Fh].(*listing)
	v.mu.Unlock()
	if l == nil {
		return nil, fuse.EBADF
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.Offset == 0 || l.list == nil {
		id := v.id(in.NodeId)
		list, err := v.t.ReadDir(id)
		if err != nil {
			return nil, v.status("read directory", id, err)
		}
		l.list = append([]overlay.Entry{{Name: ".", ID: id}, {Name: ".."}}, list...)
	}
	if in.Offset > uint64(len(l.list)) {
		return nil, fuse.OK
	}
	return l.list[in.Offset:], fuse.OK
}

func (v *writable) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, status := v.entries(in)
	for _, e := range list {
		d := fuse.DirEntry{Name: e.Name, Ino: e.ID}
		if e.DirKnown && e.Dir || e.Name == "." || e.Name == ".." {
			d.Mode = syscall.S_IFDIR
		}
		if !out.AddDirEntry(d) {
			break
		}
	}
	return status
}

func (v *writable) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	list, status := v.entries(in)
	for _, e := range list {
		d := fuse.DirEntry{Name: e.Name, Ino: e.ID}
		if e.Name == "." || e.Name == ".." {
			d.Mode = syscall.S_IFDIR
			if out.AddDirLookupEntry(d) == nil {
				break
			}
			continue
		}
		// The kernel counts a reference for each entry that it receives.
		i, err := v.t.Lookup(v.id(in.NodeId), e.Name)
		if err != nil {
			if out.AddDirLookupEntry(d) == nil { // the kernel requests it again
				break
			}
			continue
		}
		var entry fuse.EntryOut
		v.entry(&i, &entry)
		d.Ino, d.Mode = i.ID, entry.Mode
		place := out.AddDirLookupEntry(d)
		if place == nil {
			v.t.Forget(i.ID, 1)
			break
		}
		*place = entry
	}
	return status
}
