package snapshotter

import (
	"errors"
	"fmt"
	"log/slog"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/fusefs"
	"github.com/mullion/mullion/overlay"
)

// fuseViewer shows trees through FUSE.
type fuseViewer struct {
	log         *slog.Logger
	sameProcess bool
}

// systemViewer returns the viewer for Linux, which mounts with FUSE.
func systemViewer(c Config) viewer { return fuseViewer{c.Log, c.SameProcess} }

func (v fuseViewer) options() *fusefs.Options {
	return &fusefs.Options{Log: v.log, SameProcess: v.sameProcess}
}

func (v fuseViewer) readOnly(dir string, t fusefs.Tree) (server, error) {
	return fusefs.Mount(dir, t, v.options())
}

func (v fuseViewer) open(dir string, im *cimfs.Image) (upper, error) {
	lower := overlay.NoLower()
	if im != nil {
		lower = overlay.CimLower(im)
	}
	t, err := overlay.Open(dir, lower, nil)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (v fuseViewer) writable(dir string, u upper) (server, error) {
	return fusefs.MountOverlay(dir, u.(*overlay.Tree), v.options())
}

// detach unmounts until nothing is mounted at dir: a process that died may have left
// a mount below the present one.
func (v fuseViewer) detach(dir string) error {
	for range 64 {
		err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // not mounted
			return nil
		case errors.Is(err, unix.EPERM):
			// Who is not root has mounted with the help of fusermount3.
			mounted, merr := fuseMounted(dir)
			if !mounted || merr != nil {
				return merr
			}
			if out, err := exec.Command("fusermount3", "-u", "-z", dir).CombinedOutput(); err != nil {
				return fmt.Errorf("unmount %s: %w: %s", dir, err, out)
			}
		case err != nil:
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	return fmt.Errorf("unmount %s: too many mounts upon each other", dir)
}

// fuseMounted reports whether a FUSE file system is mounted at dir, also one whose
// process is gone.
func fuseMounted(dir string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	switch {
	case errors.Is(err, unix.ENOTCONN):
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, err
	}
	return st.Type == unix.FUSE_SUPER_MAGIC, nil
}
