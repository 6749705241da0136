package publish

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mullion/mullion/internal/filelock"
)

// ErrBusy says that another writer is at work on the same name.
var ErrBusy = errors.New("another process is writing it")

// Options select how a file or directory is published. The zero value creates it, if it
// does not exist, with the permissions that the process's mask leaves.
type Options struct {
	// Replace allows an existing regular file to be replaced. The new file takes over
	// its permissions and, as far as the system lets it, its owner.
	Replace bool
	// Private keeps a new file or directory from everybody else (0600, 0700).
	Private bool
	// Shared allows several writers of one name at a time, of which one succeeds in
	// the end. By default all but one get ErrBusy.
	Shared bool
	// Kind is part of the name of the private folder. A writer removes leftovers of its
	// own kind only. Empty is "mullion-tmp".
	Kind string
	// Undo is called with a leftover before it is removed, and with its parent
	// directory, for kinds that publish several files, some of which may have their
	// names already. If Undo fails, the leftover stays.
	Undo func(parent, private *os.Root, name string) error
}

const (
	defaultKind = "mullion-tmp"
	lockName    = ".mullion-lock"
	randomBytes = 8
	maxName     = 255 // bytes, on every host that counts bytes
)

// staging is a private folder.
type staging struct {
	parent *os.Root // of the destination; the caller closes it
	dir    *os.Root // the private folder
	name   string   // its name in parent
	target string
	lock   *os.File
	owner  uint32 // the number that files of this process have there
	o      Options
}

// stem is the constant part of the names of private folders for a target. A name that
// is too long for a prefix and a random number is cut off, and its hash keeps it apart
// from others with the same start.
func stem(target, kind string) string {
	if kind == "" {
		kind = defaultKind
	}
	tail := "." + kind + "-"
	if room := maxName - 1 - len(tail) - 2*randomBytes; len(target) > room {
		sum := sha256.Sum256([]byte(target))
		cut := room - 9
		for cut > 0 && !utf8.RuneStart(target[cut]) {
			cut--
		}
		target = target[:cut] + "~" + hex.EncodeToString(sum[:4])
	}
	return "." + target + tail
}

// IsTemp reports whether a name is that of a private folder of a kind.
func IsTemp(name, kind string) bool {
	if kind == "" {
		kind = defaultKind
	}
	rest, random, ok := cutLast(name, "."+kind+"-")
	return ok && strings.HasPrefix(rest, ".") && len(random) == 2*randomBytes && strings.Trim(random, "0123456789abcdef") == ""
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+len(sep):], true
}

// errCleared says that another writer removed a private folder before it was locked.
var errCleared = errors.New("other writers keep clearing it away")

// stage makes a private folder for target in parent and clears leftovers away.
func stage(parent *os.Root, target string, o Options) (*staging, error) {
	var err error
	busy := 0
	for try := 0; try < 1000 && busy < 6; try++ {
		s := &staging{parent: parent, target: target, o: o}
		if err = s.begin(); errors.Is(err, errCleared) {
			time.Sleep(time.Millisecond)
			continue
		} else if err != nil {
			return nil, err
		}
		var other bool
		if other, err = s.sweep(); err == nil && (!other || o.Shared) {
			return s, nil
		}
		if derr := s.discard(); err != nil || derr != nil {
			return nil, errors.Join(err, derr)
		}
		// Two that start at the same moment see each other: both step back, and one
		// comes first the next time.
		err = ErrBusy
		busy++
		time.Sleep(time.Duration(mathrand.IntN(8<<busy)) * time.Millisecond / 4)
	}
	var made *fs.PathError // of the private folder, whose name says nothing
	if errors.As(err, &made) {
		err = made.Err
	}
	return nil, &fs.PathError{Op: "create", Path: target, Err: err}
}

// begin makes the folder and takes its lock.
func (s *staging) begin() (err error) {
	var b [randomBytes]byte
	rand.Read(b[:]) // it is in no output: the name is gone when something is published
	s.name = stem(s.target, s.o.Kind) + hex.EncodeToString(b[:])
	if err := step("mkdir", s.name); err != nil {
		return err
	}
	if err := s.parent.Mkdir(s.name, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return errCleared
		}
		return err
	}
	defer func() {
		switch {
		case err == nil:
		case errors.Is(err, errCleared): // the process that clears it away holds its lock
			if s.lock != nil {
				s.lock.Close()
			}
			if s.dir != nil {
				s.dir.Close()
			}
		case errors.Is(err, ErrForeign):
			s.disown()
		default:
			err = errors.Join(err, s.discard())
		}
	}()
	if err := step("open", s.name); err != nil {
		return err
	}
	s.dir, err = OpenFolder(s.parent, s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return errCleared
	}
	if err != nil {
		return err
	}
	if err := step("create", lockName); err != nil {
		return err
	}
	lock, err := s.dir.OpenFile(lockName, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return errCleared
	}
	if err != nil {
		return err
	}
	s.lock = lock
	mine, err := lock.Stat()
	if err != nil {
		return err
	}
	// The owner of a file that this process has just made is the number that counts: a
	// file server may assign another than the system does.
	s.owner = owner(mine)
	if dir, err := s.dir.Stat("."); err != nil {
		return err
	} else if owner(dir) != s.owner {
		return &fs.PathError{Op: "create", Path: s.name, Err: ErrForeign}
	}
	locked, err := filelock.Try(lock)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err == nil && !locked || !same(s.dir, lock, lockName) {
		return errCleared
	}
	// A process that may rename entries of parent can move another directory of this user
	// to the name between Mkdir and OpenFolder. The folder just made is empty.
	list, err := names(s.dir)
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0] != lockName {
		return &fs.PathError{Op: "create", Path: s.name, Err: ErrForeign}
	}
	return nil
}

// disown releases a folder that replaced the private one, without its lock and with
// everything else that it holds.
func (s *staging) disown() {
	if s.lock != nil {
		_ = removeLocked(s.dir, s.lock, lockName)
		s.lock.Close()
		s.lock = nil
	}
	if s.dir == nil {
		return
	}
	if mine, err := s.dir.Stat("."); err == nil {
		if there, err := s.parent.Lstat(s.name); err == nil && os.SameFile(mine, there) {
			_ = s.parent.Remove(s.name) // fails if it holds anything
		}
	}
	s.dir.Close()
	s.dir = nil
}

// same reports whether an open file still has its name.
func same(root *os.Root, f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := root.Lstat(name)
	return err == nil && os.SameFile(a, b)
}

// sweep clears leftovers away and reports whether another writer is at work on the
// same target.
func (s *staging) sweep() (busy bool, err error) {
	list, err := names(s.parent)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil // a directory that may be written to and not listed
	}
	if err != nil {
		return false, err
	}
	own := stem(s.target, s.o.Kind)
	for _, n := range list {
		if n == s.name || !IsTemp(n, s.o.Kind) {
			continue
		}
		live, err := clear(s.parent, n, s.owner, s.o.Undo)
		if err != nil {
			return false, fmt.Errorf("remove the leftovers of an interrupted run in %s: %w", n, err)
		}
		busy = busy || live && len(n) == len(own)+2*randomBytes && strings.HasPrefix(n, own)
	}
	return busy, nil
}

// clear removes a leftover, or returns true if it is in use. Anything that is not
// certainly a leftover of this user is skipped.
func clear(parent *os.Root, name string, user uint32, undo func(parent, private *os.Root, name string) error) (live bool, err error) {
	st, err := parent.Lstat(name)
	if err != nil || !st.IsDir() || owner(st) != user || writable(st) {
		return false, nil
	}
	dir, err := OpenFolder(parent, name)
	if err != nil {
		return false, nil
	}
	s := &staging{parent: parent, dir: dir, name: name, owner: user}
	lock, err := OpenPlain(dir, lockName, true)
	if errors.Is(err, fs.ErrNotExist) {
		// The lock is made first and removed last: this folder is empty, or not ours.
		dir.Close()
		if step("remove", name) == nil {
			parent.Remove(name)
		}
		return false, nil
	}
	if err != nil {
		dir.Close()
		return false, nil
	}
	if st, err := lock.Stat(); err != nil || owner(st) != user {
		lock.Close()
		dir.Close()
		return false, nil
	}
	locked, err := filelock.Try(lock)
	if err != nil || !locked || !same(dir, lock, lockName) {
		lock.Close()
		dir.Close()
		return err == nil && !locked, nil
	}
	s.lock = lock
	if undo != nil {
		if err := undo(parent, dir, name); err != nil {
			lock.Close()
			dir.Close()
			return false, err
		}
	}
	return false, s.discard()
}

// discard removes the private folder with all that is in it. Everything goes through
// the open folder; by its name only an empty folder is removed.
func (s *staging) discard() error {
	var errs []error
	if s.dir != nil {
		if s.lock != nil {
			list, err := names(s.dir)
			if errors.Is(err, fs.ErrNotExist) { // it is gone
				err = nil
			}
			errs = append(errs, err)
			for _, n := range list {
				if n != lockName {
					errs = append(errs, RemoveAll(s.dir, n))
				}
			}
			if errors.Join(errs...) == nil { // a folder that is not empty stays a leftover
				err := step("remove", lockName)
				if err == nil {
					err = removeLocked(s.dir, s.lock, lockName)
				}
				errs = append(errs, err)
			}
			s.lock.Close()
			s.lock = nil
		}
		mine, err := s.dir.Stat(".")
		errs = append(errs, err, s.dir.Close())
		s.dir = nil
		if err == nil {
			if there, err := s.parent.Lstat(s.name); err != nil || !os.SameFile(mine, there) {
				return errors.Join(errs...) // it was moved away, and is empty
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := Remove(s.parent, s.name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
