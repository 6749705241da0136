//go:build linux || darwin

package fusefs

import (
	"io/fs"
	"os"
	"runtime"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Server is a mounted tree.
type Server struct {
	fuse *fuse.Server
	dir  string
	idle func() // waits until nothing uses the tree besides requests
}

// Mount mounts a tree at the directory dir and returns when it can be used. The caller ends
// it with Unmount; the tree must stay open until then. It needs /dev/fuse, and fusermount3
// if the caller is not root.
func Mount(dir string, t Tree, opt *Options) (*Server, error) {
	o := opt.withDefaults()
	v, err := newReadonly(t, o)
	if err != nil {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
	}
	return serveReadonly(dir, v, v, o)
}

// serveReadonly mounts the view v, or the file system around it.
func serveReadonly(dir string, around fuse.RawFileSystem, v *readonly, o Options) (*Server, error) {
	s, err := serve(dir, around, o, fuse.MountOptions{
		Options: []string{"ro", "nosuid", "nodev"},
		// The tree never changes, so the kernel may cache everything.
		ExplicitDataCacheControl: true,
		EnableSymlinkCaching:     true,
	})
	if err != nil {
		return nil, err
	}
	s.idle = v.ahead.running.Wait
	return s, nil
}

// serve mounts a file system.
func serve(dir string, v fuse.RawFileSystem, o Options, m fuse.MountOptions) (*Server, error) {
	// fusermount would write its own message to standard error.
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: syscall.ENOTDIR}
	}
	m.FsName, m.Name = o.Name, "mullion"
	m.AllowOther = o.AllowOther
	if o.AllowOther && !slices.Contains(m.Options, "default_permissions") {
		m.Options = append(m.Options, "default_permissions") // the kernel enforces the modes
	}
	m.DirectMount = os.Geteuid() == 0
	m.MaxReadAhead, m.MaxWrite, m.MaxBackground = 1<<20, 1<<20, 64
	m.IgnoreSecurityLabels = true
	m.DisableSplice = true // no answer comes from a file
	s, err := fuse.NewServer(v, dir, &m)
	if err != nil {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
	}
	go s.Serve()
	// On Linux the kernel has been answered already, and only the file that is opened to be
	// polled remains to wait for.
	if runtime.GOOS != "linux" || o.SameProcess {
		if err := s.WaitMount(); err != nil {
			return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
		}
	}
	return &Server{s, dir, func() {}}, nil
}

// Wait returns when the tree has been unmounted, by Unmount or in another way.
func (s *Server) Wait() {
	s.fuse.Wait()
	s.idle()
}

// Unmount ends the file system. It fails with EBUSY while a program uses it.
func (s *Server) Unmount() error {
	if err := s.fuse.Unmount(); err != nil {
		return &fs.PathError{Op: "unmount", Path: s.dir, Err: err}
	}
	s.idle()
	return nil
}
