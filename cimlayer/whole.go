package cimlayer

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
)

// damaged says that a layer was made but is not whole any more.
type damaged struct{ err error }

func (d *damaged) Error() string { return d.err.Error() }
func (d *damaged) Unwrap() error { return d.err }

// state reports whether a layer is there. It is a [damaged] error if files of it are
// missing or are not what they were, as far as that can be seen without reading them to
// the end: every region file exists, the layer's own begin like one, and the hives beside
// the image are there. parent is the layer below, from which alone a lost delta hive can
// be noticed; it is nil if there is none or it is not known.
func (l Location) state(parent *Location) (there bool, err error) {
	if there, err := l.exists(); !there || err != nil {
		return false, err
	}
	err = l.whole(parent)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cimfs.ErrCorrupt) || errors.Is(err, cimfs.ErrNotImage) {
		err = &damaged{err}
	}
	return true, err
}

func (l Location) whole(parent *Location) (err error) {
	im, err := l.openImage()
	if err != nil {
		return err
	}
	defer im.Close()
	root, done, err := l.openImages()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, name := range im.RegionFiles() {
		if _, err := root.Stat(name); err != nil {
			return err
		}
	}
	if _, err := im.OwnRegions(); err != nil {
		return err
	}
	var below *cimfs.Image
	if parent != nil {
		// If it is damaged, that is not the fault of this layer.
		if below, err = parent.openImage(); err == nil {
			defer below.Close()
		}
	}
	for _, n := range hives.All() {
		if err := l.wholeHive(n, im, below); err != nil {
			return err
		}
	}
	return nil
}

// wholeHive returns an error if a hive that the layer has in its image is not beside it.
func (l Location) wholeHive(n hives.Name, im, below *cimfs.Image) error {
	ofLayer := func(form hives.Form) (bool, *cimfs.File, error) {
		f, err := lookup(im, n.Path(form))
		if f == nil || err != nil {
			return false, nil, err
		}
		if len(im.Parents()) == 0 {
			return true, f, nil
		}
		if below == nil {
			return false, f, nil
		}
		before, err := lookup(below, n.Path(form))
		return err == nil && (before == nil || !f.Same(before)), f, err
	}
	want, f, err := ofLayer(hives.Delta)
	if err != nil {
		return err
	}
	delta, err := l.sizeBeside(n, hives.Delta, f)
	if err != nil && (want || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	want, f, err = ofLayer(hives.Base)
	if err != nil {
		return err
	}
	if _, err := l.sizeBeside(n, hives.Base, f); err != nil && (want || delta >= 0 || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	return nil
}

// lookup returns a file of an image, nil if it has none of that name.
func lookup(im *cimfs.Image, path string) (*cimfs.File, error) {
	f, err := im.Lookup(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cimfs.ErrNotDirectory) || err == nil && f.IsDir() {
		return nil, nil
	}
	return f, err
}

// sizeBeside returns the size of a hive beside the image, which must be that of the file f
// in it unless f is nil; -1 with an error.
func (l Location) sizeBeside(n hives.Name, form hives.Form, f *cimfs.File) (int64, error) {
	h, err := l.openHive(n, form)
	if err != nil {
		return -1, err
	}
	defer h.Close()
	st, err := h.Stat()
	if err != nil {
		return -1, err
	}
	if f != nil {
		s, err := f.Data()
		if err != nil {
			return -1, err
		}
		if s.Size() != st.Size() {
			return -1, &translated{fmt.Errorf("%s beside the image has %d bytes, in it %d", n.Path(form), st.Size(), s.Size()), cimfs.ErrCorrupt}
		}
	}
	return st.Size(), nil
}

// removeDamaged removes what is left of a damaged layer. Its region files stay if it is
// not known which they are; nothing else is called like them.
func (s *Store) removeDamaged(loc Location) error {
	err := loc.Remove()
	if err == nil {
		return nil
	}
	if there, xerr := loc.exists(); xerr != nil || !there {
		return errors.Join(err, xerr)
	}
	return errors.Join(publish.Remove(s.images, loc.Name), loc.removeFiles())
}
