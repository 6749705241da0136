package cimfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// staging is the place where an image grows before it is published: a private folder
// beside the final files (package publish), which shows whether its writer lives.
//
// Publishing is a sequence of renames, and a process can be killed between any two.
// Two marks make the next run able to undo a half-done one:
//
//   - intent holds the GUID; then region_GUID_0 is created exclusively, as a
//     reservation that names the private folder. From then on the name is ours.
//   - owned holds the GUID; from then on every file with that GUID is ours, until an
//     image refers to it.
//
// A mark is a claim and no proof: it may be stale, because the image was published,
// renamed or forked since. So a file is removed only if no image in the directory
// refers to its GUID.
type staging struct {
	root *os.Root
	name string // of the .cim file
	set  *publish.Set
}

const (
	stagingKind = "writing"
	intentName  = "intent"
	ownedName   = "owned"
)

func checkImageName(name string) error {
	if name == "" || !fs.ValidPath(name) || strings.ContainsAny(name, `/\:`) || strings.HasPrefix(name, ".") || len(name) > 200 {
		return because(ErrName, "an image file cannot be named %q", name)
	}
	if strings.HasPrefix(name, regionPrefix) || strings.HasPrefix(name, objectIDPrefix) {
		return because(ErrName, "%q looks like a file of an image's set", name)
	}
	return nil
}

// newStaging removes the leftovers of earlier runs in the directory and opens a staging
// area.
func newStaging(root *os.Root, name string) (*staging, error) {
	if err := checkImageName(name); err != nil {
		return nil, err
	}
	if _, err := root.Lstat(name); err == nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	set, err := publish.OpenSet(root, name, publish.Options{Kind: stagingKind, Undo: undo})
	if errors.Is(err, publish.ErrBusy) {
		err = because(fs.ErrExist, "another process is writing it")
	}
	return &staging{root: root, name: name, set: set}, err
}

// ClearLeftovers removes the leftovers of killed writers in a directory: their private
// folders, and files of images that were not published. Create does so itself.
func ClearLeftovers(root *os.Root) error {
	return publish.Sweep(root, publish.Options{Kind: stagingKind, Undo: undo})
}

func dirNames(root *os.Root) ([]string, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// discard undoes an unfinished publication and removes the staging area.
func (s *staging) discard() error {
	if s.set == nil {
		return nil
	}
	set := s.set
	s.set = nil
	if g, ok := mark(set.Root(), ownedName); !ok || !s.published(g) {
		if err := undo(s.root, set.Root(), set.Name()); err != nil {
			return errors.Join(err, set.Leave())
		}
	}
	return set.Close()
}

// undo removes the files of an unfinished publication. An error keeps the marks, so that
// the next run tries again.
func undo(root, private *os.Root, name string) error {
	if g, ok := mark(private, ownedName); ok {
		used, err := referred(root, g)
		if err != nil || used {
			return err
		}
		return removeSet(root, g)
	}
	g, ok := mark(private, intentName)
	if !ok {
		return nil
	}
	first := regionName(g, 0)
	if b, err := readSmall(root, first); err == nil && bytes.Equal(b, reservation(name)) {
		return publish.Remove(root, first)
	}
	return nil
}

// referred reports whether an image in the directory has a region set, as its own or as
// that of a parent. An image whose header cannot be read may have any.
func referred(root *os.Root, g winfs.GUID) (bool, error) {
	names, err := dirNames(root)
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if checkImageName(n) != nil {
			continue
		}
		if st, err := root.Lstat(n); errors.Is(err, fs.ErrNotExist) || err == nil && st.IsDir() {
			continue
		}
		im := &Image{name: n, opener: rootOpener{root}, limits: Limits{}.withDefaults()}
		if err := im.readHeader(); err != nil {
			if b, err := readSmall(root, n); err == nil && !bytes.HasPrefix(b, []byte(magic)) {
				continue // not an image
			}
			return true, nil
		}
		if im.guid == g {
			return true, nil
		}
		for _, p := range im.Parents() {
			if p.GUID == g {
				return true, nil
			}
		}
	}
	return false, nil
}

// reservation is the content of region_GUID_0 before it is a region.
func reservation(private string) []byte { return []byte("reserved for " + private + "\n") }

// mark reads the GUID in intent or owned.
func mark(private *os.Root, name string) (winfs.GUID, bool) {
	b, err := readSmall(private, name)
	if err != nil {
		return winfs.GUID{}, false
	}
	g, err := winfs.ParseGUID(strings.TrimSuffix(string(b), "\n"))
	return g, err == nil
}

// published reports whether the image file is there with this GUID.
func (s *staging) published(g winfs.GUID) bool {
	b, err := readSmall(s.root, s.name)
	if err != nil || len(b) < imageSize {
		return false
	}
	return winfs.GUIDFromWindows([16]byte(b[imageGUIDAt:])) == g
}

// readSmall reads the first bytes of a plain file.
func readSmall(root *os.Root, name string) ([]byte, error) {
	f, err := publish.OpenPlain(root, name, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 4096))
}

// removeSet removes every region and object file of a GUID.
func removeSet(root *os.Root, g winfs.GUID) error {
	names, err := dirNames(root)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		if owner, ok := SetGUID(n); ok && owner == g {
			errs = append(errs, publish.Remove(root, n))
		}
	}
	return errors.Join(errs...)
}

// outFile is a file in the staging area.
type outFile struct {
	name string
	f    *publish.Part
}

func (s *staging) create(name string) (*outFile, error) {
	f, err := s.set.Create(name, 0o644)
	if err != nil {
		return nil, err
	}
	return &outFile{name, f}, nil
}

func (f *outFile) writeAt(b []byte, off int64) error {
	_, err := f.f.WriteAt(b, off)
	return err
}

func (f *outFile) truncate(n int64) error { return f.f.Truncate(n) }

func (f *outFile) sync() error { return f.f.Sync() }

func (f *outFile) close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// writeMark makes a durable mark.
func (s *staging) writeMark(name string, g winfs.GUID) error {
	err := publish.WritePart(s.set.Root(), name, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, g.String()+"\n")
		return err
	})
	if err == nil {
		err = publish.SyncDir(s.set.Root())
	}
	return err
}

// syncDir makes the names of the final files durable.
func (s *staging) syncDir() error { return publish.SyncDir(s.root) }

// rename moves a file to its final name.
func (s *staging) rename(from, to string) error { return s.set.Publish(from, to) }

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
	if err := publish.Remove(s.set.Root(), intentName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := s.writeMark(intentName, g); err != nil {
		return false, err
	}
	first := regionName(g, 0)
	if ok, err := s.set.Reserve(first, reservation(s.set.Name())); err != nil || !ok {
		return false, err
	}
	if err := s.writeMark(ownedName, g); err != nil {
		// Without a readable mark the next run could not find out whose this is.
		return false, errors.Join(err, publish.Remove(s.root, first))
	}
	return true, nil
}
