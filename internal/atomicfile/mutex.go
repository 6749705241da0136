package atomicfile

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/mullion/mullion/internal/filelock"
)

// lockPoll is how often a lock that somebody else holds is tried again. The system
// has no way to wait for a lock and for a context at once.
const lockPoll = 20 * time.Millisecond

// lock fails with ErrBusy where somebody else has the lock.
func lock(f *os.File) error {
	ok, err := filelock.Try(f)
	if err == nil && !ok {
		err = ErrBusy
	}
	return err
}

// Lock takes the lock that the file at path stands for, making the file if need be,
// and waits while another process, or another call in this one, has it. The system
// drops the lock of a process that dies. The file stays behind, empty.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|openFlags, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		err := lock(f)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, ErrBusy) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockPoll):
		}
	}
}
