//go:build !linux

package publish

import (
	"os"
	"path"
)

// The standard library cannot move files between two open directories on these systems,
// so the private folder is found by its name, and compared with the open folder.

func move(s *staging, from, to string) error {
	if err := s.unmoved(); err != nil {
		return err
	}
	return s.parent.Rename(path.Join(s.name, from), to)
}

func link(s *staging, from, to string) error {
	if err := s.unmoved(); err != nil {
		return err
	}
	return s.parent.Link(path.Join(s.name, from), to)
}

// unmoved reports an error if the name of the private folder leads elsewhere.
func (s *staging) unmoved() error {
	mine, err := s.dir.Stat(".")
	if err != nil {
		return err
	}
	there, err := s.parent.Lstat(s.name)
	if err != nil {
		return err
	}
	if !os.SameFile(mine, there) {
		return &os.PathError{Op: "publish", Path: s.name, Err: ErrForeign}
	}
	return nil
}
