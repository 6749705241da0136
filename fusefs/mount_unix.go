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

// Mount shows a tree at the directory dir and returns when it can be used. The
// caller ends it with Unmount; the tree must live until then. Needs /dev/fuse, and
// fusermount3 where the caller is not root.
func Mount(dir string, t Tree, opt *Options) (*Server, error) {
	o := opt.withDefaults()
	v, err := newReadonly(t, o)
	if err != nil {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
	}
	return serveReadonly(dir, v, v, o)
}

// serveReadonly mounts a view as v is, or something around it.
func serveReadonly(dir string, around fuse.RawFileSystem, v *readonly, o Options) (*Server, error) {
	s, err := serve(dir, around, o, fuse.MountOptions{
		Options: []string{"ro", "nosuid", "nodev"},
		// Nothing ever changes behind the kernel's back, so it may keep what it learns.
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
	// fusermount says it in its own words, on standard error.
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: syscall.ENOTDIR}
	}
	m.FsName, m.Name = o.Name, "mullion"
	m.AllowOther = o.AllowOther
	if o.AllowOther && !slices.Contains(m.Options, "default_permissions") {
		m.Options = append(m.Options, "default_permissions") // the kernel holds them to the modes
	}
	m.DirectMount = os.Geteuid() == 0
	m.MaxReadAhead, m.MaxWrite, m.MaxBackground = 1<<20, 1<<20, 64
	m.IgnoreSecurityLabels = true
	m.DisableSplice = true // nothing is answered from a file
	s, err := fuse.NewServer(v, dir, &m)
	if err != nil {
		return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
	}
	go s.Serve()
	// On Linux the kernel has been answered already, and all that is left to wait for
	// is the file that is opened to be polled.
	if runtime.GOOS != "linux" || o.SameProcess {
		if err := s.WaitMount(); err != nil {
			return nil, &fs.PathError{Op: "mount", Path: dir, Err: err}
		}
	}
	return &Server{s, dir, func() {}}, nil
}

// Wait returns when the tree has been unmounted, by Unmount or by anyone else.
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
