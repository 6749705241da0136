package publish

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/mullion/mullion/internal/filelock"
)

// lockPoll is the interval at which a lock that another process holds is tried again.
// The system cannot wait for a lock and for a context at once.
const lockPoll = 20 * time.Millisecond

// Lock locks the file at path, which it creates if necessary, and waits while another process, or another call in this one, has it. The system
// drops the lock of a process that dies. The file stays behind, empty.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	root, name, err := split(path)
	if err != nil {
		return nil, err
	}
	unlock, err = LockIn(ctx, root, name)
	return unlock, errors.Join(err, root.Close())
}

// LockIn is Lock in an open directory. name is a single component. Only the own user can
// open the file, since a process that can open it can hold the lock for ever; the permissions
// of one that an earlier version has made are corrected.
func LockIn(ctx context.Context, root *os.Root, name string) (unlock func() error, err error) {
	f, err := openLock(root, name)
	if err != nil {
		return nil, err
	}
	for {
		ok, err := filelock.Try(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if ok {
			return f.Close, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockPoll):
		}
	}
}

func openLock(root *os.Root, name string) (*os.File, error) {
	for range 100 {
		f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		f, err = OpenPlain(root, name, true)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if st, err := f.Stat(); err == nil && st.Mode().Perm()&0o077 != 0 {
			// An error means that the file has another owner, or that the file system has
			// no permissions. The lock works in either case.
			_ = f.Chmod(0o600)
		}
		return f, nil
	}
	return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrBusy}
}
