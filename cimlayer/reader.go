package cimlayer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Reader yields the entries of one layer, as they were in the layer's tar.
//
// For a base layer these are the entries of the image without those that unpacking added:
// the hives under their base names and the layout file. For a layer with parents they are
// the difference between its image and its parent's: an entry that the parent stores
// unchanged under the same name does not belong to the layer, a name that only the parent
// has is a whiteout, and a new name of a parent's file is a hard link. Delta hives are
// included, merged hives are not.
//
// Windows exports Hives and the delta hives without descriptors. They are yielded without
// one if theirs is the descriptor that the writer adds to entries without one.
//
// A directory or file that a layer repeats without any change leaves no trace in the
// image and is not yielded.
type Reader struct {
	ImageReader
	parent *cimfs.Image

	pull    func() (change, error, bool)
	end     func()
	shared  map[cimfs.FileID]string // files with several names, one of which is the parent's: that one
	yielded map[cimfs.FileID]string // files of the layer, by their first name
	extends bool                    // the image has the parent's records under their numbers
	visited int                     // names of the image that were read, for tests
}

// change is one entry of a fork before it is described.
type change struct {
	path string
	file *cimfs.File // nil for a whiteout
}

// Open opens a layer for reading. parents are those that it was created with, base
// first; a base layer has none. The caller closes the reader.
func Open(loc Location, parents []Location) (*Reader, error) {
	fail := func(err error) (*Reader, error) { return nil, fail("read cim layer", loc.String(), "", err) }
	parents = nearestFirst(parents)
	if err := checkChain(loc, parents); err != nil {
		return fail(err)
	}
	im, err := loc.openImage()
	if err != nil {
		return fail(err)
	}
	r := &Reader{ImageReader: ImageReader{im: im}, yielded: map[cimfs.FileID]string{}}
	if len(parents) > 0 {
		if r.parent, err = parents[0].openImage(); err != nil {
			return fail(errors.Join(err, im.Close()))
		}
		if err := r.checkForked(); err != nil {
			return fail(errors.Join(err, r.Close()))
		}
		if err := r.findShared(); err != nil {
			return fail(errors.Join(err, r.Close()))
		}
	}
	return r, nil
}

// checkForked refuses a parent that the image was not forked from.
func (r *Reader) checkForked() error {
	for _, set := range r.im.Parents() {
		if set.GUID == r.parent.GUID() {
			return nil
		}
	}
	return &translated{errors.New("the image is no fork of " + r.parent.Name()), ErrChain}
}

// Next returns the next entry.
func (r *Reader) Next() (*layer.Entry, error) {
	if r.parent == nil {
		for {
			e, err := r.ImageReader.Next()
			if err != nil {
				return nil, err
			}
			if !r.made(e) {
				undescribe(e)
				return e, nil
			}
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	r.closeEntry()
	if r.pull == nil {
		r.pull, r.end = iter.Pull2(r.changes)
	}
	c, err, ok := r.pull()
	switch {
	case !ok:
		return nil, r.stick(io.EOF)
	case err != nil:
		return nil, r.stick(r.fail(c.path, err))
	}
	if err := r.yield(c); err != nil {
		return nil, r.stick(r.fail(c.path, err))
	}
	return &r.entry, nil
}

// made reports whether unpacking added an entry of a base image. The Hives directory was
// added if it has no metadata of its own.
func (r *Reader) made(e *layer.Entry) bool {
	return madeUp(e.Path) || winfs.EqualFold(e.Path, hives.HivesDir) && e.Kind == layer.Dir && e.Times == (winfs.Times{})
}

// yield describes a change as an entry.
func (r *Reader) yield(c change) error {
	if c.file == nil {
		r.entry = layer.Entry{Path: c.path, Kind: layer.Whiteout}
		return nil
	}
	if !c.file.IsDir() {
		if first, ok := r.yielded[c.file.ID()]; ok {
			describeLink(&r.entry, c.path, first, c.file)
			return nil
		}
		if target, ok := r.shared[c.file.ID()]; ok {
			describeLink(&r.entry, c.path, target, c.file)
			return nil
		}
		r.yielded[c.file.ID()] = c.path
	}
	r.file = c.file
	if err := describe(&r.entry, c.path, c.file); err != nil {
		return err
	}
	undescribe(&r.entry)
	return nil
}

// undescribe removes the descriptor without a DACL from Hives and the entries in it: the
// writer added it, since layers of Windows have none there (docs/spec/layers.md,
// "Security descriptors").
func undescribe(e *layer.Entry) {
	hive := winfs.EqualFold(e.Path, hives.HivesDir) || winfs.Under(e.Path, hives.HivesDir)
	if hive && bytes.Equal(e.Security, cimfs.NullDACL()) {
		e.Security = nil
	}
}

// findShared finds the files with several names of which the parent has one and
// stores the same under it: under its other names such a file is a link.
//
// Only the directories that the fork has changed are read, unless one of them has a file
// of the parent under another name than the parent: the other names of that file can be
// anywhere.
func (r *Reader) findShared() error {
	extends, err := r.im.Extends(r.parent)
	if err != nil {
		return err
	}
	r.extends = extends
	r.shared = map[cimfs.FileID]string{}
	seen := make([]uint64, r.im.NumFiles()/64+1)
	several := map[cimfs.FileID]bool{}
	moved := false
	count := func(id cimfs.FileID) {
		word, bit := id/64, uint64(1)<<(id%64)
		if seen[word]&bit != 0 {
			several[id] = true
		}
		seen[word] |= bit
	}
	if extends {
		err = r.walkChanged(func(_ string, f, _ *cimfs.File, kept bool) error {
			count(f.ID())
			moved = moved || !kept && int64(f.ID()) <= r.parent.NumFiles()
			return nil
		})
	}
	if err == nil && (!extends || moved) {
		clear(seen)
		err = r.im.Walk(func(_ string, f *cimfs.File) error {
			r.visited++
			count(f.ID())
			return nil
		})
	}
	if err != nil || len(several) == 0 {
		return err
	}
	share := func(path string, f, before *cimfs.File) {
		if before != nil && several[f.ID()] && r.shared[f.ID()] == "" && !madeUp(path) && f.Same(before) {
			r.shared[f.ID()] = path
		}
	}
	if extends && !moved {
		return r.walkChanged(func(path string, f, before *cimfs.File, _ bool) error {
			share(path, f, before)
			return nil
		})
	}
	return r.im.Walk(func(path string, f *cimfs.File) error {
		r.visited++
		if !several[f.ID()] || r.shared[f.ID()] != "" || madeUp(path) {
			return nil
		}
		before, err := r.parent.Lookup(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cimfs.ErrNotDirectory) {
			return nil
		}
		if err == nil {
			share(path, f, before)
		}
		return err
	})
}

// walkChanged calls fn for every name in a directory whose table is not the parent's,
// with the file that the parent has at the path, or nil. kept is true if the parent has
// the same file there under the same spelling. Names are visited in stored order, a
// directory before its entries.
func (r *Reader) walkChanged(fn func(path string, f, before *cimfs.File, kept bool) error) error {
	now, err := r.im.Root()
	if err != nil {
		return err
	}
	before, err := r.parent.Root()
	if err != nil {
		return err
	}
	entered := map[cimfs.FileID]bool{}
	var walk func(dir string, now, before *cimfs.File, depth int) error
	walk = func(dir string, now, before *cimfs.File, depth int) error {
		if before != nil && now.SameEntries(before) {
			return nil
		}
		if depth > maxDepth || entered[now.ID()] {
			return fmt.Errorf("directory %q is reached twice or is too deep: %w", dir, layer.ErrCorrupt)
		}
		entered[now.ID()] = true
		old := map[string]cimfs.DirEntry{}
		if before != nil {
			for e, err := range before.Entries() {
				if err != nil {
					return err
				}
				old[winfs.Fold(e.Name)] = e
			}
		}
		for e, err := range now.Entries() {
			if err != nil {
				return err
			}
			r.visited++
			f, err := r.im.File(e.ID)
			if err != nil {
				return err
			}
			var was *cimfs.File
			o, ok := old[winfs.Fold(e.Name)]
			if ok {
				if was, err = r.parent.File(o.ID); err != nil {
					return err
				}
			}
			path := winfs.JoinPath(dir, e.Name)
			if err := fn(path, f, was, ok && o.ID == e.ID && o.Name == e.Name); err != nil {
				return err
			}
			if !f.IsDir() {
				continue
			}
			if was != nil && !was.IsDir() {
				was = nil
			}
			if err := walk(path, f, was, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return walk("", now, before, 0)
}

// changes compares the trees of the two images, directory by directory.
func (r *Reader) changes(yield func(change, error) bool) {
	now, err := r.im.Root()
	if err != nil {
		yield(change{}, err)
		return
	}
	before, err := r.parent.Root()
	if err != nil {
		yield(change{}, err)
		return
	}
	r.compare("", now, before, 0, yield)
}

// maxDepth is more than any path of 32,767 units can have.
const maxDepth = 16384

// compare yields the differences below a directory; before is nil if the parent doesn't
// have it. It reports whether to go on.
func (r *Reader) compare(dir string, now, before *cimfs.File, depth int, yield func(change, error) bool) bool {
	if depth > maxDepth {
		return yield(change{path: dir}, layer.ErrCorrupt)
	}
	if r.extends && before != nil && now.SameEntries(before) {
		return true
	}
	old := map[string]cimfs.DirEntry{}
	var order []string
	if before != nil {
		for e, err := range before.Entries() {
			if err != nil {
				return yield(change{path: dir}, err)
			}
			key := winfs.Fold(e.Name)
			old[key] = e
			order = append(order, key)
		}
	}
	var here []cimfs.DirEntry
	for e, err := range now.Entries() {
		if err != nil {
			return yield(change{path: dir}, err)
		}
		here = append(here, e)
	}
	kept := make(map[string]cimfs.DirEntry, len(old))
	for _, e := range here {
		if key := winfs.Fold(e.Name); len(old) > 0 {
			if o, ok := old[key]; ok {
				kept[key] = o
			}
		}
	}
	for _, key := range order {
		if _, ok := kept[key]; ok {
			continue
		}
		if path := winfs.JoinPath(dir, old[key].Name); !madeUp(path) && !yield(change{path: path}, nil) {
			return false
		}
	}
	for _, e := range here {
		r.visited++
		path := winfs.JoinPath(dir, e.Name)
		if madeUp(path) {
			continue
		}
		o, was := kept[winfs.Fold(e.Name)]
		if !r.compareName(path, e, o, was, depth, yield) {
			return false
		}
	}
	return true
}

func (r *Reader) compareName(path string, e, o cimfs.DirEntry, was bool, depth int, yield func(change, error) bool) bool {
	f, err := r.im.File(e.ID)
	if err != nil {
		return yield(change{path: path}, err)
	}
	var before *cimfs.File
	if was {
		if before, err = r.parent.File(o.ID); err != nil {
			return yield(change{path: path}, err)
		}
	}
	same := was && o.Name == e.Name && f.Same(before)
	if same && f.IsDir() && uint64(e.ID) > uint64(r.parent.NumFiles()) {
		// It has a record of the fork's own: the layer has mentioned it, or something below
		// it. Windows imports no file whose directories have no entries before it.
		same = false
	}
	if !same && !yield(change{path, f}, nil) {
		return false
	}
	if !f.IsDir() {
		return true
	}
	if before != nil && !before.IsDir() {
		before = nil
	}
	return r.compare(path, f, before, depth+1, yield)
}

// Close releases the images.
func (r *Reader) Close() error {
	if r.end != nil {
		r.end()
	}
	errs := []error{r.ImageReader.Close()}
	if r.im != nil {
		errs = append(errs, r.im.Close())
	}
	if r.parent != nil {
		errs = append(errs, r.parent.Close())
	}
	return errors.Join(errs...)
}
