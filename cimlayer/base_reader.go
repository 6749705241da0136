package cimlayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// BaseReader yields the tree of a merged image as one base layer: without what unpacking
// added, which is the file layout and the directory Hives with its hives, and with the
// merged hives in the config directory, where a base layer has its own. The metadata of a
// hive is that of the config file.
type BaseReader struct {
	ImageReader
	merged    map[hives.Name]*cimfs.File // that the reader has not yielded yet
	keepHives bool                       // Hives has other files
}

// NewBaseReader returns a reader for an image for which [IsMerged] holds. Closing it does
// not close the image.
func NewBaseReader(im *cimfs.Image) (*BaseReader, error) {
	r := &BaseReader{ImageReader: ImageReader{im: im}, merged: map[hives.Name]*cimfs.File{}}
	for _, n := range hives.All() {
		f, err := lookup(im, n.Path(hives.Base))
		if err != nil {
			return nil, r.fail(n.Path(hives.Base), err)
		}
		if f != nil {
			r.merged[n] = f
		}
	}
	dir, err := im.Lookup(hives.HivesDir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !dir.IsDir() {
		r.keepHives = true
		return r, nil
	}
	if err != nil {
		return nil, r.fail(hives.HivesDir, err)
	}
	for e, err := range dir.Entries() {
		if err != nil {
			return nil, r.fail(hives.HivesDir, err)
		}
		if _, _, hive := hives.Match(winfs.JoinPath(hives.HivesDir, e.Name)); !hive {
			r.keepHives = true
		}
	}
	return r, nil
}

// Next returns the next entry.
func (r *BaseReader) Next() (*layer.Entry, error) {
	for {
		e, err := r.ImageReader.Next()
		if err == io.EOF {
			for n := range r.merged {
				return nil, r.stick(r.fail(n.Path(hives.Base), fmt.Errorf("%w: the image has no %s, where a base layer has it", ErrHive, n.Path(hives.Config))))
			}
		}
		if err != nil {
			return nil, err
		}
		if r.added(e) {
			continue
		}
		undescribe(e)
		if e.Kind == layer.Link && (madeUp(e.Target) || isDelta(e.Target)) {
			return nil, r.stick(r.fail(e.Path, fmt.Errorf("%w: %s is no part of a base layer", layer.ErrLinkTarget, e.Target)))
		}
		n, form, ok := hives.Match(e.Path)
		merged := r.merged[n]
		if !ok || form != hives.Config || merged == nil || e.Kind == layer.Dir {
			return e, nil
		}
		if e.Kind == layer.Link {
			return nil, r.stick(r.fail(e.Path, fmt.Errorf("%w: a hive may not be a hard link", layer.ErrLinkTarget)))
		}
		delete(r.merged, n)
		if err := r.replace(merged); err != nil {
			return nil, r.stick(r.fail(e.Path, err))
		}
		return e, nil
	}
}

// replace makes the main stream of a file that of the current entry.
func (r *BaseReader) replace(f *cimfs.File) error {
	if err := r.load(); err != nil {
		return err
	}
	s, err := f.Data()
	if err != nil {
		return err
	}
	r.streams[0], r.entry.Size = s, s.Size()
	return nil
}

// added reports whether an entry is one that unpacking added, or a delta hive, whose
// changes the merged hive has.
func (r *BaseReader) added(e *layer.Entry) bool {
	return madeUp(e.Path) || isDelta(e.Path) || !r.keepHives && winfs.EqualFold(e.Path, hives.HivesDir)
}

func isDelta(path string) bool {
	_, form, ok := hives.Match(path)
	return ok && form == hives.Delta
}
