package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/openfile"
)

// openCIM opens the image in the file at path. Reads advance bar, which may be nil, and
// fail after ctx is done, so that every reader of the image ends.
func openCIM(ctx context.Context, path string, bar *bar) (*cimfs.Image, error) {
	dir, name := splitFile(path)
	im, err := cimfs.OpenFiles(&cimFiles{ctx, dir, bar}, name, cimfs.Limits{})
	return im, cimError(path, err)
}

// splitFile splits the path of an image into its directory and its name.
func splitFile(path string) (dir, name string) {
	path = strings.TrimPrefix(path, "cim:")
	return filepath.Dir(path), filepath.Base(path)
}

// cimError adds the path of an image to an error. For errors of opening it drops the
// operation and the name, which the message has already.
func cimError(path string, err error) error {
	var e *cimfs.Error
	if errors.As(err, &e) && e.Op == "open" {
		where := ""
		if e.File != "" && e.File != e.Image {
			where = e.File + ": "
		}
		err = fmt.Errorf("%s%w", where, plain(e.Err))
	}
	return about(path, err)
}

// cimFiles opens the files of an image in dir. Reads advance bar and fail after ctx is
// done.
type cimFiles struct {
	ctx context.Context
	dir string
	bar *bar
}

func (o *cimFiles) OpenFile(name string) (cimfs.Source, error) {
	root, err := openfile.Root(o.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := cimfs.RootOpener(root).OpenFile(name)
	if err != nil {
		return nil, err
	}
	return &cimFile{f, o}, nil
}

type cimFile struct {
	cimfs.Source
	of *cimFiles
}

func (f *cimFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.of.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := f.Source.ReadAt(p, off)
	f.of.bar.add(int64(n))
	return n, err
}
