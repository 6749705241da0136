package layerdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// Staging is the directory in which a layer is made until it gets its name (package
// publish).
type Staging struct {
	folder *os.Root // of the destination, if it was opened here
	dir    *publish.Dir
	Root   hostfs.Directory // the same as dir
	name   string
}

// NewStaging prepares to publish a directory under path, which must not exist;
// its folder must.
func NewStaging(path string, o *Options) (*Staging, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	folder, name := filepath.Split(abs)
	if name == "" {
		return nil, fmt.Errorf("%s: %w", path, layer.ErrExists)
	}
	parent, err := os.OpenRoot(hostfs.LongPath(folder))
	if err != nil {
		return nil, err
	}
	s, err := NewStagingIn(parent, name, o)
	if err != nil {
		return nil, errors.Join(err, parent.Close())
	}
	s.folder = parent
	return s, nil
}

// NewStagingIn prepares to publish a directory in an open one.
func NewStagingIn(parent *os.Root, name string, o *Options) (*Staging, error) {
	if _, err := parent.Lstat(name); err == nil {
		return nil, fmt.Errorf("%s: %w", name, layer.ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Writers of one layer do not hinder each other: the first to finish wins.
	dir, err := publish.CreateDirIn(parent, name, publish.Options{Shared: true})
	if err != nil {
		return nil, err
	}
	s := &Staging{dir: dir, name: name, Root: &hostfs.HostDirectory{Root: dir.Root(), Borrowed: true}}
	if o.Wrap != nil {
		s.Root = o.Wrap(s.Root)
	}
	return s, nil
}

// publish renames the directory to its name. Only its root may be open.
func (s *Staging) publish(sync bool) error {
	if err := s.release(); err != nil {
		return err
	}
	commit := s.dir.Commit
	if !sync {
		commit = s.dir.CommitNow
	}
	err := commit()
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", s.name, layer.ErrExists)
	}
	return err
}

// release closes the directory itself, which Windows would not rename while it is
// open.
func (s *Staging) release() error {
	if s.Root == nil {
		return nil
	}
	root := s.Root
	s.Root = nil
	return root.Close()
}

// abandon closes everything, and removes the directory unless it was published.
func (s *Staging) abandon() error {
	err := errors.Join(s.release(), s.dir.Close())
	if s.folder != nil {
		err = errors.Join(err, s.folder.Close())
		s.folder = nil
	}
	return err
}
