package cimlayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/winfs"
)

// Location says where a layer that is kept as an image stands.
type Location struct {
	// Images is the directory of the image. A fork and everything that it is forked
	// from stand in the same one, because an image refers to its parents by the names
	// of their region files.
	Images string
	// Name is the file name of the image in it, "NAME.cim".
	Name string
	// Files is the directory of what stands beside the image: hives, the layout file
	// and, of a utility VM, what its start needs without mounting the image.
	Files string
}

// String returns the path of the image.
func (l Location) String() string { return filepath.Join(l.Images, l.Name) }

// Usage returns the bytes that a layer takes up on disk and the number of its
// files on the host: image, region and object files, and what stands beside. What
// belongs to its parents does not count.
func (l Location) Usage() (bytes, files int64, err error) {
	im, err := cimfs.Open(l.Images, l.Name)
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

// Remove deletes a layer: the image first, so that a layer half removed is none.
// Layers forked from it become unreadable. What is not there is passed over.
func (l Location) Remove() error {
	err := cimfs.Delete(l.Images, l.Name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(l.Files))
}

// checkChain refuses parents that cannot be parents: without an image, in another
// directory, the layer itself or one of them twice. Names count without case, since
// the images are for a file system that knows none.
func checkChain(loc Location, parents []Location) error {
	seen := map[string]bool{winfs.Fold(loc.Name): true}
	for i, p := range parents {
		same, err := sameDirectory(loc.Images, p.Images)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("parent %d, %v: %w: its image is in another directory", i+1, p, ErrChain)
		}
		if seen[winfs.Fold(p.Name)] {
			return fmt.Errorf("parent %d, %v: %w: it stands in the chain already", i+1, p, ErrChain)
		}
		seen[winfs.Fold(p.Name)] = true
		if _, err := os.Stat(p.String()); err != nil {
			return fmt.Errorf("parent %d: %w: %w", i+1, ErrChain, err)
		}
	}
	return nil
}

func sameDirectory(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
