package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// staging is the directory in which a layer is made until it gets its name (package
// publish).
type staging struct {
	folder *os.Root // of the destination, if it was opened here
	dir    *publish.Dir
	root   directory // the same as dir
	name   string
}

// newStaging prepares to publish a directory under path, which must not exist;
// its folder must.
func newStaging(path string, o *options) (*staging, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	folder, name := filepath.Split(abs)
	if name == "" {
		return nil, fmt.Errorf("%s: %w", path, layer.ErrExists)
	}
	parent, err := os.OpenRoot(longPath(folder))
	if err != nil {
		return nil, err
	}
	s, err := newStagingIn(parent, name, o)
	if err != nil {
		return nil, errors.Join(err, parent.Close())
	}
	s.folder = parent
	return s, nil
}

// newStagingIn prepares to publish a directory in an open one.
func newStagingIn(parent *os.Root, name string, o *options) (*staging, error) {
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
	s := &staging{dir: dir, name: name, root: &hostDirectory{root: dir.Root(), borrowed: true}}
	if o.wrap != nil {
		s.root = o.wrap(s.root)
	}
	return s, nil
}

// publish gives the directory its name. Nothing in it but its root may be open.
func (s *staging) publish(sync bool) error {
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
func (s *staging) release() error {
	if s.root == nil {
		return nil
	}
	root := s.root
	s.root = nil
	return root.close()
}

// abandon closes everything, and removes the directory unless it was published.
func (s *staging) abandon() error {
	err := errors.Join(s.release(), s.dir.Close())
	if s.folder != nil {
		err = errors.Join(err, s.folder.Close())
		s.folder = nil
	}
	return err
}
