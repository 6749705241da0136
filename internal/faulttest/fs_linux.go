package faulttest

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/mullion/mullion/internal/testenv"
)

// FS is a mount of a directory at another one in which chosen operations fail. Its
// methods may be called at any time.
type FS struct {
	mu     sync.Mutex
	done   map[string][]string
	op     string // the kind of operation that fails, "" for none
	from   int    // the first one that does, counted from 1
	upTo   int    // the last one
	failed []string
}

// Mount shows the directory disk at dir, which must exist too, for the length of a test.
func Mount(tb testing.TB, disk, dir string) *FS {
	tb.Helper()
	node, err := fs.NewLoopbackRoot(disk)
	if err != nil {
		tb.Fatal(err)
	}
	f := &FS{done: map[string][]string{}}
	timeout := time.Second // the directory only changes through the mount
	server, err := fs.Mount(dir, &faultNode{node.(*fs.LoopbackNode), f}, &fs.Options{
		AttrTimeout: &timeout, EntryTimeout: &timeout,
		// Not DirectMount: then programs that a test starts would inherit the device, and
		// the file system live on without the process that serves it.
		MountOptions: fuse.MountOptions{FsName: "faulttest"},
	})
	if err != nil {
		testenv.Missing(tb, fmt.Sprintf("this machine has no usable FUSE: %v", err))
	}
	tb.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			tb.Error(err)
		}
		server.Wait()
	})
	return f
}

// Fail restarts the count, and has the operations of a kind fail with EIO from one to
// another, counted from 1. Of the kind "" there are none.
func (f *FS) Fail(op string, from, upTo int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.failed = map[string][]string{}, nil
	f.op, f.from, f.upTo = op, from, upTo
}

// End stops the failures. It returns the files of all operations since the last call of
// Fail, by kind and in their order, and the failed operations.
func (f *FS) End() (done map[string][]string, failed []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	done, failed = f.done, f.failed
	f.done, f.op, f.failed = map[string][]string{}, "", nil
	return done, failed
}

func (f *FS) check(op, path string) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[op] = append(f.done[op], path)
	n := len(f.done[op])
	if op != f.op || n < f.from || n > f.upTo {
		return 0
	}
	f.failed = append(f.failed, fmt.Sprintf("%s %d: %s", op, n, path))
	return syscall.EIO
}

// faultNode is a file or directory that is another one, but for the faults.
type faultNode struct {
	*fs.LoopbackNode
	faults *FS
}

var (
	_ fs.NodeWrapChilder    = (*faultNode)(nil)
	_ fs.NodeOpener         = (*faultNode)(nil)
	_ fs.NodeOpendirHandler = (*faultNode)(nil)
	_ fs.NodeCreater        = (*faultNode)(nil)
	_ fs.NodeMkdirer        = (*faultNode)(nil)
	_ fs.NodeLinker         = (*faultNode)(nil)
	_ fs.NodeRenamer        = (*faultNode)(nil)
	_ fs.NodeSetattrer      = (*faultNode)(nil)
)

func (n *faultNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &faultNode{ops.(*fs.LoopbackNode), n.faults}
}

// check returns the error for an operation on the child name of n, or on n itself.
func (n *faultNode) check(op, name string) syscall.Errno {
	return n.faults.check(op, filepath.Join(n.Path(nil), name))
}

func (n *faultNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	f, flags, err := n.LoopbackNode.Open(ctx, flags)
	if err != 0 {
		return nil, 0, err
	}
	return &faultFile{f.(*fs.LoopbackFile), n}, flags, 0
}

func (n *faultNode) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	d, flags, err := n.LoopbackNode.OpendirHandle(ctx, flags)
	if err != 0 {
		return nil, 0, err
	}
	return &faultDir{d.(openDir), n}, flags, 0
}

func (n *faultNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if err := n.check(Create, name); err != 0 {
		return nil, nil, 0, err
	}
	inode, f, flags, err := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if err != 0 {
		return nil, nil, 0, err
	}
	return inode, &faultFile{f.(*fs.LoopbackFile), inode.Operations().(*faultNode)}, flags, 0
}

func (n *faultNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if err := n.check(Mkdir, name); err != 0 {
		return nil, err
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *faultNode) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if err := n.check(Link, name); err != 0 {
		return nil, err
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *faultNode) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if err := n.check(Rename, name); err != 0 {
		return err
	}
	return n.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}

func (n *faultNode) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if _, ok := in.GetSize(); ok {
		if err := n.check(Truncate, ""); err != 0 {
			return err
		}
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

// faultFile is an open file of a faultNode.
type faultFile struct {
	*fs.LoopbackFile
	n *faultNode
}

// PassthroughFd keeps the kernel from writing to the file behind without asking.
func (f *faultFile) PassthroughFd() (int, bool) { return 0, false }

func (f *faultFile) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if err := f.n.check(Write, ""); err != 0 {
		return 0, err
	}
	return f.LoopbackFile.Write(ctx, data, off)
}

// Fsync makes nothing durable: the machines of tests do not lose power, and have slow
// disks.
func (f *faultFile) Fsync(context.Context, uint32) syscall.Errno { return f.n.check(Fsync, "") }

// openDir lists the methods of an open directory of the loopback file system.
type openDir interface {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
	fs.FileFsyncdirer
}

// faultDir is an open directory of a faultNode.
type faultDir struct {
	openDir
	n *faultNode
}

func (d *faultDir) Fsyncdir(context.Context, uint32) syscall.Errno { return d.n.check(Fsync, "") }
