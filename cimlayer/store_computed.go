package cimlayer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// namelessPrefix begins the names of layers that are written before their chain ID
// is known. No layer has such a name, since a name is hex digits alone.
const namelessPrefix = "new-"

// maxNameless bounds how many layers may be written without a name at once.
const maxNameless = 1 << 12

// AddComputed makes a layer whose chain ID is known only after all of it was written, for
// example because it is derived from a digest over fill's source. fill returns it. If the
// store has that layer by then, the new files are discarded and made is false. Otherwise
// AddComputed is like Add.
func (s *Store) AddComputed(ctx context.Context, parents []string, fill func(layer.Writer) (chainID string, err error), opts ...Option) (chainID string, made bool, err error) {
	chain, err := s.locations(parents)
	if err != nil {
		return "", false, err
	}
	temp, unlock, err := s.nameless()
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	w, err := Create(temp, chain, opts...)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if chainID, err = fill(w); err != nil {
		return "", false, err
	}
	loc, err := s.Location(chainID)
	if err != nil {
		return "", false, err
	}
	if there, _, err := s.lookup(loc, chain); err != nil {
		return chainID, false, err
	} else if there {
		return chainID, false, s.hives(loc, len(parents), opts)
	}
	if err := w.Commit(); err != nil {
		return "", false, err
	}
	made, err = s.publish(ctx, temp, loc, chain, opts)
	if err == nil && !made {
		err = s.hives(loc, len(parents), opts)
	}
	if err != nil || !made {
		err = errors.Join(err, temp.Remove())
	}
	return chainID, made, err
}

// nameless reserves a name for a layer that has none yet and removes the leftovers of a
// dead process under that name.
func (s *Store) nameless() (Location, func() error, error) {
	for i := range maxNameless {
		name := fmt.Sprintf("%s%d", namelessPrefix, i)
		unlock, err := s.tryLock(name)
		if err != nil {
			return Location{}, nil, err
		}
		if unlock == nil {
			continue
		}
		loc := s.location(name)
		if err := loc.Remove(); err != nil {
			return Location{}, nil, errors.Join(err, unlock())
		}
		return loc, unlock, nil
	}
	return Location{}, nil, fmt.Errorf("%d layers are being written to %s: %w", maxNameless, s.dir, layer.ErrLimit)
}

// tryLock takes a lock of the store, or returns nil if it is held.
func (s *Store) tryLock(name string) (unlock func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	unlock, err = publish.LockIn(ctx, s.locks, name)
	if errors.Is(err, context.Canceled) {
		return nil, nil
	}
	return unlock, err
}

// publish renames a complete layer to its final name. The region files of the image keep
// their names: an image refers to them by the GUID in it.
func (s *Store) publish(ctx context.Context, from, to Location, chain []Location, opts []Option) (made bool, err error) {
	name := strings.TrimSuffix(to.Name, ".cim")
	unlock, err := publish.LockIn(ctx, s.locks, name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if there, err := s.clear(to, chain, opts); there || err != nil {
		return false, err
	}
	if err := s.rename(from, to); err != nil {
		return false, errors.Join(err, to.Remove())
	}
	return true, nil
}

// rename renames files and image, the image last. After an error some may have their new
// name already.
func (s *Store) rename(from, to Location) error {
	if err := publish.Rename(s.layers, from.base(), to.base()); err != nil {
		return err
	}
	if err := publish.SyncDir(s.layers); err != nil {
		return err
	}
	if err := publish.Rename(s.images, from.Name, to.Name); err != nil {
		return err
	}
	return publish.SyncDir(s.images)
}
