package offline

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// makeDir makes a directory with its parents. made is false if it exists already. A file in
// the way is codeError 183.
func (s *session) makeDir(p string) (made bool, err error) {
	if p, err = s.real(p, true); err != nil {
		if missing(err) {
			return false, codeError(3)
		}
		return false, err
	}
	if it, err := s.find(p); err == nil {
		if !it.dir() {
			return false, codeError(183)
		}
		return false, nil
	} else if !missing(err) {
		return false, err
	}
	// The directories that are missing, the lowest first.
	var todo []string
	for d := p; ; d, _ = winfs.SplitPath(d) {
		if d == "" {
			break
		}
		_, err := s.c.Files.Lookup(d)
		if err == nil {
			break
		}
		if !missing(err) {
			return false, err
		}
		todo = append(todo, d)
	}
	for i := len(todo) - 1; i >= 0; i-- {
		if err := s.step(); err != nil {
			return false, err
		}
		if err := s.c.Files.Mkdir(todo[i], Meta{}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// content follows a file that is a link to the file whose content it shows.
func (s *session) content(it *item) (*item, error) {
	if !it.reparse() {
		return it, nil
	}
	p, err := s.real(it.Path, true)
	if err != nil {
		return nil, err
	}
	return s.find(p)
}

// keptAttributes are those that a copy has, too.
const keptAttributes = winfs.AttrReadOnly | winfs.AttrHidden | winfs.AttrSystem | winfs.AttrArchive | winfs.AttrNotContentIndexed

// copyFile copies a file as CopyFile does: streams, attributes and the time of the last
// write, but not the descriptor. A target that exists keeps its own. The parent must exist.
func (s *session) copyFile(from *item, to string, attributes winfs.Attributes) error {
	if err := s.step(); err != nil {
		return err
	}
	src, err := s.content(from)
	if err != nil {
		return err
	}
	if src.dir() {
		return codeError(5)
	}
	if err := errors.Join(guard(src.Path), guard(to)); err != nil {
		return err
	}
	if winfs.EqualFold(src.Path, to) {
		return errSame
	}
	if _, err := s.writable(to); err != nil {
		return err
	}
	return s.c.Files.Copy(src.Path, to, Meta{
		Attributes: attributes & keptAttributes,
		Times:      winfs.Times{LastWrite: src.Times.LastWrite},
	})
}

var errSame = errors.New("a file is copied to itself")

// moveItem gives a file or directory a new name, whose parent exists. A file there is
// replaced.
func (s *session) moveItem(from *item, to string, replace bool) error {
	if err := s.step(); err != nil {
		return err
	}
	if err := errors.Join(guard(from.Path), guard(to)); err != nil {
		return err
	}
	if from.Path == root || winfs.Under(s.cwd, from.Path) || winfs.EqualFold(s.cwd, from.Path) {
		return codeError(32)
	}
	if winfs.Under(to, from.Path) {
		return codeError(32)
	}
	if err := s.hasHives(from); err != nil {
		return err
	}
	if winfs.EqualFold(from.Path, to) {
		if from.Path == to {
			return nil
		}
		return s.c.Files.Rename(from.Path, to) // another spelling
	}
	old, err := s.writable(to)
	if err != nil {
		return err
	}
	if old != nil {
		if !replace {
			return codeError(183)
		}
		if from.dir() {
			return codeError(5)
		}
		if err := s.c.Files.Remove(to); err != nil {
			return err
		}
	}
	return s.c.Files.Rename(from.Path, to)
}

// hasHives refuses to remove or move a directory that has the hives of the registry in it.
func (s *session) hasHives(it *item) error {
	for _, p := range []string{root + `\Windows\System32\config`} {
		if it.dir() && !it.reparse() && (winfs.EqualFold(it.Path, p) || winfs.Under(p, it.Path)) {
			return fmt.Errorf("%w: %s has the registry in it, which is in use", ErrNotOffline, winPath(it.Path))
		}
	}
	return nil
}

// remove deletes a file, a link or a directory, with what is in it if all is set.
func (s *session) remove(it *item, all bool) error {
	if err := s.step(); err != nil {
		return err
	}
	if err := guard(it.Path); err != nil {
		return err
	}
	if it.Path == root {
		return fmt.Errorf("%w: C:\\ cannot be deleted", ErrNotOffline)
	}
	if !it.dir() || it.reparse() {
		return s.c.Files.Remove(it.Path)
	}
	if winfs.EqualFold(s.cwd, it.Path) || winfs.Under(s.cwd, it.Path) {
		return fmt.Errorf("%w: %s is the current directory, which is in use", ErrNotOffline, winPath(it.Path))
	}
	if err := s.hasHives(it); err != nil {
		return err
	}
	if all {
		return s.c.Files.RemoveAll(it.Path)
	}
	list, err := s.children(it.Path)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return codeError(145)
	}
	return s.c.Files.Remove(it.Path)
}

// walk calls f for an item and, if it is a directory and no link, for everything below it,
// directories before what is in them. f may change an item, but not remove it.
func (s *session) walk(it *item, f func(*item) error) error {
	return s.walkTo(it, 0, f)
}

// maxTree is the number of directories above each other that a tree may have.
const maxTree = 1000

func (s *session) walkTo(it *item, level int, f func(*item) error) error {
	if level > maxTree {
		return fmt.Errorf("%w of %d directories in a path", ErrLimit, maxTree)
	}
	if err := f(it); err != nil {
		return err
	}
	if !it.dir() || it.reparse() {
		return nil
	}
	list, err := s.children(it.Path)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := s.walkTo(e, level+1, f); err != nil {
			return err
		}
	}
	return nil
}

// setAttributes changes the attributes of a file or directory. 0 in a file is the attribute
// NORMAL, since 0 itself means that a layer does not say.
func (s *session) setAttributes(it *item, set, clear winfs.Attributes) error {
	if err := guard(it.Path); err != nil {
		return err
	}
	now := it.Attributes
	if now == 0 && !it.dir() {
		now = winfs.AttrArchive
	}
	a := (now | set) &^ clear
	if !it.dir() {
		if a&^winfs.AttrNormal == 0 {
			a = winfs.AttrNormal
		} else {
			a &^= winfs.AttrNormal
		}
	}
	if a == it.Attributes {
		return nil
	}
	it.Attributes = a
	return s.c.Files.Set(it.Path, func(e *layer.Entry) error { e.Attributes = a; return nil })
}
