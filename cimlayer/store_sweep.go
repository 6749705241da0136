package cimlayer

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// Layers returns the chain IDs of all layers, in no particular order.
func (s *Store) Layers() ([]string, error) {
	list, err := fs.ReadDir(s.images.FS(), ".")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), ".cim"); ok {
			if id, ok := chainIDOf(name); ok {
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// chainIDOf is the inverse of layerName. The length of the name implies the algorithm.
func chainIDOf(name string) (string, bool) {
	algorithm, ok := map[int]string{64: "sha256", 96: "sha384", 128: "sha512"}[len(name)]
	if !ok || strings.Trim(name, "0123456789abcdef") != "" {
		return "", false
	}
	return algorithm + ":" + name, true
}

// Remove deletes a layer, after waiting for a process that is making it. Layers above it
// become unreadable. A missing layer is not an error. The remains of a layer after a
// failed Remove don't count as a layer; Sweep removes them.
func (s *Store) Remove(ctx context.Context, chainID string) error {
	loc, err := s.Location(chainID)
	if err != nil {
		return err
	}
	unlock, err := publish.LockIn(ctx, s.locks, strings.TrimSuffix(loc.Name, ".cim"))
	if err != nil {
		return err
	}
	return errors.Join(loc.Remove(), unlock())
}

// Sweep removes everything that belongs to no layer: the leftovers of processes that died
// while they made or removed layers. No other process may use the store meanwhile.
func (s *Store) Sweep() error {
	// First, since it may take files away that belong to no image.
	errs := []error{cimfs.ClearLeftovers(s.images)}
	list, err := fs.ReadDir(s.images.FS(), ".")
	if err != nil {
		return err
	}
	there := map[string]bool{}     // by name
	owned := map[winfs.GUID]bool{} // of region sets
	damaged := false               // the files of an image can't be distinguished from unused ones
	for _, e := range list {
		name, ok := strings.CutSuffix(e.Name(), ".cim")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		if strings.HasPrefix(name, namelessPrefix) {
			errs = append(errs, s.location(name).Remove())
			continue
		}
		there[name] = true
		im, err := cimfs.OpenFiles(cimfs.RootOpener(s.images), e.Name(), cimfs.Limits{})
		if err != nil {
			damaged = true
			errs = append(errs, err)
			continue
		}
		owned[im.GUID()] = true
		errs = append(errs, im.Close())
	}
	for _, e := range list {
		n := e.Name()
		guid, ofSet := cimfs.SetGUID(n)
		switch {
		case ofSet && !damaged && !owned[guid]:
			err := publish.Remove(s.images, n)
			if !errors.Is(err, fs.ErrNotExist) { // gone with its nameless image
				errs = append(errs, err)
			}
		}
	}
	if list, err = fs.ReadDir(s.layers.FS(), "."); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, e := range list {
		if !there[e.Name()] {
			errs = append(errs, publish.RemoveAll(s.layers, e.Name()))
		}
	}
	// Lock files are empty, but a store that lives long would fill with them.
	if list, err = fs.ReadDir(s.locks.FS(), "."); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, e := range list {
		if !there[e.Name()] {
			errs = append(errs, publish.Remove(s.locks, e.Name()))
		}
	}
	return errors.Join(errs...)
}
