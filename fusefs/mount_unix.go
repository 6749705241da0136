//go:build linux || darwin

package fusefs

import (
	"context"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// Server is a mounted tree.
type Server struct {
	fuse *fuse.Server
	dir  string
}

// Mount shows a tree at the directory dir and returns when it can be used. The
// caller ends it with Unmount; the tree must live until then. Needs /dev/fuse, and
// fusermount3 where the caller is not root.
func Mount(dir string, t Tree, opt *Options) (*Server, error) {
	o := opt.withDefaults()
	// fusermount says it in its own words, on standard error.
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: syscall.ENOTDIR}
	}
	root, err := t.Root()
	if err != nil {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
	}
	// Nothing ever changes behind the kernel's back, so it may keep what it learns.
	forever := 24 * time.Hour
	v := &view{opt: o}
	s, err := fusefs.Mount(dir, &node{view: v, file: root}, &fusefs.Options{
		MountOptions: fuse.MountOptions{
			FsName:        o.Name,
			Name:          "mullion",
			AllowOther:    o.AllowOther || os.Geteuid() == 0,
			Options:       []string{"ro", "nosuid", "nodev"},
			MaxReadAhead:  1 << 20,
			MaxWrite:      1 << 20,
			DirectMount:   os.Geteuid() == 0,
			EnableLocks:   false,
			MaxBackground: 64,
		},
		EntryTimeout:    &forever,
		AttrTimeout:     &forever,
		NegativeTimeout: &forever,
		RootStableAttr:  &fusefs.StableAttr{Mode: syscall.S_IFDIR, Ino: root.ID()},
	})
	if err != nil {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
	}
	return &Server{s, dir}, nil
}

// Wait returns when the tree has been unmounted, by Unmount or by anyone else.
func (s *Server) Wait() { s.fuse.Wait() }

// Unmount ends the file system. It fails with EBUSY while a program uses it.
func (s *Server) Unmount() error {
	if err := s.fuse.Unmount(); err != nil {
		return &fs.PathError{Op: "unmount", Path: s.dir, Err: err}
	}
	return nil
}

// view is what the nodes of one mount share.
type view struct{ opt Options }

func (v *view) errno(op, path string, err error) syscall.Errno { return v.opt.errno(op, path, err) }

// node is a file of the tree that the kernel knows of.
type node struct {
	fusefs.Inode
	view *view
	file File
	path string // under which it was first found, backslashes
}

var (
	_ fusefs.NodeLookuper    = (*node)(nil)
	_ fusefs.NodeGetattrer   = (*node)(nil)
	_ fusefs.NodeReaddirer   = (*node)(nil)
	_ fusefs.NodeOpener      = (*node)(nil)
	_ fusefs.NodeReadlinker  = (*node)(nil)
	_ fusefs.NodeGetxattrer  = (*node)(nil)
	_ fusefs.NodeListxattrer = (*node)(nil)
	_ fusefs.FileReader      = (*handle)(nil)
)

// reparse returns the reparse point of a symbolic link or junction, nil for any
// other file. A buffer that cannot be parsed makes no link of its file.
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

func typeOf(f File) uint32 {
	switch {
	case linkOf(f) != nil:
		return syscall.S_IFLNK
	case f.IsDir():
		return syscall.S_IFDIR
	}
	return syscall.S_IFREG
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	f, err := n.file.Child(name)
	if err != nil {
		return nil, n.view.errno("lookup", winfs.JoinPath(n.path, name), err)
	}
	c := &node{view: n.view, file: f, path: winfs.JoinPath(n.path, name)}
	mode := typeOf(f)
	if errno := c.attr(mode, &out.Attr); errno != 0 {
		return nil, errno
	}
	return n.NewInode(ctx, c, fusefs.StableAttr{Mode: mode, Ino: f.ID()}), 0
}

func (n *node) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.attr(typeOf(n.file), &out.Attr)
}

func (n *node) attr(mode uint32, a *fuse.Attr) syscall.Errno {
	f := n.file
	links, err := f.NumLinks()
	if err != nil {
		return n.view.errno("stat", n.path, err)
	}
	eas, err := f.EAs()
	if err != nil {
		return n.view.errno("stat", n.path, err)
	}
	// As in a writable view: what programs set there they find in what was committed.
	// That nothing can be written is a property of the mount.
	p := overlay.ReadPOSIX(eas)
	a.Ino, a.Nlink, a.Size, a.Blksize = f.ID(), uint32(links), uint64(f.Size()), 4096
	a.Uid, a.Gid, a.Mode = p.UID, p.GID, mode|p.Mode
	switch mode {
	case syscall.S_IFDIR:
		a.Nlink++ // itself
		a.Size = 0
	case syscall.S_IFLNK:
		a.Mode = mode | 0o777
		a.Size = uint64(len(n.link(linkOf(f))))
	}
	a.Blocks = (a.Size + 511) / 512
	t := f.Times()
	setTime(&a.Mtime, &a.Mtimensec, t.LastWrite)
	setTime(&a.Atime, &a.Atimensec, t.LastAccess)
	setTime(&a.Ctime, &a.Ctimensec, t.Change)
	return 0
}

// setTime leaves a time that is not set at 1970. Earlier times are negative seconds,
// which the kernel takes as such.
func setTime(sec *uint64, nsec *uint32, t winfs.Filetime) {
	if t == 0 {
		return
	}
	u := t.Time()
	*sec, *nsec = uint64(u.Unix()), uint32(u.Nanosecond())
}

func (n *node) link(p *winfs.ReparsePoint) string {
	if p == nil {
		return ""
	}
	return linkText(n.path, p, n.view.opt.DriveRoot)
}

func (n *node) Readlink(context.Context) ([]byte, syscall.Errno) {
	p := linkOf(n.file)
	if p == nil {
		return nil, syscall.EINVAL
	}
	return []byte(n.link(p)), 0
}

func (n *node) Readdir(context.Context) (fusefs.DirStream, syscall.Errno) {
	var list []fuse.DirEntry
	for e, err := range n.file.Entries() {
		if err != nil {
			return nil, n.view.errno("read directory", n.path, err)
		}
		// No type: it would cost a record for each name, and nothing is lost, since
		// programs that need it ask.
		d := fuse.DirEntry{Name: e.Name, Ino: e.ID}
		if e.DirKnown && e.Dir {
			d.Mode = syscall.S_IFDIR
		}
		list = append(list, d)
	}
	return fusefs.NewListDirStream(list), 0
}

func (n *node) Open(_ context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	s, err := n.file.Open()
	if err != nil {
		return nil, 0, n.view.errno("open", n.path, err)
	}
	return &handle{n, s}, fuse.FOPEN_KEEP_CACHE, 0
}

// handle is an open file.
type handle struct {
	node   *node
	stream Stream
}

func (h *handle) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n, err := h.stream.ReadAt(dest, off)
	if err != nil && err != io.EOF {
		return nil, h.node.view.errno("read", h.node.path, err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}
