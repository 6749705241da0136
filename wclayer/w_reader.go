package wclayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Reader reads a final layer directory. It implements layer.Reader and
// layer.ExtentReader.
//
// Entries come in the order of a walk that sorts the names of each directory by
// their bytes: a directory, the whiteouts in it, then what is in it. A hard link
// comes after the file it names if that is in the same layer.
type Reader struct{ r reader }

var (
	_ layer.Reader       = (*Reader)(nil)
	_ layer.ExtentReader = (*Reader)(nil)
)

// reader is a walker of final directories.
type reader struct {
	walker
	found int64               // entries returned that have a record
	ids   map[[16]byte]string // first path of files with several names, on NTFS without an index
}

func openFinal(path string, root directory, o options) (*Reader, error) {
	public := &Reader{reader{walker: walker{path: path, o: o, root: root, op: "read layer directory"}}}
	r := &public.r
	r.h.root = root
	if err := r.openStore(); err != nil {
		return nil, err
	}
	if r.index != nil {
		if f := r.index.flags; f&indexTransport != 0 {
			return nil, r.giveUp(fmt.Errorf("%w: index of a transport directory", ErrMetadata))
		} else if f&indexNative != 0 && !nativeObjects {
			return nil, r.giveUp(fmt.Errorf("%w: NTFS kept the metadata of this layer, and it is not on Windows", ErrNoMetadata))
		}
	}
	if err := r.findEarly(); err != nil {
		return nil, r.giveUp(err)
	}
	items, err := r.list(root, r.names())
	if err != nil {
		return nil, r.giveUp(err)
	}
	r.frames = []frame{{known: true, items: items}}
	return public, nil
}

// Next implements layer.Reader.
func (r *Reader) Next() (*layer.Entry, error) { return r.r.step(&r.r) }

// NextStream implements layer.Reader.
func (r *Reader) NextStream() (*layer.Stream, error) { return r.r.NextStream() }

// Read implements layer.Reader.
func (r *Reader) Read(p []byte) (int, error) { return r.r.Read(p) }

// NextExtent implements layer.ExtentReader.
func (r *Reader) NextExtent() (layer.Extent, error) { return r.r.NextExtent() }

// Close implements layer.Reader.
func (r *Reader) Close() error { return r.r.close() }

// visit looks at one thing in a directory and reports whether it made an entry.
func (r *reader) visit(f *frame, it item) (bool, error) {
	depth := len(r.frames) - 1
	if depth == 0 {
		if t := rootTree(it.name); t != "" {
			it.name = t
		} else if r.index == nil || it.host == it.name && rootReserved(it.name) {
			return false, nil // VHDs, layout and the like; an entry of that name is spelled
		}
	}
	if id, known := r.node(f, it.name); known && len(r.early) > 0 && r.queueEarly(id) {
		f.next-- // what is at the target comes after them
		return false, nil
	}
	if it.dir {
		if skip, err := r.skipDirectory(f, it); skip || err != nil {
			return false, err
		}
		return r.directory(f, it)
	}
	if depth == 1 && f.path == hivesName && isBaseHive(it.name) && (r.index == nil || r.index.flags&indexBase != 0) {
		return false, nil
	}
	if r.index == nil && f.path == utilityName {
		return false, nil // SystemTemplate.vhdx
	}
	r.entry.Path = winfs.JoinPath(f.path, it.name)
	id, known := r.node(f, it.name)
	if known && r.index.tree.at(id).flags&nodeLink != 0 {
		if r.index.tree.at(id).flags&nodeSeen != 0 {
			return false, nil
		}
		return r.link(id)
	}
	if !r.mine(r.entry.Path, id, known) {
		return false, nil
	}
	if !it.regular && !nativeObjects {
		return false, ErrHostFile
	}
	return r.file(it, id, known)
}

// mine reports whether what stands at a path is of this layer, and not of the
// parent's utility VM.
func (r *reader) mine(path string, id nodeID, known bool) bool {
	if r.index == nil || r.index.flags&indexCloned == 0 || !inUtility(path) {
		return true
	}
	return known && r.index.tree.at(id).flags&nodeOwn != 0
}

// skipDirectory names the directories that belong to no layer, of a layer
// directory that Windows or a person has made.
func (r *reader) skipDirectory(f *frame, it item) (bool, error) {
	if r.index != nil {
		return false, nil
	}
	switch {
	case f.path == filesName && winfs.EqualFold(it.name, recycleName):
		return true, nil
	case f.path == utilityName && !winfs.EqualFold(it.name, filesName):
		return true, nil
	case f.path != "":
		return false, nil
	case it.name == utilityName:
		d, err := enterPath(r.root, it.host, filesName)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // no utility VM then
		}
		if err != nil {
			return false, err
		}
		return false, d.close()
	case it.name == hivesName:
		// In a base layer Hives is made from Files and no part of the layer.
		d, err := r.root.enter(it.host)
		if err != nil {
			return false, err
		}
		list, err := d.list()
		if err := firstError(err, d.close()); err != nil {
			return false, err
		}
		for _, e := range list {
			if !isBaseHive(e.Name()) {
				return false, nil
			}
		}
		return true, nil
	}
	return false, nil
}

// directory goes into a directory.
func (r *reader) directory(f *frame, it item) (bool, error) {
	path := winfs.JoinPath(f.path, it.name)
	id, known := r.node(f, it.name)
	mine := r.mine(path, id, known)
	r.entry.Path = path
	if it.reparse { // nothing is below it, and it must not be entered
		r.entry.Kind = layer.Dir
		return r.native(it, id, known)
	}
	r.h.push(id, it.host)
	d, err := r.h.dir(r.h.depth())
	if err != nil {
		return false, err
	}
	items, err := r.list(d, r.names())
	if err != nil {
		return false, err
	}
	parent := len(r.frames) - 1
	r.frames = append(r.frames, frame{path: path, node: id, known: known || r.index == nil, items: items})
	if known {
		r.whiteouts(id)
	}
	if !mine {
		return false, nil
	}
	r.entry.Kind = layer.Dir
	up, err := r.h.dir(parent)
	if err != nil {
		return false, err
	}
	if nativeObjects {
		return r.nativeIn(up, it, id, known)
	}
	rec, have, err := r.record(d, id, known)
	if err != nil || r.index != nil && !have {
		return false, err // a directory without a record only stands above entries
	}
	return true, r.fill(up, it, nil, &rec, have)
}

// native returns an entry whose metadata NTFS has.
func (r *reader) native(it item, id nodeID, known bool) (bool, error) {
	d, err := r.h.dir(len(r.frames) - 1)
	if err != nil {
		return false, err
	}
	return r.nativeIn(d, it, id, known)
}

func (r *reader) nativeIn(d directory, it item, id nodeID, known bool) (bool, error) {
	if r.index != nil {
		if !known || r.index.tree.at(id).flags&nodeOwn == 0 {
			if r.entry.Kind == layer.File && r.counts(r.entry.Path) && !r.o.bare {
				return false, ErrNoMetadata
			}
			return false, nil
		}
		r.found++
		r.returned(id)
	}
	return true, r.nativeEntry(d, it)
}

// counts reports whether every file at such a path is an entry. Elsewhere stand
// merged hives, backups, and what belongs to the form.
func (r *reader) counts(path string) bool {
	return winfs.Under(path, filesName) || winfs.Under(path, utilityFiles)
}

// file opens a file.
func (r *reader) file(it item, id nodeID, known bool) (bool, error) {
	if nativeObjects {
		r.entry.Kind = layer.File
		return r.native(it, id, known)
	}
	d, err := r.h.dir(len(r.frames) - 1)
	if err != nil {
		return false, err
	}
	f, err := d.open(it.host)
	if err != nil {
		return false, err
	}
	rec, have, err := r.record(f, id, known)
	if err == nil && !have && r.index != nil {
		if !r.counts(r.entry.Path) {
			return false, f.close()
		}
		if !r.o.bare {
			err = ErrNoMetadata
		}
	}
	if err != nil {
		return false, errors.Join(err, f.close())
	}
	if r.index == nil {
		if first, err := r.sameFile(f); err != nil {
			return false, errors.Join(err, f.close())
		} else if first != "" {
			fi, err := f.stat()
			if err == nil {
				r.entry.Kind, r.entry.Target, r.entry.Times = layer.Link, first, hostTimes(fi)
			}
			return err == nil, errors.Join(err, f.close())
		}
	}
	r.entry.Kind = layer.File
	if err := r.fill(d, it, f, &rec, have); err != nil {
		return false, errors.Join(err, f.close())
	}
	if known {
		r.returned(id)
	}
	return true, nil
}

// fill completes the entry of a file or directory, which is open, and takes over
// the file.
func (r *reader) fill(d directory, it item, f file, rec *record, have bool) error {
	var fi fs.FileInfo
	var err error
	if f != nil {
		if fi, err = f.stat(); err != nil {
			return err
		}
	} else if fi, err = d.stat(it.host); err != nil {
		return err
	}
	e := &r.entry
	c := &content{}
	if f != nil {
		e.Size = fi.Size()
		c.streams = append(c.streams, storedStream{size: e.Size, segments: whole(e.Size, 0), src: f})
	}
	if have {
		r.found++
		if (rec.flags&recordDir != 0) != (e.Kind == layer.Dir) {
			return fmt.Errorf("%w: it is that of a %v", ErrMetadata, map[bool]layer.Kind{true: layer.Dir, false: layer.File}[rec.flags&recordDir != 0])
		}
		if err := r.blobs.entry(rec, e); err != nil {
			return err
		}
		if err := r.storedStreams(rec, c); err != nil {
			return err
		}
	} else {
		e.Times = hostTimes(fi)
		if e.Kind == layer.Dir {
			e.Attributes = winfs.AttrDirectory
		}
	}
	if f != nil {
		c.closer = f.close
	}
	r.src = c
	return nil
}

// whiteouts queues what a directory hides: all of it, then single names, sorted.
func (r *reader) whiteouts(dir nodeID) {
	t := r.index.tree
	var list []nodeID
	t.children(dir, func(c nodeID) bool {
		if t.at(c).flags&nodeWhiteout != 0 {
			list = append(list, c)
		}
		return true
	})
	slices.SortFunc(list, func(a, b nodeID) int { return strings.Compare(t.at(a).name, t.at(b).name) })
	if t.at(dir).flags&nodeOpaque != 0 {
		r.hide(dir, layer.Opaque)
	}
	for _, c := range list {
		r.hide(c, layer.Whiteout)
	}
}

func (r *reader) hide(id nodeID, kind layer.Kind) {
	flag := nodeOpaque
	if kind == layer.Whiteout {
		flag = nodeWhiteout
	}
	r.index.tree.at(id).flags &^= flag // returned once
	r.queue = append(r.queue, func(e *layer.Entry) error {
		e.Path, e.Kind = r.index.tree.path(id), kind
		return nil
	})
}

// end is reached when the walk is over: what the index has beyond it.
func (r *reader) end() error {
	if r.index == nil {
		return io.EOF
	}
	t := r.index.tree
	for id := nodeID(1); int(id) < t.count; id++ {
		if t.at(id).flags&nodeOpaque != 0 {
			r.hide(id, layer.Opaque)
		}
		if t.at(id).flags&nodeWhiteout != 0 {
			r.hide(id, layer.Whiteout)
		}
	}
	if len(r.queue) > 0 {
		return nil
	}
	if err := r.lostLink(); err != nil {
		return err
	}
	if r.found != r.index.entries {
		return fmt.Errorf("%w: %d were recorded, %d are there", errLost, r.index.entries, r.found)
	}
	return io.EOF
}
