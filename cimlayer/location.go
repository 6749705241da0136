package cimlayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// Location is the place of a layer that is kept as an image.
type Location struct {
	// Images is the directory of the image. A fork must be in the same directory as its
	// parents, because an image refers to them by the names of their region files.
	Images string
	// Name is the file name of the image in it, "NAME.cim".
	Name string
	// Files is the directory of the files next to the image: hives, the layout file and
	// the files of a utility VM that are needed before the image can be mounted.
	Files string

	// The same directories, open, in a store: writes don't depend on the paths, which
	// another process can rename.
	images, layers *os.Root
}

// openImages returns the directory of the image and a function that releases it.
func (l Location) openImages() (*os.Root, func() error, error) {
	if l.images != nil {
		return l.images, func() error { return nil }, nil
	}
	root, err := os.OpenRoot(l.Images)
	if err != nil {
		return nil, nil, err
	}
	return root, root.Close, nil
}

// openLayers returns the directory that contains Files and a function that releases it.
func (l Location) openLayers() (*os.Root, func() error, error) {
	if l.layers != nil {
		return l.layers, func() error { return nil }, nil
	}
	root, err := os.OpenRoot(filepath.Dir(filepath.Clean(l.Files)))
	if err != nil {
		return nil, nil, err
	}
	return root, root.Close, nil
}

// base is the name of Files in its directory.
func (l Location) base() string { return filepath.Base(l.Files) }

// openImage opens the image.
func (l Location) openImage() (*cimfs.Image, error) {
	if l.images != nil {
		return cimfs.OpenFiles(cimfs.RootOpener(l.images), l.Name, cimfs.Limits{})
	}
	return cimfs.Open(l.Images, l.Name)
}

// removeFiles removes the files next to the image.
func (l Location) removeFiles() error {
	root, done, err := l.openLayers()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(publish.RemoveAll(root, l.base()), done())
}

// exists reports whether the image is there, as a file.
func (l Location) exists() (bool, error) {
	root, done, err := l.openImages()
	if err != nil {
		return false, err
	}
	_, err = root.Stat(l.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, done()
	}
	return err == nil, errors.Join(err, done())
}

// openHive opens a hive next to the image, which is no config hive. Its name is compared
// without regard to case.
func (l Location) openHive(n hives.Name, form hives.Form) (_ *os.File, err error) {
	root, done, err := l.openLayers()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, c := range []string{l.base(), hives.HivesDir} {
		next, err := publish.OpenFolder(root, c)
		if err != nil {
			return nil, err
		}
		defer next.Close()
		root = next
	}
	name := n.File(form)
	if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		list, err := fs.ReadDir(root.FS(), ".")
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if winfs.EqualFold(e.Name(), name) {
				name = e.Name()
			}
		}
	}
	return root.Open(name)
}

// String returns the path of the image.
func (l Location) String() string { return filepath.Join(l.Images, l.Name) }

// Usage returns the bytes that a layer takes up on disk and the number of its files on
// the host: image, region and object files, and the files next to the image. The files of
// its parents don't count.
func (l Location) Usage() (bytes, files int64, err error) {
	im, err := l.openImage()
	if err != nil {
		return 0, 0, err
	}
	names := im.FileNames()
	if err := im.Close(); err != nil {
		return 0, 0, err
	}
	for _, n := range names {
		st, err := os.Stat(filepath.Join(l.Images, n))
		if err != nil {
			return 0, 0, err
		}
		bytes, files = bytes+st.Size(), files+1
	}
	var seen []fs.FileInfo // hives are linked; each counts once
	err = filepath.WalkDir(l.Files, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		for _, s := range seen {
			if os.SameFile(s, st) {
				return nil
			}
		}
		seen = append(seen, st)
		bytes, files = bytes+st.Size(), files+1
		return nil
	})
	return bytes, files, err
}

// Remove deletes a layer: the image first, so that a layer that is half removed does not
// count as one. Layers forked from it become unreadable. Missing files are not an error.
func (l Location) Remove() error {
	root, done, err := l.openImages()
	if err == nil {
		err = cimfs.DeleteIn(root, l.Name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		err = errors.Join(err, done())
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.removeFiles())
}

// nearestFirst returns the parents of a layer in the order in which they are searched,
// the immediate parent first. Callers name them base first.
func nearestFirst(parents []Location) []Location {
	parents = slices.Clone(parents)
	slices.Reverse(parents)
	return parents
}

// checkChain refuses parents that cannot be parents: without an image, in another
// directory, the layer itself or one of them twice. Names count without case, since
// the images are for a file system that knows none.
func checkChain(loc Location, parents []Location) error {
	seen := map[string]bool{winfs.Fold(loc.Name): true}
	for i, p := range parents { // immediate parent first; it is parent 1
		same, err := sameDirectory(loc, p)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("parent %d, %v: %w: its image is in another directory", i+1, p, ErrChain)
		}
		if seen[winfs.Fold(p.Name)] {
			return fmt.Errorf("parent %d, %v: %w: it is in the chain already", i+1, p, ErrChain)
		}
		seen[winfs.Fold(p.Name)] = true
		if there, err := p.exists(); err == nil && !there {
			err = &fs.PathError{Op: "open", Path: p.String(), Err: fs.ErrNotExist}
			return fmt.Errorf("parent %d: %w: %w", i+1, ErrChain, err)
		} else if err != nil {
			return fmt.Errorf("parent %d: %w: %w", i+1, ErrChain, err)
		}
	}
	return nil
}

func sameDirectory(a, b Location) (bool, error) {
	if a.images != nil && a.images == b.images {
		return true, nil
	}
	x, err := os.Stat(a.Images)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b.Images)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
