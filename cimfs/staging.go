package cimfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/mullion/mullion/internal/filelock"
	"github.com/mullion/mullion/winfs"
)

// staging is the place where an image grows before it is published: the directory
// .NAME.writing beside the final files. A writer holds a lock in it for as long as
// it lives, so that what a killed process left behind can be told from what another
// one is working on.
//
// Publishing is a sequence of renames, and a process can be killed between any two.
// Two marks make the next run able to undo a half-done one without ever touching
// the files of another image:
//
//   - intent holds the GUID; then region_GUID_0 is created exclusively, as a
//     reservation that says for which image. From then on the name is ours.
//   - owned holds the GUID; from then on every file with that GUID is ours.
//
// Once NAME itself stands there with that GUID the image is complete.
type staging struct {
	root *os.Root
	name string // of the .cim file
	dir  string
	lock *os.File
	hook func(op, name string) error // fails operations in tests
}

const (
	stagingPrefix = "."
	stagingSuffix = ".writing"
	lockName      = "lock"
	intentName    = "intent"
	ownedName     = "owned"
)

func (s *staging) op(op, name string) error {
	if s.hook != nil {
		return s.hook(op, name)
	}
	return nil
}

func checkImageName(name string) error {
	if name == "" || !fs.ValidPath(name) || strings.ContainsAny(name, `/\:`) || strings.HasPrefix(name, ".") || len(name) > 200 {
		return because(ErrName, "an image file cannot be named %q", name)
	}
	if strings.HasPrefix(name, "region_") || strings.HasPrefix(name, "objectid_") {
		return because(ErrName, "%q looks like a file of an image's set", name)
	}
	return nil
}

// newStaging clears away what earlier runs left in the directory and opens a
// staging area.
func newStaging(dir, name string, hook func(op, name string) error) (*staging, error) {
	if err := checkImageName(name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &staging{root: root, name: name, dir: stagingPrefix + name + stagingSuffix, hook: hook}
	if err := s.open(); err != nil {
		root.Close()
		return nil, err
	}
	return s, nil
}

func (s *staging) open() error {
	if err := cleanLeftovers(s.root); err != nil {
		return err
	}
	if _, err := s.root.Lstat(s.name); err == nil {
		return &fs.PathError{Op: "create", Path: s.name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		done, err := s.take()
		if done || err != nil && !errors.Is(err, errTaken) {
			return err
		}
		if time.Since(begin) > clearing {
			if err == nil {
				err = because(fs.ErrExist, "other processes keep clearing it away")
			}
			return err
		}
	}
}

// clearing is how long other runs may hold the lock of a place before they count as
// writers of the image: whoever clears leftovers away takes the lock of every place for a
// moment, also of one that has just been made.
const clearing = time.Second

var errTaken = because(fs.ErrExist, "another process is writing it")

// take makes the place and takes its lock. false without an error, and errTaken, are
// worth another try.
func (s *staging) take() (bool, error) {
	if err := s.op("mkdir", s.dir); err != nil {
		return false, err
	}
	if err := s.root.Mkdir(s.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	f, err := s.root.OpenFile(path.Join(s.dir, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // another run has just cleared the directory away
	}
	if err != nil {
		s.root.Remove(s.dir) // unless it is a leftover
		return false, err
	}
	locked, err := filelock.Try(f)
	if err == nil && !locked {
		err = errTaken
	}
	// The lock counts only if the file that it is on is still there.
	if err == nil && sameFile(s.root, f, path.Join(s.dir, lockName)) {
		s.lock = f
		return true, nil
	}
	f.Close()
	return false, err
}

func sameFile(root *os.Root, f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := root.Stat(name)
	return err == nil && os.SameFile(a, b)
}

// cleanLeftovers undoes and removes what killed runs left in a directory.
func cleanLeftovers(root *os.Root) error {
	names, err := dirNames(root, ".")
	if err != nil {
		return err
	}
	for _, dir := range names {
		rest, ok := strings.CutPrefix(dir, stagingPrefix)
		name, ok2 := strings.CutSuffix(rest, stagingSuffix)
		if !ok || !ok2 || checkImageName(name) != nil {
			continue
		}
		if st, err := root.Lstat(dir); err != nil || !st.IsDir() {
			continue
		}
		lock, err := root.OpenFile(path.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			continue
		}
		locked, err := filelock.Try(lock)
		if err != nil || !locked || !sameFile(root, lock, path.Join(dir, lockName)) {
			lock.Close() // somebody is at work there
			continue
		}
		s := &staging{root: root, name: name, dir: dir, lock: lock}
		if err := s.discard(); err != nil {
			return fmt.Errorf("clear away what an interrupted run left in %s: %w", dir, err)
		}
	}
	return nil
}

func dirNames(root *os.Root, name string) ([]string, error) {
	d, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func (s *staging) path(name string) string { return path.Join(s.dir, name) }

// discard undoes an unfinished publication and removes the staging area.
func (s *staging) discard() error {
	if s.lock == nil {
		return nil
	}
	var errs []error
	if g, ok := s.mark(ownedName); ok {
		if !s.published(g) {
			errs = append(errs, removeSet(s.root, g))
		}
	} else if g, ok := s.mark(intentName); ok {
		name := regionName(g, 0)
		if b, err := readSmall(s.root, name); err == nil && bytes.Equal(b, s.reservation()) {
			errs = append(errs, s.root.Remove(name))
		}
	}
	names, err := dirNames(s.root, s.dir)
	errs = append(errs, err)
	// The marks go last but for the lock: until the files are gone they are needed.
	for _, last := range []bool{false, true} {
		for _, n := range names {
			if n != lockName && (n == intentName || n == ownedName) == last {
				errs = append(errs, s.root.Remove(s.path(n)))
			}
		}
	}
	lock := s.lock
	s.lock = nil
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, lock.Close())
	}
	// While the lock is held, so that nobody else has a lock on a file that goes.
	if s.root.Remove(s.path(lockName)) == nil {
		return errors.Join(s.removeDir(), lock.Close())
	}
	// Windows removes no file that is open.
	err = lock.Close()
	if rerr := s.root.Remove(s.path(lockName)); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return errors.Join(err, s.removeDir())
}

// removeDir removes the directory, unless another run has begun there.
func (s *staging) removeDir() error {
	err := s.root.Remove(s.dir)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) { // ErrExist is that something is in it
		return nil
	}
	return err
}

func (s *staging) reservation() []byte { return []byte("reserved for " + s.name + "\n") }

// mark reads the GUID in intent or owned.
func (s *staging) mark(name string) (winfs.GUID, bool) {
	b, err := readSmall(s.root, s.path(name))
	if err != nil {
		return winfs.GUID{}, false
	}
	g, err := winfs.ParseGUID(strings.TrimSuffix(string(b), "\n"))
	return g, err == nil
}

// published reports whether the image file stands there with this GUID.
func (s *staging) published(g winfs.GUID) bool {
	b, err := readSmall(s.root, s.name)
	if err != nil || len(b) < imageSize {
		return false
	}
	return winfs.GUIDFromWindows([16]byte(b[imageGUIDAt:])) == g
}

func readSmall(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 4096))
}

// removeSet removes every region and object file of a GUID.
func removeSet(root *os.Root, g winfs.GUID) error {
	names, err := dirNames(root, ".")
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		if isOfSet(n, g) {
			errs = append(errs, root.Remove(n))
		}
	}
	return errors.Join(errs...)
}

func isOfSet(name string, g winfs.GUID) bool {
	for _, prefix := range []string{"region_" + g.String() + "_", "objectid_" + g.String() + "_"} {
		if n, ok := strings.CutPrefix(name, prefix); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			return true
		}
	}
	return false
}

// outFile is a file in the staging area.
type outFile struct {
	s    *staging
	name string
	f    *os.File
}

func (s *staging) create(name string) (*outFile, error) {
	if err := s.op("create", name); err != nil {
		return nil, err
	}
	f, err := s.root.OpenFile(s.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &outFile{s, name, f}, nil
}

func (f *outFile) writeAt(b []byte, off int64) error {
	if err := f.s.op("write", f.name); err != nil {
		return err
	}
	_, err := f.f.WriteAt(b, off)
	return err
}

func (f *outFile) truncate(n int64) error {
	if err := f.s.op("truncate", f.name); err != nil {
		return err
	}
	return f.f.Truncate(n)
}

func (f *outFile) sync() error {
	if err := f.s.op("sync", f.name); err != nil {
		return err
	}
	return f.f.Sync()
}

func (f *outFile) close() error {
	if f.f == nil {
		return nil
	}
	err := f.s.op("close", f.name)
	err = errors.Join(err, f.f.Close())
	f.f = nil
	return err
}

// writeWhole makes one durable file.
func (s *staging) writeWhole(name string, b []byte) error {
	f, err := s.create(name)
	if err != nil {
		return err
	}
	err = f.writeAt(b, 0)
	if err == nil {
		err = f.sync()
	}
	return errors.Join(err, f.close())
}

// syncDir makes names durable, where the system can do that for directories.
func (s *staging) syncDir(name string) error {
	if err := s.op("syncdir", name); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *staging) rename(from, to string) error {
	if err := s.op("rename", to); err != nil {
		return err
	}
	return s.root.Rename(s.path(from), to)
}

// reserve takes a GUID for this image. It returns false if files of that GUID are
// there already.
func (s *staging) reserve(g winfs.GUID, files []string) (bool, error) {
	for _, n := range files {
		if _, err := s.root.Lstat(n); err == nil {
			return false, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	text := []byte(g.String() + "\n")
	if err := s.root.Remove(s.path(intentName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := s.writeWhole(intentName, text); err != nil {
		return false, err
	}
	if err := s.syncDir(s.dir); err != nil {
		return false, err
	}
	first := regionName(g, 0)
	if err := s.op("reserve", first); err != nil {
		return false, err
	}
	f, err := s.root.OpenFile(first, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(s.reservation())
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.writeWhole(ownedName, text)
	}
	if err == nil {
		err = s.syncDir(s.dir)
	}
	if err != nil {
		// Without a readable mark nobody else would know whose this is.
		err = errors.Join(err, s.root.Remove(first))
	}
	return err == nil, err
}
