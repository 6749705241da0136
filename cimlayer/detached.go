package cimlayer

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/mullion/mullion/cimfs"
)

// Detached is an open image that holds all its files open, so that its directory can
// be removed while the image is used, on systems that allow that.
type Detached struct {
	*cimfs.Image
	files heldFiles
}

// OpenDetached opens the image file name in the directory dir together with every
// region file beside it: it is meant for a directory of its own, not for one that many
// images share. Close releases them.
func OpenDetached(dir, name string) (*Detached, error) {
	files, err := holdFiles(dir, name)
	if err != nil {
		return nil, errors.Join(err, files.close())
	}
	im, err := cimfs.OpenFiles(files, name, cimfs.Limits{})
	if err != nil {
		return nil, errors.Join(err, files.close())
	}
	return &Detached{im, files}, nil
}

// Close closes the image and its files.
func (d *Detached) Close() error { return errors.Join(d.Image.Close(), d.files.close()) }

// heldFiles are open files by name.
type heldFiles map[string]heldFile

type heldFile struct {
	*os.File
	size int64
}

func (f heldFile) Size() int64 { return f.size }

// Close does nothing: the files are closed together.
func (f heldFile) Close() error { return nil }

// holdFiles opens the region files of a directory and the image itself.
func holdFiles(dir, name string) (heldFiles, error) {
	files := heldFiles{}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return files, err
	}
	defer root.Close()
	list, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return files, err
	}
	for _, e := range list {
		if e.Name() != name && !strings.HasPrefix(e.Name(), "region_") && !strings.HasPrefix(e.Name(), "objectid_") || !e.Type().IsRegular() {
			continue
		}
		f, err := root.Open(e.Name())
		if err != nil {
			return files, err
		}
		st, err := f.Stat()
		if err != nil {
			return files, errors.Join(err, f.Close())
		}
		files[e.Name()] = heldFile{f, st.Size()}
	}
	return files, nil
}

// OpenFile implements cimfs.Opener.
func (h heldFiles) OpenFile(name string) (cimfs.Source, error) {
	f, ok := h[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

func (h heldFiles) close() error {
	var errs []error
	for _, f := range h {
		errs = append(errs, f.File.Close())
	}
	return errors.Join(errs...)
}
