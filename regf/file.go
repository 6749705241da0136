package regf

import (
	"errors"
	"io/fs"

	"github.com/mullion/mullion/internal/publish"
)

// flushStep is the number of bytes after which the disk is asked to start writing, so that
// flushing at the end finds most of the work done.
const flushStep = 4 << 20

// writeFile writes a file so that it appears complete or not at all. Only the owner can
// read a new file: a hive may hold secrets, and its keys have descriptors that the host
// does not enforce.
func writeFile(name string, b []byte, overwrite bool) (err error) {
	f, err := publish.Create(name, publish.Options{Replace: overwrite, Private: true})
	if err != nil {
		return exists(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for off := 0; off < len(b); off += flushStep {
		part := b[off:min(off+flushStep, len(b))]
		if _, err := f.Write(part); err != nil {
			return err
		}
		startWriteback(f.File, int64(off), int64(len(part)))
	}
	return exists(f.Commit())
}

// mergeToFile writes a view to a file that appears as with writeFile.
func (h *Hive) mergeToFile(name string, overwrite bool) (err error) {
	f, err := publish.Create(name, publish.Options{Replace: overwrite, Private: true})
	if err != nil {
		return exists(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := MergeTo(h.view.ctx, f, h.view.layers, &h.view.opt); err != nil {
		return err
	}
	return exists(f.Commit())
}

// exists returns the error with offreg's code for an existing file.
func exists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	return err
}
