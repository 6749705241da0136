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
	"github.com/mullion/mullion/internal/publish"
)

// The files and directories below Config.Root, beside those of the cimlayer.Store.
const (
	lockName      = "lock"
	metadataName  = "metadata.db"
	snapshotsName = "snapshots"
)

// lockWait is how long New waits for a process that is about to end.
const lockWait = 3 * time.Second

// closeWait is how long Close waits for programs that look at a view.
const closeWait = 2 * time.Second

// Service owns a directory of snapshots and layers.
type Service struct {
	config Config
	root   string
	log    *slog.Logger
	meta   *storage.MetaStore
	store  *cimlayer.Store
	layers *references
	viewer viewer // nil where a snapshot cannot be shown to programs
	views  views
	// damaged is set if the record of some snapshot was unreadable at the start, so the
	// set of needed layers is not known.
	damaged bool
	hook    func(op, name string) error // fails operations in tests

	writing   sync.Mutex // a transaction of the metadata that writes
	snapshots keyed      // by number, to apply, commit, show or remove a snapshot
	applying  keyed      // by parent and blob, to make a layer

	closing sync.Once
	unlock  func() error
	closed  error
}

// New opens the directory of the configuration, removes the unfinished files of a process
// that died, and returns a service that the caller must Close. A directory that another
// process has open is the error ErrInUse.
func New(c Config) (*Service, error) {
	if c.Root == "" {
		return nil, errors.New("snapshotter: no root directory given")
	}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, err
	}
	return open(c, root, systemViewer(c))
}

func open(c Config, root string, v viewer) (*Service, error) {
	s := &Service{config: c, root: root, log: c.Log, viewer: v, views: views{open: map[string]*view{}}}
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
	if err := ownDirectory(s.root); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	var err error
	s.unlock, err = publish.Lock(ctx, filepath.Join(s.root, lockName))
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
	if s.meta, err = storage.NewMetaStore(filepath.Join(s.root, metadataName)); err != nil {
		return err
	}
	s.layers = newReferences(s.removeLayer)
	return s.recover()
}

// step is called before operations that can fail.
func (s *Service) step(op, name string) error {
	if s.hook == nil {
		return nil
	}
	return s.hook(op, name)
}

// removeLayer removes a layer that has no users. If that fails now, the next start
// removes it.
func (s *Service) removeLayer(chainID string) {
	err := s.step("remove layer", chainID)
	if err == nil {
		err = s.store.Remove(context.Background(), chainID)
	}
	if err != nil {
		s.log.Warn("remove layer", "layer", chainID, "err", err)
	}
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
		if s.viewer != nil && s.meta != nil {
			ctx, cancel := context.WithTimeout(context.Background(), closeWait)
			defer cancel()
			errs = append(errs, s.closeViews(ctx))
		}
		if s.meta != nil {
			errs = append(errs, s.meta.Close())
		}
		if s.store != nil {
			errs = append(errs, s.store.Close())
		}
		if s.unlock != nil {
			errs = append(errs, s.unlock())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
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
	err := s.walk(ctx, func(_ context.Context, i snapshots.Info) error {
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
	if err != nil {
		return n, err
	}
	layers, err := s.store.Layers()
	n.Layers, n.Mounted = len(layers), s.views.count()
	return n, err
}
