package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/internal/atomicfile"
)

// The files and directories below Config.Root, beside those of the cimlayer.Store.
const (
	lockName      = "lock"
	metadataName  = "metadata.db"
	snapshotsName = "snapshots"
)

// lockWait is how long New waits for a process that is about to end.
const lockWait = 3 * time.Second

// Service owns a directory of snapshots and layers.
type Service struct {
	config Config
	root   string
	log    *slog.Logger
	meta   *storage.MetaStore
	store  *cimlayer.Store

	closing sync.Once
	unlock  func() error
	closed  error
}

// New opens the directory of the configuration, clears away what a process that
// died left in it, and returns a service that the caller must Close. A directory that
// another process has open is an error, ErrInUse.
func New(c Config) (*Service, error) {
	if c.Root == "" {
		return nil, errors.New("snapshotter: no root directory given")
	}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, err
	}
	s := &Service{config: c, root: root, log: c.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, fmt.Errorf("snapshotter: open %s: %w", root, err)
	}
	return s, nil
}

func (s *Service) open() error {
	if err := os.MkdirAll(s.root, 0o711); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	var err error
	s.unlock, err = atomicfile.Lock(ctx, filepath.Join(s.root, lockName))
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrInUse
	}
	if err != nil {
		return err
	}
	if s.store, err = cimlayer.OpenStore(s.root); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.root, snapshotsName), 0o700); err != nil {
		return err
	}
	s.meta, err = storage.NewMetaStore(filepath.Join(s.root, metadataName))
	return err
}

// Snapshotter returns the snapshotter of the service.
func (s *Service) Snapshotter() *Snapshotter { return &Snapshotter{s} }

// Differ returns the differ of the service.
func (s *Service) Differ() *Differ { return &Differ{s} }

// Store returns the layers of the service. Nobody else may remove any of them.
func (s *Service) Store() *cimlayer.Store { return s.store }

// Close ends all views and releases the directory. Closing twice is allowed.
func (s *Service) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.meta != nil {
			errs = append(errs, s.meta.Close())
		}
		if s.unlock != nil {
			errs = append(errs, s.unlock())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

// tx runs fn in a transaction of the metadata, which is committed if it is writable
// and fn succeeds.
func (s *Service) tx(ctx context.Context, writable bool, fn func(context.Context) error) error {
	ctx, t, err := s.meta.TransactionContext(ctx, writable)
	if err != nil {
		return err
	}
	if err = fn(ctx); err != nil || !writable {
		if rollback := t.Rollback(); rollback != nil {
			err = errors.Join(err, rollback)
		}
		return err
	}
	return t.Commit()
}

// observe reports a finished operation.
func (s *Service) observe(e Event, begin time.Time) {
	if s.config.Observe != nil {
		e.Duration = time.Since(begin)
		s.config.Observe(e)
	}
}

// Stats counts what the service holds.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	var n Stats
	err := s.Snapshotter().Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		switch i.Kind {
		case snapshots.KindActive:
			n.Active++
		case snapshots.KindView:
			n.Views++
		case snapshots.KindCommitted:
			n.Committed++
		}
		return nil
	})
	return n, err
}
