package snapshotter

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
)

// inEffect is the error of a transaction that everybody sees although it could not be
// made durable. What goes with it on disk has to follow it, not the error.
type inEffect struct{ err error }

func (e *inEffect) Error() string { return e.err.Error() }
func (e *inEffect) Unwrap() error { return e.err }

// failed reports that a transaction did not take place. tx has two kinds of error; this
// is the one after which the work that belongs to the transaction must be undone.
func failed(err error) bool {
	var e *inEffect
	return err != nil && !errors.As(err, &e)
}

// tx runs fn in a transaction of the metadata, which is committed if it is writable
// and fn succeeds.
func (s *Service) tx(ctx context.Context, writable bool, fn func(context.Context) error) error {
	if writable {
		s.writing.Lock() // bolt lets one write at a time too, but not until settle is done
		defer s.writing.Unlock()
	}
	ctx, t, err := s.meta.TransactionContext(ctx, writable)
	if err != nil {
		return err
	}
	returned := false
	defer func() {
		if !returned { // a transaction that a panic leaves open would be the last one
			t.Rollback()
		}
	}()
	err = fn(ctx)
	returned = true
	if err != nil || !writable {
		if rollback := t.Rollback(); rollback != nil {
			err = errors.Join(err, rollback)
		}
		return err
	}
	n := number(t)
	if err := t.Commit(); err != nil {
		return s.settle(ctx, n, fmt.Errorf("commit metadata: %w", err))
	}
	return nil
}

// settle decides whether the transaction with the number n took place after its Commit
// failed. bolt writes a meta page and then syncs it. If the sync failed, readers already
// see the new page, and the pages that it refers to were synced before it, so one more
// transaction without changes makes it durable.
func (s *Service) settle(ctx context.Context, n int, err error) error {
	_, t, look := s.meta.TransactionContext(ctx, false)
	if look != nil {
		return errors.Join(err, look)
	}
	last := number(t)
	if rollback := t.Rollback(); rollback != nil {
		return errors.Join(err, rollback)
	}
	if last < n {
		return err
	}
	s.log.Warn("metadata could not be made durable; try again", "err", err)
	if _, t, err = s.meta.TransactionContext(ctx, true); err == nil {
		err = t.Commit()
	}
	if err != nil {
		return &inEffect{fmt.Errorf("commit metadata: %w", err)}
	}
	return nil
}

// number is that of a transaction of bolt. A reader has the number of the last writer
// whose changes it sees.
func number(t storage.Transactor) int { return t.(interface{ ID() int }).ID() }
