package wclayer

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/layer"
)

// staging is the temporary sibling in which a layer is made. It is locked as long
// as its process lives, so that the next run for the same destination can tell
// a leftover, which it removes, from the work of somebody else.
type staging struct {
	parent directory // the folder of the destination
	root   directory // the temporary directory
	temp   string    // its name
	name   string    // the name that it will get
	unlock func() error
	done   bool
}

// stagingInfix stands between the name of a destination and a random number.
const stagingInfix = ".mullion-tmp-"

// stagingPrefix leaves room for the number in names of any length.
func stagingPrefix(name string) string {
	return "." + name[:min(len(name), hostNameMax-64)] + stagingInfix
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
	parent, err := openDirectory(folder)
	if err != nil {
		return nil, err
	}
	if o.wrap != nil {
		parent = o.wrap(parent)
	}
	s := &staging{parent: parent, name: name}
	if err := s.begin(); err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

func (s *staging) begin() error {
	if _, err := s.parent.stat(s.name); err == nil {
		return fmt.Errorf("%s: %w", s.name, layer.ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.sweep()
	var b [8]byte
	rand.Read(b[:]) // the name is gone before anybody can see it in a result
	s.temp = stagingPrefix(s.name) + hex.EncodeToString(b[:])
	if err := s.parent.mkdir(s.temp); err != nil {
		if errors.Is(err, fs.ErrExist) {
			s.temp = "" // not ours to remove
		}
		return err
	}
	root, err := s.parent.enter(s.temp)
	if err != nil {
		return err
	}
	s.root = root
	unlock, ok, err := lockDirectory(root.host())
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil // a file system without locks
	case err == nil && !ok:
		err = errors.New("somebody has locked the new temporary directory")
	}
	s.unlock = unlock
	return err
}

// sweep removes what killed runs have left. It is best effort: a leftover that
// cannot be removed, or not be told from work on a file system without locks,
// harms nobody.
func (s *staging) sweep() {
	list, err := s.parent.list()
	if err != nil {
		return
	}
	prefix := stagingPrefix(s.name)
	for _, e := range list {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		d, err := s.parent.enter(e.Name())
		if err != nil {
			continue
		}
		unlock, ok, err := lockDirectory(d.host())
		if err == nil && ok {
			// Another run may sweep at the same time; both remove, and both may.
			unlock()
			s.parent.removeAll(e.Name())
		}
		d.close()
	}
}

// publish gives the directory its name. Nothing in it but its root may be open.
func (s *staging) publish(sync bool) error {
	if err := s.release(); err != nil {
		return err
	}
	if err := s.parent.rename(s.temp, s.name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", s.name, layer.ErrExists)
		}
		return err
	}
	if sync {
		if err := s.parent.sync(); err != nil {
			// The name may or may not survive a power failure. Take it away again, so
			// that an error means absence.
			return errors.Join(err, s.parent.rename(s.name, s.temp))
		}
	}
	s.done = true
	return nil
}

// release closes the directory itself, which Windows would not rename while it is
// open, and gives up the lock. On Linux and macOS the lock goes with the handle.
func (s *staging) release() error {
	var errs []error
	if s.unlock != nil {
		errs = append(errs, s.unlock())
		s.unlock = nil
	}
	if s.root != nil {
		errs = append(errs, s.root.close())
		s.root = nil
	}
	return errors.Join(errs...)
}

// abandon closes everything, and removes the directory unless it was published.
func (s *staging) abandon() error {
	errs := []error{s.release()}
	if !s.done && s.temp != "" {
		errs = append(errs, s.parent.removeAll(s.temp))
		s.done = true
	}
	if s.parent != nil {
		errs = append(errs, s.parent.close())
		s.parent = nil
	}
	return errors.Join(errs...)
}
