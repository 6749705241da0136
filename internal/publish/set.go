package publish

import (
	"errors"
	"io/fs"
	"os"
	"slices"
)

// Set is a private folder from which files get their final names one by one.
type Set struct{ s *staging }

// OpenSet creates a private folder in root for the files that belong to name. The caller
// closes root, after the set.
func OpenSet(root *os.Root, name string, o Options) (*Set, error) {
	s, err := stage(root, name, o)
	if err != nil {
		return nil, err
	}
	return &Set{s}, nil
}

// Name returns the name of the private folder.
func (s *Set) Name() string { return s.s.name }

// Root returns the private folder. It belongs to the set.
func (s *Set) Root() *os.Root { return s.s.dir }

// Create creates a file in the private folder. The caller closes it.
func (s *Set) Create(name string, mode fs.FileMode) (*Part, error) {
	return CreatePart(s.s.dir, name, mode)
}

// Reserve creates a file with this content in the directory of the set and reports
// false if the name is taken. The file holds the name until Publish replaces it.
func (s *Set) Reserve(name string, content []byte) (bool, error) {
	if err := step("reserve", name); err != nil {
		return false, err
	}
	f, err := s.s.parent.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|openFlags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, errors.Join(err, Remove(s.s.parent, name))
	}
	return true, nil
}

// Publish moves a durable, closed file of the private folder to its name in the directory
// of the set. A file of that name is replaced. The caller makes the names durable when
// all files have theirs ([SyncDir]).
func (s *Set) Publish(from, to string) error {
	if err := step("rename", to); err != nil {
		return err
	}
	return move(s.s, from, to)
}

// Close removes the private folder and its remaining contents. Closing twice is allowed.
func (s *Set) Close() error {
	if s.s == nil {
		return nil
	}
	st := s.s
	s.s = nil
	return st.discard()
}

// Leave closes the private folder without removing it. The next writer removes it.
func (s *Set) Leave() error {
	if s.s == nil {
		return nil
	}
	st := s.s
	s.s = nil
	return errors.Join(st.dir.Close(), st.lock.Close())
}

// SweepBeside clears leftovers away in the directory of a file or directory that is
// complete, as far as it can: a directory that this process may not change is passed over.
func SweepBeside(path string) error {
	root, _, err := split(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = Sweep(root, Options{}); errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, root.Close())
}

// Sweep clears leftovers of a kind away in a directory to which no file has to be
// written. A directory that cannot be listed is passed over.
func Sweep(root *os.Root, o Options) error {
	list, err := names(root)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(n string) bool { return IsTemp(n, o.Kind) }) {
		return nil
	}
	// A private folder of its own shows which owner counts.
	s, err := stage(root, "sweep", Options{Kind: o.Kind, Undo: o.Undo, Shared: true})
	if err != nil {
		return err
	}
	return s.discard()
}
