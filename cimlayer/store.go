package cimlayer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// Store is a directory of layers that images share. A layer is named by its chain
// ID, the digest of its content together with that of everything below it, so equal
// layers over equal parents are one, whichever image brought them.
//
//	DIR/cim-layers/HEX.cim, region_*, objectid_*   the images
//	DIR/layers/HEX/                                the files next to each image
//	DIR/locks/HEX                                  empty; locked while a layer is made
//
// Any number of processes may use a store at once. One of them makes a layer while the
// others wait; a process that dies leaves nothing that counts as a layer.
type Store struct {
	dir                         string
	root, images, layers, locks *os.Root
}

// The directories of a store.
const (
	storeImages = "cim-layers"
	storeLayers = "layers"
	storeLocks  = "locks"
)

// OpenStore opens the store at dir and creates the missing parts of it. Its directories
// stay open until Close, and none of them may be a symbolic link: writes to the store
// stay in it even if another process renames or replaces directories meanwhile.
func OpenStore(dir string) (_ *Store, err error) {
	s := &Store{dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.root, err = openOrMake(dir); err != nil {
		return nil, err
	}
	root := s.root
	for name, sub := range map[string]**os.Root{storeImages: &s.images, storeLayers: &s.layers, storeLocks: &s.locks} {
		if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if *sub, err = publish.OpenFolder(root, name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openOrMake opens a directory, which may be a symbolic link to one. One that it makes
// is opened as it was made: a link that has taken its place is refused.
func openOrMake(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	dir = filepath.Clean(dir)
	up, err := openOrMake(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	name := filepath.Base(dir)
	if err = up.Mkdir(name, 0o755); err == nil || errors.Is(err, fs.ErrExist) {
		root, err = publish.OpenFolder(up, name)
	}
	return root, errors.Join(err, up.Close())
}

// Root returns the directory of the store. It belongs to the store.
func (s *Store) Root() *os.Root { return s.root }

// Close lets go of the directories. Locations of the store cannot be used any more, nor
// writers that are still open.
func (s *Store) Close() error {
	var errs []error
	for _, r := range []*os.Root{s.root, s.images, s.layers, s.locks} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(errs...)
}

// Dir returns the directory of the store.
func (s *Store) Dir() string { return s.dir }

// Location returns the place of a layer, whether it is there or not. chainID is a
// digest, "sha256:HEX".
func (s *Store) Location(chainID string) (Location, error) {
	name, err := layerName(chainID)
	if err != nil {
		return Location{}, err
	}
	return s.location(name), nil
}

func (s *Store) location(name string) Location {
	return Location{
		Images: filepath.Join(s.dir, storeImages),
		Name:   name + ".cim",
		Files:  filepath.Join(s.dir, storeLayers, name),
		images: s.images,
		layers: s.layers,
	}
}

// layerName takes the digits of a digest: they are a file name on every system.
func layerName(chainID string) (string, error) {
	_, hex, ok := strings.Cut(chainID, ":")
	if !ok || len(hex) < 32 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("chain ID %.100q: %w", chainID, layer.ErrInvalidName)
	}
	return hex, nil
}

// Has reports whether a layer is there, whole: its image opens, all region files exist, and
// so do the merged hives beside it. A layer that has lost one of them is none, and Add
// makes it again.
func (s *Store) Has(chainID string) (bool, error) {
	loc, err := s.Location(chainID)
	if err != nil {
		return false, err
	}
	there, _, err := s.lookup(loc, nil)
	return there, err
}

// lookup is Has for a layer whose parents are known, immediate parent last. damage says
// what is wrong with a layer that is there but not whole.
func (s *Store) lookup(loc Location, parents []Location) (there bool, damage, err error) {
	var parent *Location
	if n := len(parents); n > 0 {
		parent = &parents[n-1]
	}
	there, err = loc.state(parent)
	if d := (*damaged)(nil); errors.As(err, &d) {
		return false, d.err, nil
	}
	return there, nil, err
}

// Add makes a layer unless it is there, whole, and reports whether it did. A layer that has
// lost files is removed and made again (see WithDamage). parents are the
// chain IDs of the layers below it, base first; they must be there.
// fill writes the entries; the store commits. A base layer that is there without the
// hives that opts ask for is an error, ErrNoHive. Two processes, or goroutines, that add
// the same layer do the work once: the second waits and finds it done.
func (s *Store) Add(ctx context.Context, chainID string, parents []string, fill func(layer.Writer) error, opts ...Option) (made bool, err error) {
	loc, err := s.Location(chainID)
	if err != nil {
		return false, err
	}
	chain, err := s.locations(parents)
	if err != nil {
		return false, err
	}
	if there, _, err := s.lookup(loc, chain); err != nil {
		return false, err
	} else if there {
		return false, errors.Join(s.hives(loc, len(parents), opts), s.sweep())
	}
	name, _ := layerName(chainID)
	unlock, err := publish.LockIn(ctx, s.locks, name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if there, err := s.clear(loc, chain, opts); err != nil {
		return false, err
	} else if there {
		return false, s.hives(loc, len(parents), opts)
	}
	w, err := Create(loc, chain, opts...)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := fill(w); err != nil {
		return false, err
	}
	return true, w.Commit()
}

// clear reports whether a layer is there, and removes what there is of one that is not
// whole. The caller holds its lock.
func (s *Store) clear(loc Location, chain []Location, opts []Option) (there bool, err error) {
	there, damage, err := s.lookup(loc, chain)
	if there || err != nil {
		return there, err
	}
	if damage != nil {
		if f := newOptions(opts).damage; f != nil {
			name := strings.TrimSuffix(loc.Name, ".cim")
			if id, ok := chainIDOf(name); ok {
				name = id
			}
			f(name, damage)
		}
		return false, s.removeDamaged(loc)
	}
	// A process that held the lock and died may have published the files but not the
	// image, without which there is no layer.
	return false, loc.removeFiles()
}

// locations returns the places of layers in the order of their chain IDs.
func (s *Store) locations(chainIDs []string) ([]Location, error) {
	var chain []Location
	for _, id := range chainIDs {
		l, err := s.Location(id)
		if err != nil {
			return nil, err
		}
		chain = append(chain, l)
	}
	return chain, nil
}

// hives refuses an existing base layer that was made without all hives by a caller who
// allowed that.
func (s *Store) hives(loc Location, parents int, opts []Option) error {
	o := newOptions(opts)
	if parents > 0 || o.missing == LeaveMissing || o.missing == TreeMissing {
		return nil
	}
	for _, n := range hives.All() {
		f, err := loc.openHive(n, hives.Base)
		if err == nil {
			err = f.Close()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fail("use cim layer", loc.String(), "", fmt.Errorf("it was put into the store without %s: %w: %w", n.Path(hives.Base), ErrHive, ErrNoHive))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep clears away what writers have left that were killed between publishing a layer
// and tidying up: these layers are never written again.
func (s *Store) sweep() error {
	return errors.Join(cimfs.ClearLeftovers(s.images), publish.Sweep(s.layers, publish.Options{}))
}

// Open opens the image of a layer, which shows the layer and everything below it.
func (s *Store) Open(chainID string) (*cimfs.Image, error) {
	loc, err := s.Location(chainID)
	if err != nil {
		return nil, err
	}
	return loc.openImage()
}
